"""The constructed reference pictures show what they claim, and the true outline is theirs."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.constructed_references import KINDS
from benchmarks.reference_scene import Scene

_POINTS = {0: (60, 34), 1: (66, 28), 2: (54, 28), 3: (72, 30), 4: (48, 30), 5: (80, 56), 6: (40, 56), 7: (92, 80),
           8: (28, 80), 9: (104, 104), 10: (16, 104), 11: (72, 110), 12: (48, 110), 13: (74, 150), 14: (46, 150),
           15: (76, 190), 16: (44, 190)}  # fmt: skip


@pytest.fixture
def scene() -> Scene:
    """Return a block with a head, 200 px tall."""
    rgba = np.zeros((210, 120, 4), np.uint8)
    rgba[10:50, 45:75] = [180, 130, 100, 255]
    rgba[50:200, 36:84] = [60, 60, 160, 255]
    background = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    return Scene(rgba, np.array([_POINTS[n] for n in range(17)], np.float64), background)


@pytest.mark.parametrize("kind", [*KINDS])
def test_the_truth_has_the_size_of_the_decoded_file(scene: Scene, kind: str) -> None:
    makers, encode = KINDS[kind]
    for make in makers:
        scene = make(scene)
    with Image.open(io.BytesIO(encode(scene))) as picture:
        assert ImageOps.exif_transpose(picture).size == scene.mask.shape[::-1]


def test_things_widen_the_outline_and_photographs_keep_it(scene: Scene) -> None:
    hat, photo = (KINDS[kind][0][0] for kind in ("hat", "photo"))
    assert hat(scene).mask.sum() > 1.02 * scene.mask.sum()
    shown = photo(scene)
    assert shown.mask.sum() == scene.mask.sum()
    assert (shown.rgba[..., 3] == 255).all()
    # The person is where the joints say.
    x, y = shown.at("nose").astype(int)
    assert shown.mask[y, x] and not shown.mask[y, 2]
