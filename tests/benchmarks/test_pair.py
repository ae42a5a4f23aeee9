"""The formulas of benchmarks.pair and benchmarks.relight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.pair import Tally, judge, lab_of
from benchmarks.relight import linear_of, relight_folder, relit, srgb_of
from benchmarks.shake import read_rgb, write_video


def _masks() -> tuple[np.ndarray, np.ndarray]:
    old = np.zeros((64, 96), bool)
    new = old.copy()
    old[10:50, 20:50] = True
    new[10:50, 30:60] = True
    return old, new


def test_each_figure_looks_at_its_own_place() -> None:
    old, new = _masks()
    ideal = np.random.default_rng(0).integers(80, 160, (64, 96, 3)).astype(np.uint8)
    picture = ideal.copy()
    picture[~(old | new)] += 4
    tally = Tally()
    tally.add(picture, ideal, old, new)
    figures = tally.figures()
    assert figures["cie76_mean"] == 0 and np.isinf(figures["psnr_person_db"])
    assert figures["psnr_outside_db"] == pytest.approx(20 * np.log10(255 / 4))
    assert 0.8 < figures["ssim_person"] < 1


def test_the_color_difference_is_one_of_means_and_of_pixels() -> None:
    old, new = _masks()
    ideal = np.full((64, 96, 3), 120, np.uint8)
    picture = ideal.copy()
    # Half of the person lighter, half darker by the same lightness: no difference of the means.
    picture[10:30, 30:60] = 140
    picture[30:50, 30:60] = 100
    tally = Tally()
    tally.add(picture, ideal, old, new)
    figures = tally.figures()
    assert figures["cie76_mean"] < 0.5 < 7 < figures["cie76_pixel"]
    assert lab_of(np.full((1, 1, 3), 255, np.uint8))[0, 0, 0] == pytest.approx(100, abs=0.01)


def test_relighting_is_a_gain_of_linear_light_fixed_to_the_background() -> None:
    gray = np.full((32, 200, 3), 128, np.uint8)
    still, panned = (next(relit(iter([gray]), "shade", np.array([shift]))) for shift in (0.0, 40.0))
    np.testing.assert_array_equal(panned[:, 40:], still[:, :-40])
    gain = linear_of(still[:, -1:]) / linear_of(gray[:, -1:])
    np.testing.assert_allclose(gain[0, 0], (0.20, 0.24, 0.33), atol=0.01)
    np.testing.assert_array_equal(srgb_of(linear_of(gray)), gray)


def test_a_folder_is_relit_with_its_ideal_and_judged(tmp_path: Path) -> None:
    old, new = _masks()
    folder = tmp_path / "day"
    out = tmp_path / "night"
    folder.mkdir()
    background = np.random.default_rng(1).integers(60, 200, (8, 12, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    for name, person in (("rgb", 40), ("pair_suit", 220)):
        picture = background.copy()
        picture[old if name == "rgb" else new] = person
        write_video(folder / f"{name}.mp4", [picture] * 3)
    for name, mask in (("mask", old), ("pair_suit_mask", new)):
        np.savez(folder / f"{name}.npz", mask=np.packbits([mask] * 3, axis=-1), shape=np.array((3, 64, 96)))
    points = np.zeros((3, 5, 2))
    np.savez(folder / "gt.npz", bg_tracks=points, bg_visible=np.ones((3, 5), bool))
    relight_folder(folder, out, "night")
    assert np.mean(next(read_rgb(out / "rgb.mp4"))) < 0.6 * np.mean(background)
    table = judge(out, {"source": out / "rgb.mp4", "ideal": out / "pair_suit.mp4"}, tmp_path)
    assert table["ideal"]["cie76_mean"] == 0 and table["source"]["cie76_mean"] > 10
    # Differences outside both come from the codec: the noise was the same.
    assert table["source"]["psnr_outside_db"] > 34
    assert list(tmp_path.glob("pair_*.png"))
