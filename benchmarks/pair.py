"""Compare a job's result with the ideal one: `python -m benchmarks.pair FOLDER --reference assets/suit.png`.

FOLDER is a truth folder with ``pair_suit.mp4``, the same clip with the reference's person in place of the original, and
the mask of it ``pair_suit_mask.npz``. Runs the ``preview`` job on ``rgb.mp4`` (or ``sample.mp4``) with lossless output,
and prints for the result and for the untouched source:

* PSNR and SSIM (Wang et al. 2004, luma, Gaussian window of 1.5 px) over both people's true masks;
* the color difference (CIE76) of the new person: between the mean colors in the ideal one's mask, frame by frame, and
  pixel by pixel;
* similarity of result, source and ideal result to the reference (``benchmarks.identity``), where its network is there;
* PSNR outside both people: plate, shadows, and what should be unchanged.

``--light`` relights the folder first (``benchmarks.relight``). ``--workspace`` keeps the files of the passes, so that a
second call only repeats missing ones; ``--pictures`` writes stills: source, result, ideal.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.identity import identity_figures, is_large_enough, weights_are_here
from benchmarks.picture_figures import SquareError
from benchmarks.relight import LIGHTS, relight_folder
from benchmarks.shake import read_rgb
from conf import compose_settings
from pipeline.models.loaded import load_models
from pipeline.request import JobRequest
from pipeline.run import run_job
from worker.source.picture import read_reference

Mask = NDArray[np.bool_]
_LEAST_PX = 200
"""With fewer pixels only a sliver of the person is visible at the picture's edge, whose mean color means nothing."""
_STILLS = 6


@dataclass(slots=True)
class Tally:
    """Metrics of one video against the ideal one, pooled over its frames."""

    at_person: SquareError = field(default_factory=SquareError)
    outside: SquareError = field(default_factory=SquareError)
    ssims: list[float] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    pixels: list[float] = field(default_factory=list)
    directions: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, picture: NDArray[np.uint8], ideal: NDArray[np.uint8], old: Mask, new: Mask) -> None:
        """Add one frame (H, W, 3) with the true masks (H, W) of the original and the new person."""
        both = old | new
        self.outside.add(picture, ideal, ~both)
        if np.count_nonzero(new) < _LEAST_PX:
            return
        self.at_person.add(picture, ideal, both)
        self.ssims.append(float(ssim(picture, ideal)[both].mean()))
        difference = lab_of(picture)[new] - lab_of(ideal)[new]
        self.directions.append(difference.mean(axis=0))
        self.means.append(float(np.linalg.norm(difference.mean(axis=0))))
        self.pixels.append(float(np.linalg.norm(difference, axis=1).mean()))

    def figures(self) -> dict[str, float]:
        """Return the figures by name."""
        lightness, red, yellow = np.mean(self.directions, axis=0)
        return {
            "psnr_person_db": self.at_person.psnr_db,
            "ssim_person": float(np.mean(self.ssims)),
            "cie76_mean": float(np.mean(self.means)),
            "cie76_pixel": float(np.mean(self.pixels)),
            "lightness": float(lightness),
            "red_green": float(red),
            "yellow_blue": float(yellow),
            "psnr_outside_db": self.outside.psnr_db,
        }


def lab_of(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return CIE L*a*b* (D65) of sRGB, in its own units."""
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB), np.float32)


def ssim(picture: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the map (H, W) of structural similarity of two pictures' luma (Wang et al., IEEE TIP 2004)."""
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (picture, other))

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float32)

    mean_a, mean_b = mean(a), mean(b)
    var_a = mean(a * a) - mean_a**2
    var_b = mean(b * b) - mean_b**2
    cov = mean(a * b) - mean_a * mean_b
    c1, c2 = np.float32((0.01 * 255) ** 2), np.float32((0.03 * 255) ** 2)
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return np.asarray(top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)), np.float32)


def load_masks(path: Path) -> NDArray[np.bool_]:
    """Read the masks (T, H, W) of a truth file."""
    with np.load(path) as packed:
        return np.unpackbits(packed["mask"], axis=-1, count=int(packed["shape"][2])).astype(np.bool_)


def clip_of(folder: Path) -> Path:
    """Return the folder's clip: the rendered one if present, else the smaller sample."""
    return folder / "rgb.mp4" if (folder / "rgb.mp4").exists() else folder / "sample.mp4"


