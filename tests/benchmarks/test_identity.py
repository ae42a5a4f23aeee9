"""Identity similarity: views of one person are more similar than two people."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torchvision")

from benchmarks.identity import Embedder, identity_figures, is_large_enough

_ASSETS = Path(__file__).resolve().parents[2] / "assets"


def _picture(name: str) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(_ASSETS / f"{name}.png"), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


def test_the_same_person_smaller_and_mirrored_is_nearer_than_another() -> None:
    suit, sport = _picture("suit"), _picture("sport")
    small = cv2.resize(suit, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    seen = {
        name: [(np.ascontiguousarray(picture[..., :3]), picture[..., 3] > 127)]
        for name, picture in (("itself", suit), ("small", small), ("mirrored", suit[:, ::-1]), ("other", sport))
    }
    cosines = identity_figures(suit, seen)
    assert cosines["itself"] == pytest.approx(1.0, abs=1e-6)
    assert min(cosines["small"], cosines["mirrored"]) > cosines["other"] + 0.1


def test_surroundings_of_a_person_do_not_count() -> None:
    suit = _picture("suit")
    mask = suit[..., 3] > 127
    first, second = (np.where(mask[..., None], suit[..., :3], np.uint8(level)) for level in (0, 255))
    embedder = Embedder()
    np.testing.assert_array_equal(embedder.embed(first, mask), embedder.embed(second, mask))
    assert is_large_enough(mask) and not is_large_enough(mask[:50])
