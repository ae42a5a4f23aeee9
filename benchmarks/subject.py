"""Check that the job replaces the right person: `python -m benchmarks.subject`.

Clips with known ground truth are composed from walk_a and package footage (``python -m builder.fetch_models --tests``):
one of three shots, one in which two people cross, one with an exposure ramp, and those of ``benchmarks.constructed``.
The preview job runs on each; the detected cuts are compared as well.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import constructed
from benchmarks.figures import load_truth
from benchmarks.judged_job import run, video_of
from benchmarks.shake import read_rgb, write_video
from benchmarks.stage import MadeClip
from pipeline.media.ffv1 import read_artifact

ROOT = Path(__file__).resolve().parents[1]
WALK_A = ROOT / "assets" / "walk_a"

AIM = 0.99

Pictures = Iterator[NDArray[np.uint8]]


def joined(out: Path) -> MadeClip:
    """Write three shots with hard cuts: walk_a, another man in another scene, walk_a's man again (mirrored).

    The subject is walk_a's man, who is absent in the middle shot.
    """
    truth = load_truth(WALK_A)
    first, last = range(20, 70), range(75, 125)
    middle = [_pillarboxed(rgb) for rgb in islice(read_rgb(ROOT / "weights" / "footage" / "cam03.mp4"), 0, 80, 2)]

    def pictures() -> Pictures:
        yield from islice(read_rgb(WALK_A / "sample.mp4"), first.start, first.stop)
        yield from middle
        for rgb in islice(read_rgb(WALK_A / "sample.mp4"), last.start, last.stop):
            yield np.ascontiguousarray(rgb[:, ::-1])

    write_video(out, pictures(), crf=18)
    nobody = np.zeros((len(middle), 360, 640), bool)
    subject = np.concatenate([truth.masks[list(first)], nobody, truth.masks[list(last)][:, :, ::-1]])
    return MadeClip(out, subject, np.zeros_like(subject), (0, len(first), len(first) + len(middle)))


def crossing(out: Path, num_frames: int = 130) -> MadeClip:
    """Write walk_a with a second, smaller man in other clothes who passes behind the first from right to left.

    The other one is walk_a's man mirrored, three quarters as large, with rotated hue, and walks on while the first
    stands still. The subject is the first, who is larger and never occluded.
    """
    truth = load_truth(WALK_A)
    walk = [*range(60), *range(91, 150)]
    sources = list(read_rgb(WALK_A / "sample.mp4"))
    subject = truth.masks[:num_frames]
    others = np.zeros((num_frames, 360, 640), bool)
    shrink = np.array([[0.75, 0, 0.125 * 639], [0, 0.75, 0.25 * 265]])

    def pictures() -> Pictures:
        for t in range(num_frames):
            picture = sources[t].copy()
            of = t - 15
            if 0 <= of < len(walk):
                mask = truth.masks[walk[of]][:, ::-1].astype(np.uint8)
                turned = cv2.cvtColor(np.ascontiguousarray(sources[walk[of]][:, ::-1]), cv2.COLOR_RGB2HSV)
                turned[..., 0] = (turned[..., 0].astype(np.int16) + 70) % 180
                turned[..., 1] = np.minimum(turned[..., 1].astype(np.int16) + 60, 255)
                dyed = cv2.warpAffine(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB), shrink, (640, 360), flags=cv2.INTER_AREA)
                others[t] = (cv2.warpAffine(mask, shrink, (640, 360)) > 0) & ~subject[t]
                picture[others[t]] = dyed[others[t]]
            yield picture

    write_video(out, pictures(), crf=18)
    return MadeClip(out, subject, others)


def exposure_ramp(out: Path, num_frames: int = 150) -> MadeClip:
    """Write walk_a with a gain that increases from 0.6 to 1.4 over the clip."""
    gains = np.linspace(0.6, 1.4, num_frames)
    source = islice(read_rgb(WALK_A / "sample.mp4"), num_frames)
    pictures = (np.clip(rgb * gain, 0, 255).astype(np.uint8) for rgb, gain in zip(source, gains, strict=True))
    write_video(out, pictures, crf=18)
    subject = load_truth(WALK_A).masks[:num_frames]
    return MadeClip(out, subject, np.zeros_like(subject))


def _pillarboxed(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fit a portrait picture into 640x360, gray at the sides."""
    width = round(rgb.shape[1] * 360 / rgb.shape[0])
    picture = np.full((360, 640, 3), 90, np.uint8)
    left = (640 - width) // 2
    picture[:, left : left + width] = cv2.resize(rgb, (width, 360), interpolation=cv2.INTER_AREA)
    return picture


def judged(make: Callable[[Path], MadeClip]) -> bool:
    """Make a clip, run the job on it, print its line; return whether an aim was missed."""
    with tempfile.TemporaryDirectory(prefix="subject-") as temporary:
        work = Path(temporary)
        clip = make(work / "clip.mp4")
        made = video_of(run(clip.path, work, artifacts=("mask", "analysis"), subject=clip.choice)).parent
        masks = made / "mask.mkv"
        with np.load(made / "analysis.npz") as analysis:
            cuts = {int(start) for start in analysis["shot_starts"]}
        share = clip.right_share(read_artifact(masks))
        wrong = clip.wrong_frames(read_artifact(masks))
    lost = set(clip.shot_starts) - cuts
    false = cuts - set(clip.shot_starts)
    verdict = "ok" if share >= AIM else "MISSED"
    right = f"right in {share:.3f} of the subject's frames (aim {AIM})"
    print(f"{make.__name__:<24} {right}  {verdict}", end="", flush=True)
    print(f"; somebody else replaced in {wrong} frames without the subject", end="")
    print(f"; cuts: {len(clip.shot_starts) - 1}, missed {len(lost)}, false {len(false)}", flush=True)
    return share < AIM or bool(lost) or bool(false)


def main() -> int:
    clips = {make.__name__: make for make in (joined, crossing, exposure_ramp, *constructed.CLIPS)}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.subject", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="*", choices=[*clips, []], help="only these")
    wanted = parser.parse_args().clips or [*clips]
    missed = [judged(clips[name]) for name in wanted]
    return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())
