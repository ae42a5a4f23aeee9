"""FINISH: one read of the source; compose layers into frames, encode them, and write metrics and artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import Frame
from pipeline.datatypes.plan import Presence
from pipeline.finish.artifacts import ArtifactWriter
from pipeline.finish.carried_doubts import carried_doubts
from pipeline.finish.compose_frame import make_frame
from pipeline.finish.composite import EditedFrame
from pipeline.finish.dissolves import Dissolves
from pipeline.finish.group_frame import make_group_frame, order_of, read_group_inputs
from pipeline.finish.group_quality import GroupMeter, quality_of_all, subject_report
from pipeline.finish.inputs import FinishInputs, FrameInputs
from pipeline.finish.motion import Motion
from pipeline.finish.plate_doubts import plate_doubts
from pipeline.finish.quality import QualityMeter
from pipeline.finish.quality_metrics import LOSSLESS_DB, psnr_outside
from pipeline.joints import ANKLES
from pipeline.maths.grain import Grain
from pipeline.media.clip import Clip
from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.media.formats import planes_of
from pipeline.result import Quality, SubjectReport
from pipeline.runtime.callbacks import Check
from pipeline.runtime.prefetch import parallel_map, prefetch
from pipeline.workspace.layers import ChunkedLayers

_PSNR_FRAMES = 24
"""Frames of the written file that are compared with the source outside the edit region."""


@dataclass(frozen=True, slots=True, eq=False)
class FinishResult:
    """The written file and what was measured while writing it."""

    video: Path
    quality: Quality
    warnings: tuple[str, ...]
    written: Clip
    """``video``, opened."""
    artifacts: dict[str, list[Path]]
    series: dict[str, NDArray[np.float64]]
    """Metrics over time, (T, ...) each, for the report's plots: of the first subject."""
    subjects: tuple[SubjectReport, ...] = ()
    """Metrics per subject where there are several."""


def finish(inputs: FinishInputs, check: Check, progress: Callable[[str, int, int], None]) -> FinishResult:
    """Compose and encode every frame. Raises ``NoSpace`` and ``EncodeFailed``, leaving no result behind."""
    with ExitStack() as opened:
        layers = [opened.enter_context(closing(each.open_layers())) for each in inputs.subjects]
        motions = [Motion(each, of_one) for each, of_one in zip(inputs.subjects, layers, strict=True)]
        meter = QualityMeter(inputs.clip.info, inputs.plan)
        of_subjects = GroupMeter(len(inputs.subjects))
        with ArtifactWriter(inputs.output_dir, inputs.artifacts, inputs.clip.info, inputs.plan) as artifacts:
            observers = Observers(meter, of_subjects, artifacts)
            frames = _composed(inputs, layers, motions, observers, check, progress)
            encoded = encode_clip(frames, inputs.clip, inputs.output_dir / "result", inputs.settings.output)
            placed = [motion.placed_joints for motion in motions]
            artifacts.write_values(placed[0], inputs.plates, [each.plan for each in inputs.further], placed[1:])
        marks = [_counted_marks(each, of_one) for each, of_one in zip(inputs.subjects, layers, strict=True)]
    motion = motions[0]
    quality = meter.finish(motion.joints_unlocked, motion.placed_joints, inputs.reference_person)
    written, psnr_db = _open_written(encoded.path, inputs, observers.compared, check)
    quality = quality.model_copy(update={**marks[0], "psnr_outside_db": psnr_db})
    subjects: tuple[SubjectReport, ...] = ()
    if inputs.further:
        subjects = tuple(
            subject_report(each, motion.joints_unlocked, motion.placed_joints, of_subjects, number, marks[number])
            for number, (each, motion) in enumerate(zip(inputs.subjects, motions, strict=True))
        )
        quality = quality_of_all(quality, subjects, [each.plan.subject.presence for each in inputs.subjects])
    ankles = {"ankles_unlocked": motion.joints_unlocked[:, ANKLES, :2], "ankles_locked": placed[0][:, ANKLES, :2]}
    series = {**meter.series, **ankles}
    warnings = (*encoded.warnings, *plate_doubts(meter.series, inputs.clip.info))
    if inputs.settings.composite.carried == "keep":
        warnings = (*warnings, *carried_doubts(meter.series, inputs.clip.info))
    return FinishResult(encoded.path, quality, warnings, written, artifacts.paths, series, subjects)


class Observer(Protocol):
    """Looks at each frame once, in order."""

    def push(self, edited: EditedFrame) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Observers:
    """What looks at the frames while they are written."""

    meter: Observer
    of_subjects: GroupMeter
    """Measures each subject where there are several."""
    artifacts: Observer
    compared: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    """Packed edit regions of the frames that are compared with the source afterwards."""


def _counted_marks(inputs: FinishInputs, layers: ChunkedLayers) -> dict[str, int]:
    """Return in how many frames the matte is propagated, and how many the safety checker had pixelated."""
    marks = [layers.marks(int(frame)) for frame in np.flatnonzero(inputs.plan.subject.presence > Presence.ABSENT)]
    return {"mattes_propagated": sum(a for a, _ in marks), "frames_pixelated": sum(b for _, b in marks)}


