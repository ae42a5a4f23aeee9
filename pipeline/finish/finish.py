"""FINISH: one read of the source; layers become frames, frames become the file, the figures and the artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import (
    JOINT,
    NUM_JOINTS,
    Chunk,
    Frame,
    Layer,
    Mask,
    Person,
    Picture,
    Plan,
    Presence,
    Transforms,
)  # fmt: skip
from pipeline.finish.artifacts import ArtifactWriter
from pipeline.finish.complete_mask import REACH_BH, with_missed_parts
from pipeline.finish.composite import Box, EditedFrame, clipped, compose, edit_box, edit_weights, grown, hole_reach
from pipeline.finish.foot_lock import lock_feet, lower_leg_displacement
from pipeline.finish.quality import Figures, QualityMeter, psnr_outside
from pipeline.finish.reshake import PlacedLayer, place_layer, support_box
from pipeline.maths.geometry import apply_transform, invert
from pipeline.maths.grain import Grain, add_grain, fill_hole, match_light
from pipeline.maths.masks import widened
from pipeline.media.decode import Clip, open_clip, rgb_of
from pipeline.media.encode import encode_clip
from pipeline.models.interfaces import Check
from pipeline.plan.subject import SubjectMasks
from pipeline.plate.plate import PlateSet
from pipeline.report.page import write_reports
from pipeline.runtime.prefetch import cores, map_ahead, read_ahead
from pipeline.settings import Settings
from pipeline.workspace.layers import ChunkedLayers

_PSNR_FRAMES = 24
"""Frames of the written file that are compared with the source outside the edit region."""
_ANKLES = [JOINT["left_ankle"], JOINT["right_ankle"]]
_MOST_THREADS = 3
"""Frames composed at a time: each holds about 12 MB at 720p, and the encoder needs cores too."""
_RING_BH = 0.08
"""Width of the ring around the edit region that the plate's light is matched to, body heights."""


@dataclass(frozen=True, slots=True, eq=False)
class Finish:
    """What FINISH works on."""

    clip: Clip
    plan: Plan
    masks: SubjectMasks
    plates: PlateSet | None
    chunks: list[tuple[Chunk, Path]]
    settings: Settings
    seed: int
    artifacts: frozenset[str]
    output_dir: Path
    reference_person: Person | None


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """The written file and what was learned while writing it."""

    video: Path
    quality: Figures
    warnings: tuple[str, ...]
    _job: Finish
    _written: Clip
    _artifacts: ArtifactWriter
    _series: dict[str, NDArray[np.float64]]

    def write_report(self, facts: dict[str, Any]) -> dict[str, list[Path]]:
        """Write ``report.html`` and ``contact_sheet.png`` where they were asked for; return all artifacts' paths."""
        job = self._job
        paths = write_reports(
            job.output_dir, job.artifacts, job.clip, self._written, job.plan, job.settings, facts, self._series
        )
        return {**self._artifacts.paths, **paths}


def finish(job: Finish, check: Check, progress: Callable[[str, int, int], None]) -> Finished:
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
    return Finished(encoded.path, quality, encoded.warnings, job, written, artifacts, {**meter.series, **ankles})


def _placed_joints(job: Finish, source: ChunkedLayers) -> NDArray[np.float64]:
    """Return (T, 21, 3): the new person's joints in source px before the foot lock, NaN where there are none."""
    placed = np.full((job.clip.info.num_frames, NUM_JOINTS, 3), np.nan)
    for frame in np.flatnonzero(job.plan.subject.presence > Presence.ABSENT):
        joints = source.joints(int(frame))
        placed[frame, :, :2] = apply_transform(invert(_crop_from_source(job, int(frame))), joints[:, :2])
        placed[frame, :, 2] = joints[:, 2]
    return placed


def _counted_marks(job: Finish, source: ChunkedLayers) -> dict[str, float | int | None]:
    """Return how many frames have a matte that is carried on, and how many the safety checker had coarsened."""
    marks = [source.marks(int(frame)) for frame in np.flatnonzero(job.plan.subject.presence > Presence.ABSENT)]
    return {"mattes_carried": sum(a for a, _ in marks), "frames_coarsened": sum(b for _, b in marks)}


