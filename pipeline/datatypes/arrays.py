"""Array types of the passes: axes and units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Transforms = NDArray[np.float64]
"""(T, 3, 3) or (3, 3)."""
Picture = NDArray[np.uint8]
"""(H, W, 3) RGB, display-referred SDR."""
Mask = NDArray[np.bool_]
"""(H, W), hard."""
Matte = NDArray[np.float32]
"""(H, W) in 0..1, soft."""
Float64Array = NDArray[np.float64]
Float32Array = NDArray[np.float32]
Points = NDArray[np.float64]
"""(..., 2) x, y px, pixel centers at integers."""
Plane = NDArray[Any]
"""(h, w) uint8, or uint16 with the samples in the low bits."""
