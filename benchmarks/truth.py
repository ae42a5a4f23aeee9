"""Judge a whole job by a clip's ground truth: `python -m benchmarks.truth assets/walk_a`.

Runs the ``preview`` job on the folder's ``sample.mp4`` (``rgb.mp4`` where there is none) with lossless output and all
artifacts, and prints each figure beside its aim. Everything is judged against ``gt.npz``, ``mask.npz`` and
``plate.mp4`` (formulas in ``benchmarks.figures``): cameras and contacts come from the truth, never from the job. A
folder that also tells of other people (``others_mask.npz``) is judged by whom the job replaced.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import figures
from benchmarks.shake import read_rgb, shake_clip, shake_matrices, warp_video
from conf import compose_settings
from pipeline.media.decode import open_clip
from pipeline.media.ffv1 import read_artifact
from pipeline.media.pixels import rgb_of
from pipeline.models.loaded import load_models
from pipeline.request import JobRequest, SubjectChoice
from pipeline.result import JobResult
from pipeline.run import run_job
from worker.input import Artifact

_ROOT = Path(__file__).resolve().parents[1]
_FOOTAGE = _ROOT / "weights" / "footage"
ARTIFACTS: tuple[str, ...] = get_args(Artifact)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    value: str
    aim: str
    passed: bool | None
    """None where there is no aim."""


def run(
    clip: Path,
    folder: Path,
    *overrides: str,
    artifacts: tuple[str, ...] = ARTIFACTS,
    subject: SubjectChoice = "largest",
) -> JobResult:
    """Run a job on a clip, results under ``folder``; ``overrides`` may begin with ``preset=NAME`` (default:
    preview)."""
    preset = "preview"
    if overrides and overrides[0].startswith("preset="):
        preset = overrides[0].removeprefix("preset=")
        overrides = overrides[1:]
    settings = compose_settings(preset, overrides)
    with tempfile.TemporaryDirectory(dir=folder) as workspace:
        return run_job(
            JobRequest(clip, folder / "out", artifacts=artifacts, subject=subject),
            settings,
            load_models(settings),
            Path(workspace),
        )


def judge(folder: Path, work: Path, *overrides: str) -> Iterator[Figure]:
    """Yield the figures of one truth folder; ``work`` is an empty folder for the runs."""
    truth = figures.load_truth(folder)
    clip = figures.clip_of(folder)
    for name in ("locked", "unlocked", "again"):
        (work / name).mkdir(parents=True)
    result = run(clip, work / "locked", *overrides, "segment.count=3", "output=lossless")
    out = result.video.parent
    with np.load(out / "analysis.npz") as file:
        analysis = {name: file[name] for name in file.files}

    yield from _planes(clip, result, out, truth)
    yield from _container(clip, result.video)
    again = run(clip, work / "again", *overrides, "segment.count=3", "output=lossless", artifacts=())
    same = again.video.read_bytes() == result.video.read_bytes()
    yield Figure("P5: two runs give the same bytes", "yes" if same else "no", "yes", same)

    error = figures.pair_motion_error_px(analysis["world_from_source"], truth.bg_tracks, truth.bg_visible)
    yield _at_most("camera: mean error of a frame pair's motion, px", error, 0.09, 3)
    yield from _person(out, analysis, truth)
    yield from _kept(clip, result, truth)
    on_ground = figures.contact_f1(analysis["contacts"], truth.on_ground, _counted(truth))
    yield _at_least("contacts: F1 against foot_state >= 1, worse foot", min(on_ground), 0.92, 3)
    flat = figures.contact_f1(analysis["contacts"], truth.contact, _counted(truth))
    yield Figure("contacts: F1 against contact, left / right", f"{flat[0]:.3f} / {flat[1]:.3f}", "", None)
    borders = figures.border_error_frames(analysis["segment_bounds"].ravel(), truth.phase)
    yield Figure("segments: largest border error, frames", str(borders), "≤ 5", borders is not None and borders <= 5)
    yield from _plate(folder, out, analysis, truth)
    placed = analysis["placed_joints"].astype(np.float64)
    yield _at_most(
        "P3: RMS second difference of placed minus true joints, % bh", figures.jitter_percent(placed, truth), 0.5, 3
    )
    loose = run(clip, work / "unlocked", *overrides, "segment.count=3", "foot_lock=none", artifacts=("analysis",))
    with np.load(loose.video.parent / "analysis.npz") as file:
        before = figures.foot_slide_percent(file["placed_joints"].astype(np.float64), truth)
    after = figures.foot_slide_percent(placed, truth)
    yield Figure("foot slide without foot lock, % bh", f"{before:.3f}", "", None)
    yield Figure("foot slide with foot lock, % bh", f"{after:.3f}", "", None)
    yield _at_most("foot slide: with / without", after / before, 1 / 3, 3)
    for name in ("warping_error_source", "warping_error_result", "seam_gradient_ratio", "psnr_outside_db"):
        value = getattr(result.report.quality, name)
        yield Figure(f"own figure: {name}", "none" if value is None else f"{value:.4f}", "", None)


def judge_package_clip(clip: Path, work: Path) -> Iterator[Figure]:
    """Yield P1 of a real clip, and its plate's PSNR under a known shake (its camera stands still).

    The truth of the plate is the median of the unshaken clip's own frames without the (widened) masks of the person,
    warped by the same matrices; places that fewer than five of those frames show do not count.
    """
    (work / "still").mkdir(parents=True)
    result = run(clip, work / "still", "output=lossless", artifacts=("edit_region", "layer", "mask"))
    yield from _planes(clip, result, result.video.parent, None)
    (work / "shaken").mkdir()
    frames = read_rgb(clip)
    first = next(frames)
    size_wh = (first.shape[1], first.shape[0])
    num_frames = open_clip(clip).info.num_frames
    matrices = shake_matrices(num_frames, size_wh)
    shaken = work / "shaken" / "sample.mp4"
    warp_video(clip, shaken, lambda t: matrices[t])
    still, known = _clean_still(clip, work / "still" / "out" / "mask.mkv")
    result = run(shaken, work / "shaken", "output=lossless", artifacts=("plate", "mask"))
    error = figures.SquareError()
    subject_px = 0
    masks = read_artifact(result.video.parent / "mask.mkv")
    for matrix, plate, mask in zip(matrices, read_artifact(result.video.parent / "plate.mkv"), masks, strict=True):
        true = cv2.warpPerspective(still, matrix, size_wh, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        shown = cv2.warpPerspective(known, matrix, size_wh, flags=cv2.INTER_NEAREST) > 0
        error.add(plate, np.asarray(true, np.uint8), (mask > 0) & shown)
        subject_px += int(np.count_nonzero(mask))
    yield _at_least(f"plate: PSNR on {clip.name} under a known shake, dB", error.psnr_db, 34.0, 1)
    judged = error.samples / 3 / subject_px
    yield Figure(f"plate: share of the subject's pixels judged there, {clip.name}", f"{judged:.2f}", "", None)


def _clean_still(clip: Path, mask_video: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the place without the person, (H, W, 3), and 1 where at least five frames show it, (H, W)."""
    wide = np.ones((41, 41), np.uint8)
    samples = []
    hidden = []
    for t, (rgb, mask) in enumerate(zip(read_rgb(clip), read_artifact(mask_video), strict=True)):
        if t % 3 == 0:
            samples.append(rgb)
            hidden.append(cv2.dilate(mask, wide) > 0)
    still = np.zeros_like(samples[0])
    counts = len(hidden) - np.sum(hidden, axis=0)
    for row in range(0, len(still), 64):
        strip = np.s_[row : row + 64]
        values = np.stack([sample[strip] for sample in samples]).astype(np.int16)
        # hidden samples sort to the end, so the middle of the first `counts` is the median
        values[np.stack([mask[strip] for mask in hidden])] = 999
        middle = np.maximum(counts[strip] - 1, 0)[None, :, :, None] // 2
        still[strip] = np.minimum(np.take_along_axis(np.sort(values, axis=0), middle, axis=0)[0], 255)
    return still, (counts >= 5).astype(np.uint8)