def judge(folder: Path, videos: dict[str, Path], stills: Path | None = None) -> dict[str, dict[str, float]]:
    """Return name -> metrics of videos with the folder's frames, against its ideal result."""
    old = load_masks(folder / "mask.npz")
    new = load_masks(folder / "pair_suit_mask.npz")
    tallies = {name: Tally() for name in videos}
    shown = _spread(new)
    for t, (ideal, *pictures) in enumerate(_together(folder / "pair_suit.mp4", *videos.values())):
        for tally, picture in zip(tallies.values(), pictures, strict=True):
            tally.add(picture, ideal, old[t], new[t])
        if stills is not None and t in shown:
            row = np.concatenate([*pictures, ideal], axis=1)
            cv2.imwrite(str(stills / f"pair_{t:04d}.png"), row[..., ::-1])
    return {name: tally.figures() for name, tally in tallies.items()}


def identity(folder: Path, videos: dict[str, Path], reference: Path) -> dict[str, float]:
    """Return the cosine similarity of the people in videos to the reference (RGBA); of the ideal result as well.

    ``source`` is evaluated under the original person's mask, all others under the new one's.
    """
    old = load_masks(folder / "mask.npz")
    new = load_masks(folder / "pair_suit_mask.npz")
    paths = {**videos, "ideal": folder / "pair_suit.mp4"}
    seen: dict[str, list[tuple[NDArray[np.uint8], Mask]]] = {name: [] for name in paths}
    shown = {t for t in _spread(new) if is_large_enough(old[t]) and is_large_enough(new[t])}
    for t, pictures in enumerate(_together(*paths.values())):
        if t in shown:
            for name, picture in zip(paths, pictures, strict=True):
                seen[name].append((picture, old[t] if name == "source" else new[t]))
    picture = cv2.cvtColor(cv2.imread(str(reference), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    return identity_figures(picture, seen)


def _spread(masks: NDArray[np.bool_]) -> set[int]:
    present = np.flatnonzero(masks.sum(axis=(1, 2)) >= _LEAST_PX)
    return {int(present[i]) for i in np.linspace(0, len(present) - 1, _STILLS).astype(int)}


def _together(*paths: Path) -> Iterator[tuple[NDArray[np.uint8], ...]]:
    yield from zip(*(read_rgb(path) for path in paths), strict=True)


def run_pair(
    clip: Path, references: list[Path], workspace: Path, preset: str, overrides: list[str]
) -> tuple[Path, dict[str, float]]:
    """Run the job; return its video and the seconds per pass. Results are in ``workspace``/out."""
    settings = compose_settings(preset, [*overrides, "output=lossless"])
    first, *more = (read_reference(path, settings.limits.max_reference_megapixels) for path in references)
    request = JobRequest(clip, workspace / "out", reference=first, more_references=tuple(more))
    result = run_job(request, settings, load_models(settings), workspace / "space")
    assert result.video is not None
    return result.video, result.timings_s


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pair", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="rgb.mp4, mask.npz, pair_suit.mp4, pair_suit_mask.npz, gt.npz")
    parser.add_argument("--reference", type=Path, nargs="+", default=[Path("assets/suit.png")], help="front first")
    parser.add_argument("--light", choices=sorted(LIGHTS), help="relight the folder first")
    parser.add_argument("--preset", default="preview")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, Hydra's grammar")
    parser.add_argument("--workspace", type=Path, help="keep what lies between the passes there")
    parser.add_argument("--pictures", type=Path, help="write stills there")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pair-") as temporary:
        work = arguments.workspace or Path(temporary)
        folder = arguments.folder
        if arguments.light:
            folder = work / arguments.light
            if not (folder / "gt.npz").exists():
                relight_folder(arguments.folder, folder, arguments.light)
        if arguments.pictures:
            arguments.pictures.mkdir(parents=True, exist_ok=True)
        clip = clip_of(folder)
        video, timings = run_pair(clip, arguments.reference, work, arguments.preset, arguments.set)
        videos = {"source": clip, "result": video}
        table = judge(folder, videos, arguments.pictures)
        looks = identity(folder, videos, arguments.reference[0]) if weights_are_here() else {}
    for name in table["result"]:
        print(f"{name:<18} result {table['result'][name]:8.3f}   source {table['source'][name]:8.3f}")
    if looks:
        print("identity           " + "   ".join(f"{name} {value:.3f}" for name, value in looks.items()))
    print("seconds            " + ", ".join(f"{name} {value:.1f}" for name, value in timings.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps({**table, "identity": looks}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
