"""Make the README's picture from a finished demo: `make demo && .venv/bin/python scripts/before_after.py`."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np

_ROOT = Path(__file__).resolve().parents[1]
_FRAMES = (25, 75, 125)
"""Walking in, an arm before the body, walking out."""


def main() -> None:
    rows = []
    for clip in (_ROOT / "assets/walk_a/sample.mp4", _ROOT / "outputs/local_test/result.mp4"):
        with av.open(str(clip)) as container:
            pictures = [
                frame.to_ndarray(format="bgr24") for frame in container.decode(video=0) if frame.pts is not None
            ]
        rows.append(np.hstack([pictures[number] for number in _FRAMES]))
    sheet = cv2.resize(np.vstack(rows), None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(_ROOT / "assets/before_after.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
