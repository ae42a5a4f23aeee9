"""Windows of frames to layers of the new person, through the generator plug."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice, zip_longest
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Frame, Layer, Mask, Picture, Plan, Transforms, VideoInfo, Window
from pipeline.errors import InvalidInput, OutOfMemory
from pipeline.maths.blending import crossfade_weight, mix_layers
from pipeline.maths.geometry import apply_transform, corners_of, invert, translation
from pipeline.media.pixels import rgb_of
from pipeline.models.interfaces import Check, Generator, PeopleBackend, SafetyBackend
from pipeline.perform.matting import carried_matte, coarsened, cut_out_window, with_matte
from pipeline.perform.windows import windows_of

_STEADY_FRAMES = 9
"""Over so many frames the new joints' distance from those asked for is taken the median of."""
_SAMPLES = 8
"""Frames that tell the limits of depth in a clip."""
_OTHER_SEED = 7919
"""Added to the job's where a window is made again."""


class FrameReader(Protocol):
    """A clip, as far as this stage reads it."""

    @property
    def info(self) -> VideoInfo: ...
    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]: ...


class ControlDrawer(Protocol):
    """Guiding pictures, as far as this stage asks for them."""

    def draw(
        self, joints: NDArray[np.float32], pictures: NDArray[np.uint8] | None, size_wh: tuple[int, int]
    ) -> Mapping[str, NDArray[np.uint8]]: ...


class PlateRenderer(Protocol):
    """The plates, as far as this stage asks them."""

    def render(self, frame: int, box_xyxy: tuple[int, int, int, int]) -> tuple[Picture, Mask]: ...


def generate_layers(
    plan: Plan,
    start: int,
    stop: int,
    generator: Generator,
    *,
    seed: int,
    overlap_frames: int,
    pts_seconds: NDArray[np.float64],
    crops: CropReader,
    check: Check,
    controls: ControlDrawer | None = None,
    cutter: Cutter | None = None,
    before: tuple[Layer, ...] = (),
) -> Iterator[tuple[int, Layer]]:
    """Yield (frame, layer) for [start, stop) in order, each once, crossfaded where windows overlap.

    A generator that can be conditioned on finished frames gets the last of them, and its windows overlap by as many;
    one that cannot is asked for each frame once. ``before`` are finished layers of the first frames, where the chunk
    before has made them. ``crops`` and ``controls`` are asked only for what the generator needs; ``cutter`` makes the
    mattes of one that gives none.
    """
    needs = generator.needs
    overlap = min(overlap_frames, needs.conditioning_frames)
    spans = [*windows_of(start, stop, needs.window_frames, overlap)]
    pending: dict[int, Layer] = {}
    for span, following in zip_longest(spans, spans[1:]):
        taken_up_from = following.start if following is not None else stop
        known = min(span.overlap, needs.conditioning_frames)
        finished = tuple(pending[span.start + position] for position in range(known))
        if span.start == start:
            finished = before[: needs.conditioning_frames]
        window = _window(plan, span.start, span.stop, pts_seconds, finished)
        window = replace(
            window,
            pictures=crops.pictures(span.start, span.stop) if needs.pictures else None,
            plates=crops.plates(span.start, span.stop) if needs.plates else None,
            masks=crops.masks(span.start, span.stop) if needs.masks else None,
        )
        if needs.controls and controls is not None:
            drawn = controls.draw(window.joints, window.pictures, window.size_wh)
            window = replace(window, controls=drawn)
        layers = _generated(generator, window, seed, check)
        if not needs.gives_alpha:
            assert cutter is not None
            layers = cutter.cut(window, layers, partial(_generated, generator, window, check=check), seed)
        for position, made in enumerate(layers):
            check()
            frame = span.start + position
            layer = made
            if position < span.overlap:
                layer = mix_layers(pending.pop(frame), made, crossfade_weight(position, span.overlap))
            if frame < taken_up_from:
                yield frame, layer
            else:
                pending[frame] = layer


def _generated(generator: Generator, window: Window, seed: int, check: Check) -> Iterator[Layer]:
    """Yield the window's layers; out of memory, the window is tried once more with less of it."""
    done = 0
    try:
        for layer in generator.generate(window, seed, check):
            yield layer
            done += 1
        return
    except OutOfMemory:
        if not generator.use_less_memory():
            raise
    # Same window and seed give the same layers, so those that were handed on already are passed over.
    yield from islice(generator.generate(window, seed, check), done, None)