def _composed(
    inputs: FinishInputs,
    layers: Sequence[ChunkedLayers],
    motions: Sequence[Motion],
    observers: Observers,
    check: Check,
    progress: Callable[[str, int, int], None],
) -> Iterator[Frame]:
    """Yield every frame of the clip, replaced or unchanged; feed metrics and artifacts on the way.

    Reading, composing and measuring run in threads while the caller encodes; ``check`` and ``progress`` are called in
    the caller's thread. The order is preserved, and only a few frames are in progress at a time: two wait to be
    composed and two to be encoded, since each holds 10 to 16 MB at 720p until it is measured.
    """
    info = inputs.clip.info
    step = max(1, info.num_frames // _PSNR_FRAMES)
    dissolves = Dissolves(inputs, layers[0], motions[0])
    if inputs.further:
        edited = _several(inputs, motions, observers.of_subjects)
    else:
        edited = _one_subject(inputs, motions[0], dissolves)

    with (
        closing(prefetch(_read(inputs, layers, motions, dissolves), depth=2)) as read,
        closing(parallel_map(edited, read)) as made,
        closing(prefetch(measured_frames(made, observers, step), depth=2)) as results,
    ):
        try:
            for result in results:
                check()
                yield result
                progress("finish", result.index + 1, info.num_frames)
        except BaseException:
            # A thread that waits for the next chunk would be waited for.
            if inputs.layers_in_progress is not None:
                inputs.layers_in_progress.give_up()
            raise


def _read(
    inputs: FinishInputs, layers: Sequence[ChunkedLayers], motions: Sequence[Motion], dissolves: Dissolves
) -> Iterator[tuple[FrameInputs, ...]]:
    """Yield the inputs of every frame, once the layers are there that its feet's places depend on."""
    for frame in inputs.clip.frames():
        for motion in motions:
            motion.advance(frame.index)
        dissolves.advance(frame.index)
        yield read_group_inputs(inputs, layers, frame)


def _one_subject(
    inputs: FinishInputs, motion: Motion, dissolves: Dissolves
) -> Callable[[tuple[FrameInputs, ...]], EditedFrame]:
    grain = _grain(inputs)

    def edited(frame_inputs: tuple[FrameInputs, ...]) -> EditedFrame:
        number = frame_inputs[0].frame.index
        joints = motion.joints_unlocked[number]
        offsets = motion.foot_offsets_px[number]
        made = make_frame(inputs, frame_inputs[0], joints, offsets, grain)
        return dissolves.mixed(made, frame_inputs[0].overlay_mask)

    return edited


def _several(
    inputs: FinishInputs, motions: Sequence[Motion], shares: GroupMeter
) -> Callable[[tuple[FrameInputs, ...]], EditedFrame]:
    grain = _grain(inputs)
    order = order_of(inputs)

    def edited(frame_inputs: tuple[FrameInputs, ...]) -> EditedFrame:
        number = frame_inputs[0].frame.index
        joints = [motion.joints_unlocked[number] for motion in motions]
        offsets = [motion.foot_offsets_px[number] for motion in motions]
        made = make_group_frame(inputs, frame_inputs, joints, offsets, order[number].tolist(), grain)
        shares.push(made.shares)
        return made.edited

    return edited


def _grain(inputs: FinishInputs) -> Grain | None:
    return inputs.plates.grain if inputs.plates is not None and inputs.settings.plate.grain else None


def measured_frames(frames: Iterable[EditedFrame], observers: Observers, compared_every: int) -> Iterator[Frame]:
    """Yield what is encoded of each frame, once it was observed.

    The rest of an edited frame, more than ten times as many bytes, is released before: frames wait to be encoded.
    """
    for edited in frames:
        observers.meter.push(edited)
        observers.artifacts.push(edited)
        number = edited.source.index
        if number % compared_every == 0:
            observers.compared[number] = np.packbits(edited.region, axis=-1)
        result = edited.result
        del edited
        yield result


def _open_written(
    path: Path, inputs: FinishInputs, compared: dict[int, NDArray[np.uint8]], check: Check
) -> tuple[Clip, float]:
    """Open the written file; return it and the mean PSNR (dB) outside the edit region of the frames sampled for it.

    It is decoded once, and compared on the way.
    """
    width = inputs.clip.info.size_wh[0]
    values: dict[int, float] = {}
    with closing(prefetch(inputs.clip.frames_at(sorted(compared)))) as sources:

        def compare(index: int, picture: av.VideoFrame) -> None:
            if index in compared and index not in values:
                region = np.unpackbits(compared[index], axis=-1, count=width).astype(np.bool_)
                values[index] = psnr_outside(next(sources), planes_of(picture)[0], region)

        written = open_clip(path, inputs.settings.limits, check=check, keep=compare)
    return written, float(np.mean(list(values.values()))) if values else LOSSLESS_DB
