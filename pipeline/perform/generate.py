"""Turn windows of frames into layers of the new person with the generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, zip_longest
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.light import SceneLight
from pipeline.datatypes.plan import Plan
from pipeline.datatypes.window import Layer, Window
from pipeline.errors import OutOfMemory
from pipeline.maths.blending import crossfade_weight, mix_layers
from pipeline.maths.geometry import apply_transform
from pipeline.models.interfaces import FigureBackend, Generator, Needs
from pipeline.perform.crops import CropReader
from pipeline.perform.matting import MatteMaker
from pipeline.perform.rescaled_body import rescaled
from pipeline.perform.windows import WindowSpan, windows_of
from pipeline.runtime.callbacks import Check
from pipeline.runtime.prefetch import prefetch


class ControlDrawer(Protocol):
    """Control images, as far as this stage needs them."""

    def draw(self, window: Window) -> Mapping[str, NDArray[np.uint8]]: ...


@dataclass(frozen=True, slots=True, eq=False)
class WindowSources:
    """Sources of a job's windows; each provides only what the generator needs."""

    plan: Plan
    pts_seconds: NDArray[np.float64]
    """(T,) of the clip."""
    crops: CropReader
    light: SceneLight | None = None
    """Of the whole clip."""
    figure: FigureBackend | None = None
    """Guides an image generator."""
    controls: ControlDrawer | None = None

    def window(self, start: int, stop: int, needs: Needs, check: Check = lambda: None) -> Window:
        """Return the window of the frames [start, stop) with everything that the generator needs except the finished
        layers."""
        window = replace(
            window_of_plan(self.plan, start, stop, self.pts_seconds),
            pictures=self.crops.pictures(start, stop) if "pictures" in needs.inputs else None,
            plates=self.crops.plates(start, stop) if "plates" in needs.inputs else None,
            masks=self.crops.masks(start, stop) if "masks" in needs.inputs else None,
            light=self.light.part(start, stop) if self.light is not None else None,
        )
        if "figure" in needs.inputs and self.figure is not None:
            window = replace(window, figure=self.figure.guide(window, check))
        if needs.controls and self.controls is not None:
            window = replace(window, controls=self.controls.draw(window))
        return window


@dataclass(frozen=True, slots=True, eq=False)
class LayerMaker:
    """Makes the layers of windows: a generator, with mattes for one that returns no alpha."""

    generator: Generator
    matting: MatteMaker | None
    seed: int

    def layers(self, window: Window, check: Check) -> Iterator[Layer]:
        """Yield the window's layers, in order."""
        made = _generated(self.generator, window, self.seed, check)
        if self.generator.needs.output == "layers":
            return made
        assert self.matting is not None
        again = partial(_generated, self.generator, window, check=check)
        return self.matting.cut(window, made, again, self.seed)


def generate_layers(
    sources: WindowSources,
    frames: range,
    maker: LayerMaker,
    *,
    overlap_frames: int,
    check: Check,
    before: tuple[Layer, ...] = (),
    windows: Iterator[Window] | None = None,
) -> Iterator[tuple[int, Layer]]:
    """Yield (frame, layer) for the ``frames`` in order, each once, crossfaded where windows overlap.

    A generator that can be conditioned on finished frames gets the last of them, and its windows overlap by as many;
    one that cannot generates each frame once. ``before`` are finished layers of the first frames, where the previous
    chunk generated them. ``windows`` are those of ``window_inputs``, if they are prepared elsewhere; they stay open.
    """
    needs = maker.generator.needs
    spans = _window_spans(frames, needs, overlap_frames)
    pending: dict[int, Layer] = {}
    with ExitStack() as stack:
        if windows is None:
            windows = window_inputs(sources, frames, needs, overlap_frames, check)
            if needs.inputs:
                # A window needs only the finished layers of the previous one: the next is prepared while this one is
                # generated.
                windows = stack.enter_context(closing(prefetch(windows)))
        for span, following, window in zip_longest(spans, spans[1:], islice(windows, len(spans))):
            taken_up_from = following.start if following is not None else frames.stop
            known = min(span.overlap, needs.conditioning_frames)
            finished = tuple(pending[span.start + position] for position in range(known))
            if span.start == frames.start:
                finished = before[: needs.conditioning_frames]
            for position, made in enumerate(maker.layers(replace(window, finished=finished), check)):
                check()
                frame = span.start + position
                layer = made
                if position < span.overlap:
                    layer = mix_layers(pending.pop(frame), made, crossfade_weight(position, span.overlap))
                if frame < taken_up_from:
                    yield frame, layer
                else:
                    pending[frame] = layer


