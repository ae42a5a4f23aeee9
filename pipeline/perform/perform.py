"""PERFORM: one read; layers of the new person, chunk by chunk, each a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.datatypes.light import SceneLight
from pipeline.datatypes.plan import Plan
from pipeline.datatypes.window import Layer
from pipeline.media.clip import Clip
from pipeline.models.loaded import LoadedModels
from pipeline.perform.backends import control_pictures, matte_maker
from pipeline.perform.color_drift import ColorReference, correct_color_drift, measure_color_reference
from pipeline.perform.crops import CropReader
from pipeline.perform.figure_motion import with_motion
from pipeline.perform.generate import generate_layers
from pipeline.perform.temporal import reduce_flicker
from pipeline.perform.windows import ChunkSpan, chunk_spans
from pipeline.plate.plate_set import PlateSet
from pipeline.runtime.callbacks import Check, Progress
from pipeline.settings import Settings
from pipeline.workspace.checkpoints import keep_if_intact, write_checksum
from pipeline.workspace.layers import LayerReader, chunk_path, write_layers
from pipeline.workspace.subject_masks import SubjectMasks


def perform_clip(
    clip: Clip,
    plan: Plan,
    masks: SubjectMasks,
    plates: PlateSet | None,
    light: SceneLight,
    models: LoadedModels,
    settings: Settings,
    seed: int,
    workspace: Path,
    check: Check,
    progress: Progress,
) -> None:
    """Generate the layers of the new person, chunk by chunk; each chunk's spool in ``workspace`` is a checkpoint."""
    generator, needs = models.generator, models.generator.needs
    figure = models.figure
    crops = CropReader(clip, plan, masks.subject_mask, plates)
    overlap = settings.segment.overlap_frames if settings.composite.crossfade else 0
    restarts = frozenset(int(start) for start in plan.shot_starts)
    todo = [not keep_if_intact(workspace, chunk_path(workspace, chunk)) for chunk in plan.chunks]
    controls = control_pictures(models)
    anchor: ColorReference | None = None
    for span, is_open in zip(chunk_spans(plan.chunks, overlap), todo, strict=True):
        path = chunk_path(workspace, span.chunk)
        if is_open:
            layers = generate_layers(
                plan,
                span.start,
                span.chunk.stop,
                generator,
                seed=seed,
                overlap_frames=overlap,
                pts_seconds=clip.info.pts_seconds,
                crops=crops,
                check=check,
                controls=controls,
                matting=matte_maker(models),
                before=_finished(workspace, span, needs.conditioning_frames),
                light=light,
                figure=figure,
            )
            if needs.output == "pictures":
                layers = correct_color_drift(layers, anchor)
            if settings.temporal.method == "flow" and figure is not None:
                layers = reduce_flicker(
                    with_motion(layers, plan, clip.info.pts_seconds, figure), restarts, settings.temporal.strength
                )
            write_layers(path, _counted(layers, clip.info.num_frames, progress))
            write_checksum(workspace, path)
            generator.rest()
        if anchor is None and needs.output == "pictures":
            # From the spool, not from memory: a job that goes on after a kill finds the same.
            anchor = _anchor(path, needs.window_frames)


def _finished(workspace: Path, span: ChunkSpan, most: int) -> tuple[Layer, ...]:
    """Return the layers from the span's start on that the chunk before has made."""
    if span.continues is None or most == 0:
        return ()
    with closing(LayerReader(chunk_path(workspace, span.continues))) as reader:
        return tuple(reader.read(frame) for frame in range(span.start, min(span.start + most, span.continues.stop)))


def _anchor(path: Path, most: int) -> ColorReference | None:
    with closing(LayerReader(path)) as reader:
        return measure_color_reference(reader.read(frame) for frame in islice(reader.frames(), most))


def _counted(layers: Iterator[tuple[int, Any]], total: int, progress: Progress) -> Iterator[tuple[int, Any]]:
    for frame, layer in layers:
        yield frame, layer
        progress("perform", frame + 1, total)
