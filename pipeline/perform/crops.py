"""Source, plate and masks of a frame in crop space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.plan import Plan
from pipeline.errors import InvalidInput
from pipeline.maths.boxes import Box
from pipeline.maths.geometry import apply_transform, corners_of, invert, translation
from pipeline.media.pixels import rgb_of


class PlateRenderer(Protocol):
    """The plates, as far as this stage needs them."""

    def render(self, frame: int, box_xyxy: Box) -> tuple[Picture, Mask]: ...


class CropReader:
    """The source, the plate and the subject's mask in crop space, as a generator sees them."""

    def __init__(
        self, clip: FrameSource, plan: Plan, subject_mask: Callable[[int], Mask], plates: PlateRenderer | None
    ) -> None:
        self._clip = clip
        self._plan = plan
        self._subject_mask = subject_mask
        self._plates = plates

    def pictures(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return (N, h, w, 3): the stabilized source, RGB; its border is replicated outside the frame."""
        return np.stack(
            [self._warped(rgb_of(frame), frame.index, cv2.BORDER_REPLICATE) for frame in self._clip.frames(start, stop)]
        )

    def plates(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return (N, h, w, 3): the clean background, RGB. Raises ``InvalidInput`` where plates are switched off."""
        if self._plates is None:
            raise InvalidInput(
                "this generator needs plates: plate.method cannot be off", field="overrides.plate.method"
            )
        return np.stack([self._warped_plate(self._plates, frame) for frame in range(start, stop)])

    def _warped_plate(self, plates: PlateRenderer, frame: int) -> Picture:
        """Render only the part of the plate that the crop shows, and two pixels more for the interpolation."""
        crop_from_source = self._plan.crop_from_source(frame)
        crop_wh = self._plan.crop.size_wh
        seen = apply_transform(invert(crop_from_source), corners_of(crop_wh))
        size_wh = self._clip.info.size_wh
        x0, y0 = (int(v) for v in np.clip(np.floor(seen.min(axis=0)) - 2, 0, np.array(size_wh) - 1))
        x1, y1 = (int(v) for v in np.clip(np.ceil(seen.max(axis=0)) + 3, (x0 + 1, y0 + 1), size_wh))
        picture, _ = plates.render(frame, (x0, y0, x1, y1))
        warped = cv2.warpPerspective(
            picture, crop_from_source @ translation(x0, y0), crop_wh, borderMode=cv2.BORDER_REPLICATE
        )
        return warped

    def masks(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return (N, h, w): the subject."""
        return np.stack(
            [
                self._warped(self._subject_mask(frame).astype(np.uint8) * 255, frame) > 127
                for frame in range(start, stop)
            ]
        )

    def _warped(self, picture: NDArray[np.uint8], frame: int, border: int = cv2.BORDER_CONSTANT) -> NDArray[np.uint8]:
        # INTER_LINEAR: crops are never much smaller than the source part that they show.
        crop = self._plan.crop
        warped = cv2.warpPerspective(picture, self._plan.crop_from_source(frame), crop.size_wh, borderMode=border)
        return warped
