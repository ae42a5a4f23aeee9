"""What the settings switch off is not measured."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from conf import compose_settings
from pipeline.datatypes.light import SceneLight
from pipeline.plate.lighting import estimate_lighting


def test_daylight_without_shadows_reads_no_frame(tmp_path: Path) -> None:
    settings = compose_settings("preview", ("composite.light=daylight", "composite.shadows=keep"))
    # Has a length, and neither frames nor a plan: looking at either would fail.
    clip = SimpleNamespace(info=SimpleNamespace(num_frames=3))
    light, shadows = estimate_lighting(cast(Any, clip), cast(Any, None), cast(Any, None), settings, tmp_path, _never)
    assert np.array_equal(light.key_rgb, SceneLight.daylight(3).key_rgb) and not shadows.darkness.any()
    assert list(tmp_path.iterdir()) == []


def _never() -> None:
    raise AssertionError("there is nothing to check")
