"""Source, plate and masks of a frame in crop space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Frame, FrameSource, Layer, Mask, Picture, Plan
from pipeline.errors import InvalidInput
from pipeline.maths.boxes import Box
from pipeline.maths.geometry import apply_transform, corners_of, invert, translation
from pipeline.media.pixels import rgb_of

_SAMPLES = 8
"""Frames that tell the limits of depth in a clip."""


class PlateRenderer(Protocol):
    """The plates, as far as this stage asks them."""

    def render(self, frame: int, box_xyxy: Box) -> tuple[Picture, Mask]: ...


class CropReader:
    """The source, the plate and the old person's mask as a generator sees them: in crop space."""

    def __init__(
        self, clip: FrameSource, plan: Plan, subject_mask: Callable[[int], Mask], plates: PlateRenderer | None
    ) -> None:
        self._clip, self._plan, self._subject_mask, self._plates = clip, plan, subject_mask, plates

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
            [
                self._warped(self._subject_mask(frame).astype(np.uint8) * 255, frame) > 127
                for frame in range(start, stop)
            ]
        )

    def beside(self, layers: Iterable[tuple[int, Layer]]) -> Iterator[tuple[int, Layer, Picture, Mask]]:
        """Add the stabilized source and the old person's mask to layers that come in the order of frames."""
        frames: Iterator[Frame] | None = None
        for number, layer in layers:
            if frames is None:
                frames = self._clip.frames(number)
            frame = next(frames)
            subject_mask = self._warped(self._subject_mask(number).astype(np.uint8) * 255, number) > 127
            yield number, layer, self._warped(rgb_of(frame), number), subject_mask

    def _warped(self, picture: NDArray[np.uint8], frame: int) -> NDArray[np.uint8]:
        # INTER_LINEAR: crops are never much smaller than the source part that they show.
        warped = cv2.warpPerspective(picture, self._plan.crop_from_source(frame), self._plan.crop.size_wh)
        return np.asarray(warped, np.uint8)
