"""A wall behind the person at another distance than everything around it, which the anchor never sees."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.maths.geometry import apply_transform
from pipeline.plate.hidden_parallax import hidden_mosaic, parallax_pattern, with_hidden_parallax
from pipeline.plate.registration import Gray, RegistrationTarget, fit_warp, pre_warped, work_gray
from pipeline.plate.warp import Warp
from tests.plate.test_plate import texture

_SIZE_WH = (320, 240)
_BODY_PX = 120.0
_WALL = np.s_[50:150, 130:190]
_MOVED = {-8: -3.0, -6: -2.1, -4: -1.3, 4: 1.2, 6: 2.2, 8: 3.2}
"""Frame -> movement of the camera since the anchor, px of the far background."""


def _nearness() -> NDArray[np.float32]:
    """Return (h, w): displacement per unit of movement; near below, where no homography follows, the wall farthest."""
    rows = np.clip((np.arange(240, dtype=np.float32) - 150) / 60, 0, 1) ** 2
    nearness = np.repeat(1 + 1.5 * rows[:, None], 320, axis=1)
    nearness[_WALL] = -0.2
    return nearness


def _seen(moved: float) -> NDArray[np.uint8]:
    """Return the picture after a movement, without people; the wall's edges are cut anew, which nobody looks at."""
    base = texture(380, 240, 3)
    x, y = np.meshgrid(np.arange(320, dtype=np.float32), np.arange(240, dtype=np.float32))
    picture = cv2.remap(base, x + 30 - moved * _nearness(), y, cv2.INTER_CUBIC)
    return np.asarray(picture, np.uint8)


def _prepared() -> tuple[dict[int, Warp], RegistrationTarget, dict[int, NDArray[np.uint8]], NDArray[np.bool_]]:
    hidden = np.zeros((240, 320), np.bool_)
    hidden[40:160, 120:200] = True
    anchor = _seen(0.0)
    anchor[hidden] = 128
    reference = RegistrationTarget(anchor, hidden)
    nobody = np.zeros_like(hidden)
    warps = {0: Warp(np.eye(3), fit_warp(np.zeros((0, 2)), np.zeros((0, 2)), _SIZE_WH, _BODY_PX, np.eye(3)).nodes, 1)}
    grays = {}
    for frame, moved in _MOVED.items():
        grays[frame] = work_gray(_seen(moved))
        rows, found = reference.match(grays[frame], nobody, np.eye(3))
        warps[frame] = fit_warp(reference.features()[rows], found, _SIZE_WH, _BODY_PX, np.eye(3))
    return warps, reference, grays, hidden


def _pre_warped(warps: dict[int, Warp], grays: dict[int, Gray]) -> dict[int, Gray]:
    return {frame: pre_warped(gray, warps[frame].from_to, _SIZE_WH) for frame, gray in grays.items()}


def _error(warp: Warp, moved: float) -> float:
    """Return the mean distance (px) of where a warp looks for the wall from where it is."""
    y, x = np.mgrid[70:130:6, 145:176:6]
    at = warp.coordinates((0, 0, *_SIZE_WH), _SIZE_WH)[y, x]
    # Where it is: the wall's pixel x shows base at x + 30 + 0.2 moved.
    return float(np.hypot(at[..., 0] - (x - 0.2 * moved), at[..., 1] - y).mean())


def test_parallax_behind_a_person_is_learned_from_the_frames_that_show_it() -> None:
    warps, reference, grays, hidden = _prepared()
    first = warps
    before = {frame: _error(warps[frame], moved) for frame, moved in _MOVED.items()}
    people = dict.fromkeys(grays, np.zeros_like(hidden))
    order = sorted(grays, key=abs)
    anchor = work_gray(_seen(0.0))
    for _ in range(2):
        mosaic = hidden_mosaic(anchor, hidden, warps, grays, people, order)
        assert mosaic is not None
        warps = with_hidden_parallax(
            warps, mosaic, reference.features()[::2], grays, _pre_warped(warps, grays), people, _BODY_PX
        )
    after = {frame: _error(warps[frame], moved) for frame, moved in _MOVED.items()}
    assert max(before.values()) > 2.5
    assert max(after.values()) < 0.8 and np.mean(list(after.values())) < 0.4, after
    # Around it the warps are as they were.
    for frame in _MOVED:
        at = [
            each[frame].coordinates((0, 0, *_SIZE_WH), _SIZE_WH)[[30, 30, 200], [30, 290, 30]]
            for each in (first, warps)
        ]
        assert np.abs(at[1] - at[0]).max() < 0.1


def test_a_frame_that_hides_the_wall_too_is_placed_by_the_pattern() -> None:
    """It tells how far the camera moved; the pattern, how far that moves the wall."""
    warps, reference, grays, hidden = _prepared()
    people = dict.fromkeys(grays, np.zeros_like(hidden))
    for _ in range(2):
        mosaic = hidden_mosaic(work_gray(_seen(0.0)), hidden, warps, grays, people, sorted(grays, key=abs))
        assert mosaic is not None
        warps = with_hidden_parallax(
            warps, mosaic, reference.features()[::2], grays, _pre_warped(warps, grays), people, _BODY_PX
        )
    pattern, moved_by = parallax_pattern(warps, _SIZE_WH)
    assert len(pattern.nodes) == 1
    assert abs(np.corrcoef(moved_by[1:, 0], list(_MOVED.values()))[0, 1]) > 0.99
    plate = RegistrationTarget(_seen(0.0), np.zeros_like(hidden))
    frame = _seen(2.5)
    frame[hidden] = 100
    rows, found = plate.match(work_gray(frame), hidden, np.eye(3))
    points = plate.features()[rows]
    errors = []
    for known in (None, pattern):
        warp = fit_warp(found, points, _SIZE_WH, _BODY_PX, np.eye(3), known)
        y, x = np.mgrid[70:130:6, 145:176:6]
        at = warp.coordinates((0, 0, *_SIZE_WH), _SIZE_WH)[y, x]
        # The wall at x of the frame is at x + 0.2 * 2.5 of the plate.
        errors.append(float(np.hypot(at[..., 0] - (x + 0.5), at[..., 1] - y).mean()))
    assert errors[0] > 1.5 and errors[1] < 0.8, errors


def test_without_features_behind_the_person_the_warps_stay() -> None:
    warps, _, grays, hidden = _prepared()
    people = dict.fromkeys(grays, np.ones_like(hidden))
    assert hidden_mosaic(work_gray(_seen(0.0)), hidden, warps, grays, people, sorted(grays)) is None
    blank = RegistrationTarget.of_gray(np.full((240, 320), 90, np.uint8), ~hidden)
    seen = _pre_warped(warps, grays)
    assert with_hidden_parallax(warps, blank, np.zeros((0, 2)), grays, seen, people, _BODY_PX) is warps
    assert np.allclose(apply_transform(warps[0].from_to, np.array([[3.0, 4.0]])), [[3, 4]])
