"""FINISH: one read of the source; layers become frames, frames become the file, the figures and the artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Frame, Presence
from pipeline.finish.artifacts import ArtifactWriter
from pipeline.finish.compose_frame import FinishInputs, FrameInputs, crop_from_source_of, frame_inputs, make_frame
from pipeline.finish.composite import EditedFrame
from pipeline.finish.foot_lock import lock_feet
from pipeline.finish.quality import Figures, QualityMeter
from pipeline.finish.quality_metrics import psnr_outside
from pipeline.joints import JOINT, NUM_JOINTS
from pipeline.maths.geometry import apply_transform, invert
from pipeline.media.clip import Clip
from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.runtime.callbacks import Check
from pipeline.runtime.prefetch import parallel_map, prefetch, usable_cores
from pipeline.workspace.layers import ChunkedLayers

_PSNR_FRAMES = 24
"""Frames of the written file that are compared with the source outside the edit region."""
_ANKLES = [JOINT["left_ankle"], JOINT["right_ankle"]]
_MOST_THREADS = 3
"""Frames composed at a time: each holds about 12 MB at 720p, and the encoder needs cores too."""


@dataclass(frozen=True, slots=True, eq=False)
class FinishResult:
    """The written file and what was learned while writing it."""

    video: Path
    quality: Figures
    warnings: tuple[str, ...]
    written: Clip
    """``video``, opened."""
    artifacts: dict[str, list[Path]]
    series: dict[str, NDArray[np.float64]]
    """Figures over time, (T, ...) each, for the report's plots."""


def finish(job: FinishInputs, check: Check, progress: Callable[[str, int, int], None]) -> FinishResult:
    """Compose and encode every frame. Raises ``NoSpace`` and ``EncodeFailed``; then no result is left."""
    source = ChunkedLayers(job.chunks)
    try:
        unlocked = _placed_joints(job, source)
        offsets = np.zeros((job.clip.info.num_frames, 2, 2))
        if job.settings.foot_lock.enabled:
            offsets = lock_feet(
                job.plan.contacts,
                unlocked,
                job.plan.subject,
                job.clip.info.pts_seconds,
                job.settings.foot_lock,
                job.plan.camera.world_from_source,
                job.plan.shot_starts,
            )
        placed = _with_feet_moved(unlocked, offsets)
        meter = QualityMeter(job.clip.info, job.plan)
        compared: dict[int, NDArray[np.uint8]] = {}
        with ArtifactWriter(job.output_dir, job.artifacts, job.clip.info, job.plan) as artifacts:
            frames = _composed(job, source, unlocked, offsets, meter, artifacts, compared, check, progress)
            encoded = encode_clip(frames, job.clip, job.output_dir / "result", job.settings.output)
            artifacts.write_values(placed, job.plates)
        marks = _counted_marks(job, source)
    finally:
        source.close()
    quality = meter.finish(unlocked, placed, job.reference_person)
    written = open_clip(encoded.path, job.settings.limits)
    quality |= marks
    quality["psnr_outside_db"] = _psnr(job.clip, written, compared)
    ankles = {"ankles_unlocked": unlocked[:, _ANKLES, :2], "ankles_locked": placed[:, _ANKLES, :2]}
    return FinishResult(encoded.path, quality, encoded.warnings, written, artifacts.paths, {**meter.series, **ankles})


def _placed_joints(job: FinishInputs, source: ChunkedLayers) -> NDArray[np.float64]:
    """Return (T, 21, 3): the new person's joints in source px before the foot lock, NaN where there are none."""
    placed = np.full((job.clip.info.num_frames, NUM_JOINTS, 3), np.nan)
    for frame in np.flatnonzero(job.plan.subject.presence > Presence.ABSENT):
        joints = source.joints(int(frame))
        placed[frame, :, :2] = apply_transform(invert(crop_from_source_of(job, int(frame))), joints[:, :2])
        placed[frame, :, 2] = joints[:, 2]
    return placed


def _counted_marks(job: FinishInputs, source: ChunkedLayers) -> dict[str, float | int | None]:
    """Return how many frames have a matte that is carried on, and how many the safety checker had coarsened."""
    marks = [source.marks(int(frame)) for frame in np.flatnonzero(job.plan.subject.presence > Presence.ABSENT)]
    return {"mattes_carried": sum(a for a, _ in marks), "frames_coarsened": sum(b for _, b in marks)}


def _with_feet_moved(unlocked: NDArray[np.float64], offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    placed = unlocked.copy()
    for foot, rows in enumerate(((15, 17, 19), (16, 18, 20))):
        placed[:, rows, :2] += offsets[:, foot, None, :]
    return placed


def _composed(
    job: FinishInputs,
    source: ChunkedLayers,
    unlocked: NDArray[np.float64],
    offsets: NDArray[np.float64],
    meter: QualityMeter,
    artifacts: ArtifactWriter,
    compared: dict[int, NDArray[np.uint8]],
    check: Check,
    progress: Callable[[str, int, int], None],
) -> Iterator[Frame]:
    """Yield every frame of the clip, replaced or as it is; feed the figures and the artifacts on the way.

    Reading, composing and measuring go on in threads while the caller encodes; ``check`` and ``progress`` are called
    in the caller's. The order is kept throughout, and a few frames are in work at a time.
    """
    info = job.clip.info
    step = max(1, info.num_frames // _PSNR_FRAMES)
    grain = job.plates.grain if job.plates is not None and job.settings.plate.grain else None

    def edited(inputs: FrameInputs) -> EditedFrame:
        number = inputs.frame.index
        return make_frame(job, inputs, unlocked[number], offsets[number], grain)

    with (
        closing(prefetch(frame_inputs(job, source, frame) for frame in job.clip.frames())) as read,
        closing(parallel_map(edited, read, min(usable_cores(), _MOST_THREADS))) as made,
        closing(prefetch(_measured(made, meter, artifacts))) as measured,
    ):
        for frame in measured:
            check()
            number = frame.source.index
            if number % step == 0:
                compared[number] = np.packbits(frame.region, axis=-1)
            yield frame.result
            progress("finish", number + 1, info.num_frames)


def _measured(frames: Iterable[EditedFrame], meter: QualityMeter, artifacts: ArtifactWriter) -> Iterator[EditedFrame]:
    for edited in frames:
        if edited.weights is not None:
            meter.push(
                edited.source.index,
                edited.source,
                edited.result,
                edited.source_weight,
                edited.region,
                edited.old,
                edited.layer_alpha,
                edited.source_rgb,
                edited.result_rgb,
            )
        artifacts.push(edited)
        yield edited


def _psnr(clip: Clip, written: Clip, compared: dict[int, NDArray[np.uint8]]) -> float:
    """Return the mean PSNR (dB) outside the edit region of the frames that were set aside for it."""
    numbers = sorted(compared)
    width = clip.info.size_wh[0]
    regions = (np.unpackbits(compared[number], axis=-1, count=width).astype(np.bool_) for number in numbers)
    return psnr_outside(_Chosen(clip, numbers), _Chosen(written, numbers), regions)


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    """Some frames of a clip, as ``psnr_outside`` reads them."""

    clip: Clip
    numbers: list[int]

    def frames(self) -> Iterator[Frame]:
        return prefetch(self.clip.frames_at(self.numbers))