def _planes(clip: Path, result: JobResult, out: Path, truth: figures.Truth | None) -> Iterator[Figure]:
    area = figures.RegionArea()
    differ = 0
    pairs = zip(
        open_clip(clip).frames(),
        open_clip(result.video).frames(),
        read_artifact(out / "edit_region.mkv"),
        read_artifact(out / "layer.mkv"),
        read_artifact(out / "mask.mkv"),
        strict=True,
    )
    for source, made, region, layer, mask in pairs:
        differ += figures.changed_outside(source.planes, made.planes, region)
        area.add(region, truth.masks[source.index] if truth is not None else mask > 0, layer[..., 3])
    of = "" if truth is not None else f", {clip.name}"
    yield Figure(f"P1: samples that differ outside the edit region, lossless{of}", str(differ), "0", differ == 0)
    yield _at_most(f"P1: area of the region / (subject ∪ new layer){of}", area.ratio, 2.0, 2)
    if truth is not None:
        yield _at_most("source weight left over the true subject, %", area.source_left_percent, 0.5, 3)


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
    yield _at_least(
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
    yield _at_least("person: mask IoU on found frames", of_found, 0.92, 3)
    yield _at_least("person: mask IoU, missed frames as 0", all_frames, 0.90, 3)
    if truth.others is not None:
        share = figures.right_share(read_artifact(out / "mask.mkv"), truth.masks, truth.others)
        yield _at_least("person: share of the subject's frames in which they are the one replaced", share, 0.99, 3)
    error = 100 * figures.joint_error_bh(analysis["joints"].astype(np.float64), truth)
    yield _at_most("person: mean error of visible joints, % bh", error, 2.0, 2)


def _kept(clip: Path, result: JobResult, truth: figures.Truth) -> Iterator[Figure]:
    """Yield what of the scene around the subject came through, where the truth tells of it."""
    kinds = {
        "other people's visible pixels": (truth.others, 0.995),
        "carried thing": (truth.carried, 0.95),
        "what stands in front of the subject": (truth.front, 0.97),
    }
    told = [(name, masks, aim, figures.KeptShare()) for name, (masks, aim) in kinds.items() if masks is not None]
    if not told:
        return
    for source, made in zip(open_clip(clip).frames(), open_clip(result.video).frames(), strict=True):
        before, after = rgb_of(source), rgb_of(made)
        for _, masks, _, share in told:
            share.add(before, after, masks[source.index])
    for name, _, aim, share in told:
        yield _at_least(f"kept: {name}", share.share, aim, 3)


def _counted(truth: figures.Truth) -> figures.Bools:
    """(T, 2): frames whose ankle is inside the picture; the others are unknown."""
    return truth.in_frame[:, [figures.LEFT_ANKLE, figures.RIGHT_ANKLE]]


def _plate(folder: Path, out: Path, analysis: dict[str, NDArray[Any]], truth: figures.Truth) -> Iterator[Figure]:
    pooled = figures.SquareError()
    worst = float("inf")
    for t, (plate, true) in enumerate(
        zip(read_artifact(out / "plate.mkv"), read_rgb(folder / "plate.mp4"), strict=True)
    ):
        if not truth.masks[t].any():
            continue
        one = figures.SquareError()
        one.add(plate, true, truth.masks[t])
        worst = min(worst, one.psnr_db)
        pooled.add(plate, true, truth.masks[t])
    yield _at_least("plate: PSNR where the subject stood, all frames, dB", pooled.psnr_db, 24.0, 2)
    yield Figure("plate: PSNR of the worst frame, dB", f"{worst:.2f}", "", None)
    del analysis


def _at_most(name: str, value: float, aim: float, digits: int) -> Figure:
    return Figure(name, f"{value:.{digits}f}", f"≤ {aim:.3g}", bool(value <= aim))


def _at_least(name: str, value: float, aim: float, digits: int) -> Figure:
    return Figure(name, f"{value:.{digits}f}", f"≥ {aim:.3g}", bool(value >= aim))


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