def _with_feet_moved(unlocked: NDArray[np.float64], offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    placed = unlocked.copy()
    for foot, rows in enumerate(((15, 17, 19), (16, 18, 20))):
        placed[:, rows, :2] += offsets[:, foot, None, :]
    return placed


def _crop_from_source(job: Finish, frame: int) -> Transforms:
    if job.settings.composite.reshake:
        return job.plan.crop_from_source(frame)
    return np.asarray(job.plan.crop.crop_from_stable[frame], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class FrameInputs:
    """What one frame is made of: what lies in spools is read in order, by one thread."""

    frame: Frame
    old: Mask
    others: Mask
    layer: Layer | None
    """None where the subject is absent."""


def frame_inputs(job: Finish, source: ChunkedLayers, frame: Frame) -> FrameInputs:
    """Read what a frame is made of from the spools. One thread at a time."""
    number = frame.index
    absent = job.plan.subject.presence[number] == Presence.ABSENT
    layer = None if absent else source.layer(number)
    return FrameInputs(frame, job.masks.old(number), job.masks.others(number), layer)


def _composed(
    job: Finish,
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
        closing(read_ahead(frame_inputs(job, source, frame) for frame in job.clip.frames())) as read,
        closing(map_ahead(edited, read, min(cores(), _MOST_THREADS))) as made,
        closing(read_ahead(_measured(made, meter, artifacts))) as measured,
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


def make_frame(
    job: Finish, inputs: FrameInputs, unlocked: NDArray[np.float64], offsets: NDArray[np.float64], grain: Grain | None
) -> EditedFrame:
    """Replace the person in one frame. ``unlocked`` (21, 3) joints and ``offsets`` (2, 2) of the feet are source px."""
    frame, info = inputs.frame, job.clip.info
    source_rgb = rgb_of(frame)
    untouched = EditedFrame(frame, frame, source_rgb, source_rgb, inputs.old, None, None, None)
    if inputs.layer is None:
        return untouched
    height_px = float(job.plan.subject.body_height_px[frame.index])
    layer = _placed(job, inputs.layer, frame.index, unlocked, offsets, height_px)
    scene = _scene(job, inputs, source_rgb, layer, height_px)
    if scene is None:
        return untouched
    box, plate, old = scene
    weights = edit_weights(old, inputs.others, layer, height_px, info, job.settings.composite)
    if weights is None:
        return untouched
    x0, y0, x1, y1 = weights.box_xyxy
    background = plate[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
    if grain is not None:
        background = add_grain(background, grain, job.seed, frame.index)
    result = compose(frame, weights, layer, background)
    return EditedFrame(frame, result, source_rgb, rgb_of(result), old, weights, layer, background)


def _placed(
    job: Finish,
    layer: Layer,
    number: int,
    unlocked: NDArray[np.float64],
    offsets: NDArray[np.float64],
    height_px: float,
) -> PlacedLayer | None:
    crop_from_source = _crop_from_source(job, number)
    moved = float(np.abs(offsets).max())
    box = support_box(layer, invert(crop_from_source), job.clip.info.size_wh, moved)
    if box is None:
        return None
    displacement = lower_leg_displacement(unlocked, offsets, height_px, box) if moved > 0 else None
    return place_layer(layer, crop_from_source, box, displacement)


def _scene(
    job: Finish, inputs: FrameInputs, source_rgb: Picture, layer: PlacedLayer | None, height_px: float
) -> tuple[Box, Picture, Mask] | None:
    """Return a box with room around all that may change, the plate (h, w, 3) in it, and the (H, W) old person.

    The plate is in the frame's own light. The old person is his mask, and what differs from the plate beside it. None
    where there is neither he nor a layer.
    """
    settings, old = job.settings.plate, inputs.old
    ring_px = max(4, round(_RING_BH * height_px))
    solid_px = hole_reach(height_px, job.clip.info, job.settings.composite)
    inner = edit_box(old, layer, solid_px)
    if inner is None:
        return None
    # Whatever is found beside the mask gets an edge of its own; 4 px for the chroma grid.
    room_px = max(ring_px, round(REACH_BH * height_px) + solid_px + 4)
    box = clipped(grown(inner, room_px), job.clip.info.size_wh)
    x0, y0, x1, y1 = box
    area = np.s_[y0:y1, x0:x1]
    patch, people = source_rgb[area], (old | inputs.others)[area]
    hole = widened(old[area], solid_px)
    if job.plates is None:
        return box, fill_hole(patch, hole, "ns"), old
    picture, seen = job.plates.render(inputs.frame.index, box)
    lit = match_light(picture, patch, widened(hole, ring_px) & ~hole & ~people)
    if job.settings.composite.complete_mask:
        old = old.copy()
        old[area] = with_missed_parts(old[area], inputs.others[area], patch, lit, seen, height_px)
    return box, lit if settings.gain else picture, old


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
        return read_ahead(self.clip.frames_at(self.numbers))