def window_inputs(
    sources: WindowSources, frames: range, needs: Needs, overlap_frames: int, check: Check
) -> Iterator[Window]:
    """Yield the windows from which ``generate_layers`` makes the ``frames``, without the finished layers."""
    for span in _window_spans(frames, needs, overlap_frames):
        yield sources.window(span.start, span.stop, needs, check)


def _window_spans(frames: range, needs: Needs, overlap_frames: int) -> list[WindowSpan]:
    overlap = min(overlap_frames, needs.conditioning_frames)
    return [*windows_of(frames.start, frames.stop, needs.window_frames, overlap)]


def _generated(generator: Generator, window: Window, seed: int, check: Check) -> Iterator[Layer]:
    """Yield the window's layers; when out of memory, the window is retried once with reduced memory use."""
    done = 0
    try:
        for layer in generator.generate(window, seed, check):
            yield layer
            done += 1
        return
    except OutOfMemory:
        if not generator.use_less_memory():
            raise
    # The same window and seed produce the same layers, so those already yielded are skipped.
    yield from islice(generator.generate(window, seed, check), done, None)


def window_of_plan(
    plan: Plan, start: int, stop: int, pts_seconds: NDArray[np.float64], finished: tuple[Layer, ...] = ()
) -> Window:
    """Return the plan's data for the frames [start, stop), in crop space, for a body as tall as the new person's; no
    pictures."""
    subject = plan.subject
    joints = subject.joints[start:stop].copy()
    skeletons = subject.skeletons[start:stop].copy()
    heights = subject.body_height_px[start:stop].copy()
    distances = np.full(stop - start, plan.crop.focal_px)
    for row, frame in enumerate(range(start, stop)):
        crop_from_source = plan.crop_from_source(frame)
        scale = local_scale(crop_from_source, subject.boxes_xyxy[frame])
        joints[row, :, :2] = apply_transform(crop_from_source, joints[row, :, :2])
        skeletons[row, :, :2] = apply_transform(crop_from_source, skeletons[row, :, :2])
        skeletons[row, :, 2] *= scale
        heights[row] *= scale
        # A length of the focal length at the subject is as long as the way to it.
        distances[row] *= scale
        if plan.body_scale != 1.0:
            joints[row], skeletons[row] = rescaled(joints[row], skeletons[row], heights[row], plan.body_scale)
            heights[row] *= plan.body_scale
    return Window(
        start=start,
        size_wh=plan.crop.size_wh,
        pts_seconds=pts_seconds[start:stop],
        joints=joints,
        skeletons=skeletons,
        planted=plan.contacts.planted[start:stop],
        body_height_px=heights,
        presence=subject.presence[start:stop],
        distance_px=distances,
        finished=finished,
    )


def local_scale(crop_from_source: Transforms, box_xyxy: NDArray[np.float64]) -> float:
    """Return the crop px per source px at the center of a box (square root of the area ratio)."""
    if not np.isfinite(box_xyxy).all():
        return 1.0
    middle = np.array([(box_xyxy[0] + box_xyxy[2]) / 2, (box_xyxy[1] + box_xyxy[3]) / 2])
    corners = apply_transform(crop_from_source, middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    (ax, ay) = corners[1] - corners[0]
    (bx, by) = corners[2] - corners[0]
    return float(np.sqrt(abs(ax * by - ay * bx)))
