"""Cross-fades are found with their weights while both cameras move, and pans are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.clip import Frame
from pipeline.errors import Cancelled
from pipeline.runtime.callbacks import Check
from pipeline.survey.moving_dissolves import DetailEnergy, _motion, with_moving_dissolves
from tests.support.clip_info import video_info

SIZE_WH = (160, 120)
COUNT, FIRST = 60, 24
Gray = NDArray[np.uint8]


def scene(seed: int, speed_px: float, blurred: bool = False) -> list[Gray]:
    """Return pictures of a texture that passes by; ``blurred`` by its motion in the middle of the clip."""
    noise = np.random.default_rng(seed).normal(0, 1, (180, 1000)).astype(np.float32)
    texture = np.clip(128 + 300 * cv2.GaussianBlur(noise, (0, 0), 2.5), 0, 255)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pictures = []
    for t in range(COUNT):
        shift = np.array([[1, 0, 40 + 0.4 * abs(speed_px) * COUNT + speed_px * (t - COUNT / 2)], [0, 1, 20.0]])
        whole = cv2.GaussianBlur(texture, (0, 0), 5, sigmaY=0.1) if blurred and 24 <= t < 36 else texture
        pictures.append(np.asarray(cv2.warpAffine(whole, shift, SIZE_WH, flags=flags), np.uint8))
    return pictures


def weights_in(length: int) -> NDArray[np.float64]:
    return np.clip((np.arange(COUNT) - FIRST + 1) / (length + 1), 0, 1)


def mixed(length: int, speeds_px: tuple[float, float]) -> list[Gray]:
    """Return a clip that fades from one scene to another."""
    pairs = zip(scene(1, speeds_px[0]), scene(2, speeds_px[1]), weights_in(length), strict=True)
    return [np.rint(a * (1 - weight) + b * weight).astype(np.uint8) for a, b, weight in pairs]


class _Clip:
    info = video_info(COUNT, SIZE_WH)

    def __init__(self, pictures: Sequence[Gray]) -> None:
        self._pictures = pictures

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        return self.frames_at(range(start, COUNT if stop is None else stop))

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        gray = np.full((SIZE_WH[1] // 2, SIZE_WH[0] // 2), 128, np.uint8)
        for index in indices:
            yield Frame(index, index, 1, (self._pictures[index], gray, gray), self.info)


def found(
    pictures: Sequence[Gray], known: NDArray[np.float32] | None = None, check: Check = lambda: None
) -> NDArray[np.float32] | None:
    energy = DetailEnergy()
    for picture in pictures:
        energy.push(np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), np.uint8))
    return with_moving_dissolves(_Clip(pictures), energy.values, known, check)


@pytest.mark.parametrize("length", [6, 12])
@pytest.mark.parametrize("speeds_px", [(0.0, 0.0), (2.5, -1.5), (-3.0, 0.0)])
def test_a_cross_fade_is_found_with_its_weights(length: int, speeds_px: tuple[float, float]) -> None:
    weights = found(mixed(length, speeds_px))
    assert weights is not None
    blended = np.flatnonzero(np.isfinite(weights))
    assert abs(blended[0] - FIRST) <= 1
    assert abs(blended[-1] - (FIRST + length - 1)) <= 1
    assert np.abs(weights - weights_in(length))[blended].max() < 0.06


@pytest.mark.parametrize(
    "pictures",
    [scene(1, 4.0), scene(1, 4.0, blurred=True), [*scene(1, 1.0)[:30], *scene(2, 1.0)[30:]]],
    ids=["pan", "blurred pan", "cut"],
)
def test_what_is_no_cross_fade_is_not_taken_for_one(pictures: Sequence[Gray]) -> None:
    assert found(pictures) is None


@pytest.mark.parametrize("level", [0, 16])
def test_a_plain_clip_and_a_second_of_black_are_hardly_looked_at(level: int) -> None:
    plain = np.full(SIZE_WH[::-1], level, np.uint8)
    looks: list[None] = []
    assert found([plain] * COUNT, check=lambda: looks.append(None)) is None
    assert not looks
    found([*scene(1, 1.0)[:20], *[plain] * 20, *scene(2, 1.0)[40:]], check=lambda: looks.append(None))
    assert len(looks) <= 7


def test_pictures_of_a_dozen_lines_have_no_motion() -> None:
    tiny = np.random.default_rng(0).integers(0, 256, (12, 12), np.uint8)
    assert not _motion(tiny, np.roll(tiny, 1, axis=1)).any()


def test_known_cross_fades_stay_unless_they_are_measured_anew() -> None:
    known = np.full(COUNT, np.nan, np.float32)
    known[4:8] = 0.3
    known[FIRST : FIRST + 4] = 0.9
    weights = found(mixed(12, (2.5, -1.5)), known)
    assert weights is not None
    assert np.allclose(weights[4:8], 0.3)
    assert abs(weights[FIRST + 1] - weights_in(12)[FIRST + 1]) < 0.06


def test_a_cancelled_job_does_not_look_on() -> None:
    def cancel() -> None:
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        found(mixed(12, (0.0, 0.0)), check=cancel)
