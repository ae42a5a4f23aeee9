"""Evaluate a whole job against ground truth: `python -m benchmarks.truth assets/walk_a`.

Runs the ``preview`` job on the folder's ``sample.mp4`` (``rgb.mp4`` where there is none) with lossless output and all
artifacts, and prints each figure beside its aim. Everything is compared with ``gt.npz``, ``mask.npz`` and ``plate.mp4``
(formulas in ``benchmarks.figures``): cameras and contacts are the true ones, never the job's. With masks of other
people (``others_mask.npz``) it is also checked whom the job replaced.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks import figures
from benchmarks.judged_job import Figure, at_least, at_most, judge_planes, run, video_of
from benchmarks.package_clip import judge_package_clip
from benchmarks.picture_figures import Bools, KeptShare, SquareError
from benchmarks.shake import read_rgb, shake_clip
from pipeline.media.decode import open_clip
from pipeline.media.ffv1 import read_artifact
from pipeline.media.pixels import rgb_of
from pipeline.result import JobResult

_ROOT = Path(__file__).resolve().parents[1]
_FOOTAGE = _ROOT / "weights" / "footage"


def judge(folder: Path, work: Path, *overrides: str) -> Iterator[Figure]:
    """Yield the figures of one truth folder; ``work`` is an empty folder for the runs."""
    truth = figures.load_truth(folder)
    clip = figures.clip_of(folder)
    for name in ("locked", "unlocked", "again"):
        (work / name).mkdir(parents=True)
    result = run(clip, work / "locked", *overrides, "segment.count=3", "output=lossless")
    out = video_of(result).parent
    with np.load(out / "analysis.npz") as file:
        analysis = {name: file[name] for name in file.files}

    yield from judge_planes(clip, result, out, truth)
    yield from _container(clip, video_of(result))
    again = run(clip, work / "again", *overrides, "segment.count=3", "output=lossless", artifacts=())
    same = video_of(again).read_bytes() == video_of(result).read_bytes()
    yield Figure("P5: two runs give the same bytes", "yes" if same else "no", "yes", same)

    error = figures.pair_motion_error_px(analysis["world_from_source"], truth.bg_tracks, truth.bg_visible)
    yield at_most("camera: mean error of a frame pair's motion, px", error, 0.09, 3)
    yield from _person(out, analysis, truth)
    yield from _kept(clip, result, truth)
    on_ground = figures.contact_f1(analysis["contacts"], truth.on_ground, _counted(truth))
    yield at_least("contacts: F1 against foot_state >= 1, worse foot", min(on_ground), 0.92, 3)
    flat = figures.contact_f1(analysis["contacts"], truth.contact, _counted(truth))
    yield Figure("contacts: F1 against contact, left / right", f"{flat[0]:.3f} / {flat[1]:.3f}", "", None)
    borders = figures.border_error_frames(analysis["segment_bounds"].ravel(), truth.phase)
    yield Figure("segments: largest border error, frames", str(borders), "≤ 5", borders is not None and borders <= 5)
    yield from _plate(folder, out, analysis, truth)
    placed = analysis["placed_joints"].astype(np.float64)
    yield at_most(
        "P3: RMS second difference of placed minus true joints, % bh", figures.jitter_percent(placed, truth), 0.5, 3
    )
    loose = run(clip, work / "unlocked", *overrides, "segment.count=3", "foot_lock=none", artifacts=("analysis",))
    with np.load(video_of(loose).parent / "analysis.npz") as file:
        before = figures.foot_slide_percent(file["placed_joints"].astype(np.float64), truth)
    after = figures.foot_slide_percent(placed, truth)
    yield Figure("foot slide without foot lock, % bh", f"{before:.3f}", "", None)
    yield Figure("foot slide with foot lock, % bh", f"{after:.3f}", "", None)
    yield at_most("foot slide: with / without", after / before, 1 / 3, 3)
    for name in ("warping_error_source", "warping_error_result", "seam_gradient_ratio", "psnr_outside_db"):
        value = getattr(result.report.quality, name)
        yield Figure(f"own figure: {name}", "none" if value is None else f"{value:.4f}", "", None)


def _container(clip: Path, video: Path) -> Iterator[Figure]:
    before, after = _facts(clip), _facts(video)
    wrong = [name for name in before if before[name] != after[name]]
    yield Figure("P2: PTS, durations, sound, matrix, format, tags", ", ".join(wrong) or "equal", "equal", not wrong)


def _facts(path: Path) -> dict[str, Any]:
    info = open_clip(path).info
    facts: dict[str, Any] = {
        "pts": [int(pts) * info.time_base for pts in info.pts],
        "durations": [int(duration) * info.time_base for duration in info.durations],
        "pix_fmt": info.pix_fmt.replace("yuvj", "yuv"),
        "tags": (info.color_range, info.color_matrix, info.color_primaries, info.color_transfer),
        "display_matrix": info.display_matrix,
        "sample_aspect_ratio": info.sample_aspect_ratio,
    }
    with av.open(str(path)) as container:
        for stream in container.streams.audio[:1]:
            packets = [p for p in container.demux(stream) if p.size]
            facts["audio"] = [(hashlib.sha256(bytes(p)).hexdigest(), p.pts * p.time_base) for p in packets]
    return facts


def _person(out: Path, analysis: dict[str, NDArray[Any]], truth: figures.Truth) -> Iterator[Figure]:
    found = analysis["presence"] == 2
    yield at_least(
        "person: share of the subject's frames in which they are found",
        figures.found_share(found, truth.masks),
        0.97,
        3,
    )
    ious = []
    for t, mask in enumerate(read_artifact(out / "mask.mkv")):
        if truth.masks[t].any():
            ious.append(figures.mask_iou(mask > 0, truth.masks[t]))
    shown = truth.masks.any(axis=(1, 2))
    of_found = float(np.mean(np.array(ious)[found[shown]]))
    all_frames = float(np.mean(np.where(found[shown], ious, 0.0)))
    yield at_least("person: mask IoU on found frames", of_found, 0.92, 3)
    yield at_least("person: mask IoU, missed frames as 0", all_frames, 0.90, 3)
    if truth.others is not None:
        share = figures.right_share(read_artifact(out / "mask.mkv"), truth.masks, truth.others)
        yield at_least("person: share of the subject's frames in which they are the one replaced", share, 0.99, 3)
    error = 100 * figures.joint_error_bh(analysis["joints"].astype(np.float64), truth)
    yield at_most("person: mean error of visible joints, % bh", error, 2.0, 2)


def _kept(clip: Path, result: JobResult, truth: figures.Truth) -> Iterator[Figure]:
    """Yield how much of the scene around the subject is preserved, where the truth covers it."""
    kinds = {
        "other people's visible pixels": (truth.others, 0.995),
        "carried thing": (truth.carried, 0.95),
        "what stands in front of the subject": (truth.front, 0.97),
    }
    told = [(name, masks, aim, KeptShare()) for name, (masks, aim) in kinds.items() if masks is not None]
    if not told:
        return
    for source, made in zip(open_clip(clip).frames(), open_clip(video_of(result)).frames(), strict=True):
        before, after = rgb_of(source), rgb_of(made)
        for _, masks, _, share in told:
            share.add(before, after, masks[source.index])
    for name, _, aim, share in told:
        yield at_least(f"kept: {name}", share.share, aim, 3)


def _counted(truth: figures.Truth) -> Bools:
    """Return (T, 2): frames whose ankle is inside the picture; the others are unknown."""
    return truth.in_frame[:, [figures.LEFT_ANKLE, figures.RIGHT_ANKLE]]


def _plate(folder: Path, out: Path, analysis: dict[str, NDArray[Any]], truth: figures.Truth) -> Iterator[Figure]:
    pooled = SquareError()
    worst = float("inf")
    for t, (plate, true) in enumerate(
        zip(read_artifact(out / "plate.mkv"), read_rgb(folder / "plate.mp4"), strict=True)
    ):
        if not truth.masks[t].any():
            continue
        one = SquareError()
        one.add(plate, true, truth.masks[t])
        worst = min(worst, one.psnr_db)
        pooled.add(plate, true, truth.masks[t])
    yield at_least("plate: PSNR where the subject stood, all frames, dB", pooled.psnr_db, 24.0, 2)
    yield Figure("plate: PSNR of the worst frame, dB", f"{worst:.2f}", "", None)
    del analysis


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "folder", type=Path, help="sample.mp4 or rgb.mp4, plate.mp4, gt.npz, mask.npz; such as assets/walk_a"
    )
    parser.add_argument("--preset", default="preview")
    parser.add_argument("--shake", action="store_true", help="put a known strong shake over the clip first")
    parser.add_argument("--package", action="store_true", help="a real clip as well (fetch_models --tests)")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, Hydra's grammar")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="truth-") as temporary:
        work = Path(temporary)
        folder = arguments.folder
        if arguments.shake:
            folder = work / "shaken"
            shake_clip(arguments.folder, folder)
        table = []
        for figure in judge(folder, work / "runs", f"preset={arguments.preset}", *arguments.set):
            table.append(figure)
            _print(figure)
        if arguments.package:
            for figure in judge_package_clip(_FOOTAGE / "cam01.mp4", work / "package"):
                table.append(figure)
                _print(figure)
    if arguments.json:
        rows = [{"figure": f.name, "value": f.value, "aim": f.aim, "passed": f.passed} for f in table]
        arguments.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False))
    return 0 if all(figure.passed is not False for figure in table) else 1


def _print(figure: Figure) -> None:
    verdict = {True: "ok", False: "MISSED", None: ""}[figure.passed]
    print(f"{figure.name:<72} {figure.value:>14}  {figure.aim:<8} {verdict}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