def _window(plan: Plan, start: int, stop: int, pts_seconds: NDArray[np.float64], finished: tuple[Layer, ...]) -> Window:
    subject = plan.subject
    joints = subject.joints[start:stop].copy()
    skeletons = subject.skeletons[start:stop].copy()
    heights = subject.body_height_px[start:stop].copy()
    for row, frame in enumerate(range(start, stop)):
        crop_from_source = plan.crop_from_source(frame)
        scale = local_scale(crop_from_source, subject.boxes_xyxy[frame])
        joints[row, :, :2] = apply_transform(crop_from_source, joints[row, :, :2])
        skeletons[row, :, :2] = apply_transform(crop_from_source, skeletons[row, :, :2])
        skeletons[row, :, 2] *= scale
        heights[row] *= scale
    return Window(
        start=start,
        size_wh=plan.crop.size_wh,
        pts_seconds=pts_seconds[start:stop],
        joints=joints,
        skeletons=skeletons,
        planted=plan.contacts.planted[start:stop],
        body_height_px=heights,
        presence=subject.presence[start:stop],
        finished=finished,
    )


def local_scale(crop_from_source: Transforms, box_xyxy: NDArray[np.float64]) -> float:
    """Return how many crop px one source px is at the middle of a box (square root of the area's ratio)."""
    if not np.isfinite(box_xyxy).all():
        return 1.0
    middle = np.array([(box_xyxy[0] + box_xyxy[2]) / 2, (box_xyxy[1] + box_xyxy[3]) / 2])
    corners = apply_transform(crop_from_source, middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    (ax, ay), (bx, by) = corners[1] - corners[0], corners[2] - corners[0]
    return float(np.sqrt(abs(ax * by - ay * bx)))


class Cutter:
    """Makes the mattes of generated pictures, and coarsens what must not be shown; once a chunk."""

    def __init__(self, people: PeopleBackend, safety: SafetyBackend | None) -> None:
        self._people, self._safety = people, safety
        self._last: Layer | None = None
        self._beside: deque[NDArray[np.float32]] = deque(maxlen=_STEADY_FRAMES)

    def cut(
        self, window: Window, layers: Iterable[Layer], again: Callable[[int], Iterable[Layer]], seed: int
    ) -> Iterator[Layer]:
        """Yield a window's layers with their mattes.

        Where nobody stands in a picture as he was asked to, the window is made ``again`` with another seed, once, and
        the better of the two is taken; then the last frame's matte is carried on.
        """
        pictures = list(layers)
        cut = cut_out_window(pictures, window.joints, window.body_height_px, self._people)
        if _failures(cut):
            others = list(again(seed + _OTHER_SEED))
            others_cut = cut_out_window(others, window.joints, window.body_height_px, self._people)
            if _failures(others_cut) < _failures(cut):
                pictures, cut = others, others_cut
        flags = self._flags(pictures, len(window.finished))
        for row, (picture, found) in enumerate(zip(pictures, cut, strict=True)):
            layer = found if found is not None else self._carried(window, row, picture)
            if picture.alpha is None:
                # What was finished before, or has nobody in it, keeps what it was.
                layer = replace(layer, joints=self._steady(layer.joints, window.joints[row]))
            self._last = coarsened(layer) if flags[row] else layer
            # The picture itself is what the next matte is carried from.
            self._picture = picture.picture
            yield self._last

    def _carried(self, window: Window, row: int, layer: Layer) -> Layer:
        if self._last is not None and self._last.alpha is not None:
            return carried_matte(layer, self._picture, self._last.alpha)
        assert window.masks is not None
        # There is no frame before: the old person's own shape is the nearest thing.
        return replace(with_matte(layer, window.masks[row]), matte_is_carried=True)

    def _steady(self, found: NDArray[np.float32] | None, asked: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the new person's joints: those that were asked for, and by how much he stands beside them of late.

        Found frame by frame they tremble by some px; what was asked for is smooth, and the new proportions change
        slowly.
        """
        unknown = np.full((len(asked), 2), np.nan, np.float32)
        self._beside.append(found[:, :2] - asked[:, :2] if found is not None else unknown)
        recent = np.stack(self._beside)
        known = np.isfinite(recent[..., 0]).any(axis=0)
        joints = asked.copy()
        joints[known, :2] += np.nanmedian(recent[:, known], axis=0)
        return joints

    def _flags(self, pictures: list[Layer], finished: int) -> NDArray[np.bool_]:
        flags = np.zeros(len(pictures), np.bool_)
        made = [row for row, layer in enumerate(pictures) if row >= finished and layer.alpha is None]
        if self._safety is not None and made:
            flags[made] = self._safety.flagged(np.stack([pictures[row].picture for row in made]))
        return flags


def _failures(cut: list[Layer | None]) -> int:
    return sum(layer is None for layer in cut)


class CropReader:
    """The source, the plate and the old person's mask as a generator sees them: in crop space."""

    def __init__(self, clip: FrameReader, plan: Plan, old: Callable[[int], Mask], plates: PlateRenderer | None) -> None:
        self._clip, self._plan, self._old, self._plates = clip, plan, old, plates

    def pictures(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return (N, h, w, 3): the stabilized source, RGB; black outside the frame."""
        return np.stack([self._warped(rgb_of(frame), frame.index) for frame in self._clip.frames(start, stop)])

    def plates(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return (N, h, w, 3): the clean background, RGB. Raises ``InvalidInput`` where plates are switched off."""
        if self._plates is None:
            raise InvalidInput(
                "this generator needs plates: plate.method cannot be off", field="overrides.plate.method"
            )
        return np.stack([self._warped_plate(self._plates, frame) for frame in range(start, stop)])

    def _warped_plate(self, plates: PlateRenderer, frame: int) -> Picture:
        """Render only the part of the plate that the crop shows, and two pixels more for the interpolation."""
        crop_from_source, crop_wh = self._plan.crop_from_source(frame), self._plan.crop.size_wh
        seen = apply_transform(invert(crop_from_source), corners_of(crop_wh))
        size_wh = self._clip.info.size_wh
        x0, y0 = (int(v) for v in np.clip(np.floor(seen.min(axis=0)) - 2, 0, np.array(size_wh) - 1))
        x1, y1 = (int(v) for v in np.clip(np.ceil(seen.max(axis=0)) + 3, (x0 + 1, y0 + 1), size_wh))
        picture, _ = plates.render(frame, (x0, y0, x1, y1))
        warped = cv2.warpPerspective(picture, crop_from_source @ translation(x0, y0), crop_wh)
        return np.asarray(warped, np.uint8)

    def samples(self, plan: Plan) -> NDArray[np.uint8]:
        """Return (N, h, w, 3): a few of the pictures, spread over the frames that are made."""
        made = [frame for chunk in plan.chunks for frame in range(chunk.start, chunk.stop)]
        chosen = [made[i * (len(made) - 1) // max(_SAMPLES - 1, 1)] for i in range(min(_SAMPLES, len(made)))]
        return np.concatenate([self.pictures(frame, frame + 1) for frame in chosen])

    def masks(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return (N, h, w): the old person."""
        return np.stack(
            [self._warped(self._old(frame).astype(np.uint8) * 255, frame) > 127 for frame in range(start, stop)]
        )

    def beside(self, layers: Iterable[tuple[int, Layer]]) -> Iterator[tuple[int, Layer, Picture, Mask]]:
        """Add the stabilized source and the old person's mask to layers that come in the order of frames."""
        frames: Iterator[Frame] | None = None
        for number, layer in layers:
            if frames is None:
                frames = self._clip.frames(number)
            frame = next(frames)
            old = self._warped(self._old(number).astype(np.uint8) * 255, number) > 127
            yield number, layer, self._warped(rgb_of(frame), number), old

    def _warped(self, picture: NDArray[np.uint8], frame: int) -> NDArray[np.uint8]:
        # INTER_LINEAR: crops are never much smaller than the source part that they show.
        warped = cv2.warpPerspective(picture, self._plan.crop_from_source(frame), self._plan.crop.size_wh)
        return np.asarray(warped, np.uint8)
