"""PERFORM: one read; generate layers of the new person, chunk by chunk, each a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pipeline.datatypes.light import SceneLight
from pipeline.datatypes.plan import Chunk, Plan
from pipeline.datatypes.window import Layer, Window
from pipeline.models.loaded import LoadedModels
from pipeline.perform.backends import control_pictures, matte_maker
from pipeline.perform.color_drift import ColorReference, correct_color_drift, measure_color_reference
from pipeline.perform.crops import CropReader
from pipeline.perform.figure_motion import with_motion
from pipeline.perform.generate import LayerMaker, WindowSources, generate_layers, window_inputs
from pipeline.perform.inputs import PerformInputs
from pipeline.perform.sharing import ChunkOffer, ShareChunks, draw_all
from pipeline.perform.temporal import reduce_flicker
from pipeline.perform.windows import ChunkSpan, chunk_spans
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.prefetch import prefetch
from pipeline.settings import Settings
from pipeline.workspace.checkpoints import keep_if_intact, write_checksum
from pipeline.workspace.layers import LayerReader, chunk_path, write_layers


def perform_clip(
    inputs: PerformInputs,
    models: LoadedModels,
    settings: Settings,
    check: Check,
    progress: Progress,
    share: ShareChunks = draw_all,
    announce: Callable[[Path], None] = lambda path: None,
) -> None:
    """Generate the layers of the new person, chunk by chunk; each chunk's spool is a checkpoint.

    ``share`` selects the chunks generated here; the others have been put into the inputs' folder when it ends.
    ``announce`` is called with the path of every chunk, in whatever order they are finished.
    """
    needs = models.generator.needs
    figure = models.figure
    plan = inputs.plan
    folder = inputs.folder
    overlap = settings.segment.overlap_frames if settings.composite.crossfade else 0
    restarts = frozenset(int(start) for start in plan.shot_starts)
    spans = list(chunk_spans(plan.chunks, overlap))
    todo = tuple(span for span in spans if not keep_if_intact(folder, chunk_path(folder, span.chunk)))
    colors_of = _first_with_subject(plan) if needs.output == "pictures" else None
    for span in spans:
        if span not in todo:
            announce(chunk_path(folder, span.chunk))
    offer = ChunkOffer(
        todo,
        _dependencies(spans, needs.conditioning_frames, colors_of),
        folder,
        lambda span: announce(chunk_path(folder, span.chunk)),
        with_plates="plates" in needs.inputs,
    )
    sources = _sources(inputs, models)
    # The sharer reports progress for all chunks.
    drawn = progress if share is draw_all else _say_nothing
    reference: ColorReference | None = None
    with ExitStack() as opened:
        windows: Iterator[Window] | None = None
        if share is draw_all and needs.inputs:
            # The first window of the next chunk is prepared while the card works on this one.
            in_order = (
                window_inputs(sources, range(span.start, span.chunk.stop), needs, overlap, check) for span in todo
            )
            windows = opened.enter_context(closing(prefetch(chain.from_iterable(in_order))))
        for span in opened.enter_context(_open(share(offer, check, progress))):
            if reference is None and colors_of is not None and span.chunk.index > colors_of.index:
                # Read from the spool, not from memory: every worker, and a resumed job, gets the same layers.
                reference = _color_reference(chunk_path(folder, colors_of), needs.window_frames, inputs.light)
            layers = generate_layers(
                sources,
                range(span.start, span.chunk.stop),
                LayerMaker(models.generator, matte_maker(models, settings), inputs.seed),
                overlap_frames=overlap,
                check=check,
                before=_finished(folder, span, needs.conditioning_frames),
                windows=windows,
            )
            path = chunk_path(folder, span.chunk)
            with ExitStack() as stack:
                if needs.inputs:
                    # Up to a window ahead of what is done to finished layers, for which a card need not wait.
                    layers = stack.enter_context(closing(prefetch(layers, needs.window_frames)))
                if needs.output == "pictures":
                    layers = correct_color_drift(layers, reference, inputs.light)
                if settings.temporal.method == "flow" and figure is not None:
                    moving = with_motion(layers, plan, inputs.clip.info.pts_seconds, figure)
                    layers = reduce_flicker(moving, restarts, settings.temporal.strength)
                write_layers(path, _counted(layers, inputs.clip.info.num_frames, drawn))
            write_checksum(folder, path)
            announce(path)
            models.generator.rest()


@contextmanager
def _open(spans: Iterator[ChunkSpan]) -> Iterator[Iterator[ChunkSpan]]:
    """Close what shares the chunks also where drawing fails: it takes back the chunks that others draw."""
    try:
        yield spans
    finally:
        if isinstance(spans, Generator):
            spans.close()


def _sources(inputs: PerformInputs, models: LoadedModels) -> WindowSources:
    return WindowSources(
        plan=inputs.plan,
        pts_seconds=inputs.clip.info.pts_seconds,
        crops=CropReader(inputs.clip, inputs.plan, inputs.masks.subject_mask, inputs.plates),
        light=inputs.light,
        figure=models.figure,
        controls=control_pictures(models),
    )


def _first_with_subject(plan: Plan) -> Chunk | None:
    """Return the chunk whose colors are the reference for all later ones."""
    return next((c for c in plan.chunks if plan.subject.presence[c.start : c.stop].any()), None)


def _dependencies(
    spans: Sequence[ChunkSpan], conditioning_frames: int, colors_of: Chunk | None
) -> Mapping[int, frozenset[int]]:
    """Return for each chunk, by its index, the chunks whose layers it depends on."""
    needed: dict[int, frozenset[int]] = {}
    for span in spans:
        earlier = set()
        if colors_of is not None and span.chunk.index > colors_of.index:
            earlier.add(colors_of.index)
        if conditioning_frames and span.continues is not None:
            earlier.add(span.continues.index)
        needed[span.chunk.index] = frozenset(earlier)
    return needed


def _finished(folder: Path, span: ChunkSpan, most: int) -> tuple[Layer, ...]:
    """Return the previous chunk's layers from the span's start on."""
    if span.continues is None or most == 0:
        return ()
    with closing(LayerReader(chunk_path(folder, span.continues))) as reader:
        return tuple(reader.read(frame) for frame in range(span.start, min(span.start + most, span.continues.stop)))


def _color_reference(path: Path, most: int, light: SceneLight) -> ColorReference | None:
    with closing(LayerReader(path)) as reader:
        return measure_color_reference(((frame, reader.read(frame)) for frame in islice(reader.frames(), most)), light)


def _say_nothing(stage: str, done: int, total: int) -> None:
    pass


def _counted(layers: Iterator[tuple[int, Any]], total: int, progress: Progress) -> Iterator[tuple[int, Any]]:
    for frame, layer in layers:
        yield frame, layer
        progress("perform", frame + 1, total)
