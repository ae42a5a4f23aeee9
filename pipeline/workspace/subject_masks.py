"""Masks of the subject and of others, frame by frame, from the spool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Presence, Subject
from pipeline.datatypes.survey import Overlays
from pipeline.joints import HIPS
from pipeline.maths.boxes import box_of_mask
from pipeline.maths.masks import close, grow_round

FILLED_DILATION_BH = 0.03
"""A mask moved from another frame fits less well than a detected one."""


WHOLE = 0.9
"""Visible fraction that the subject must have in a frame whose mask is reused for another one."""
MAX_MASK_SECONDS = 1.0
GAP_BH = 0.02
"""Radius of the notches and holes that the mask of somebody in front of the subject may have."""
NEARER_BH = 0.02
"""How much farther down the picture a person in front of the subject must reach."""


class MaskSource(Protocol):
    """Provides the masks of one frame by track id."""

    def get(self, frame: int) -> Mapping[int, Mask]: ...


class SubjectMasks:
    """Masks of the subject and of everybody else, (H, W) of the source picture, from the spooled ones."""

    def __init__(
        self,
        store: MaskSource,
        subject: Subject,
        world_from_source: Transforms,
        info: VideoInfo,
        overlays: Overlays | None = None,
    ) -> None:
        """Masks are read from ``store`` on demand. A filled-in mask follows the hips, whose motion includes the
        camera's, so ``world_from_source`` (T, 3, 3) only has to fit the clip. Pixels under ``overlays`` belong to
        nobody.
        """
        if len(world_from_source) != info.num_frames or len(subject.presence) != info.num_frames:
            raise ValueError(
                f"{len(world_from_source)} transforms, {len(subject.presence)} presences, {info.num_frames} frames"
            )
        self._store = store
        self._subject = subject
        self._overlays = overlays
        self._seconds = info.pts_seconds
        is_found = subject.presence == Presence.FOUND
        self._found = np.flatnonzero(is_found)
        visible = subject.visible if subject.visible is not None else np.ones(len(is_found))
        self._whole = np.flatnonzero(is_found & (visible >= WHOLE))
        self._shape = info.size_wh[1], info.size_wh[0]
        self._hips = subject.joints[:, HIPS, :2].astype(np.float64).mean(axis=1)

    def subject_mask(self, frame: int) -> Mask:
        """Return the subject's mask; where they were not clearly visible, the masks of nearby frames, moved with the
        hips.

        Empty where the subject is absent.
        """
        presence = self._subject.presence[frame]
        if presence == Presence.ABSENT:
            return np.zeros(self._shape, np.bool_)
        mask = self._union(frame, True) if presence == Presence.FOUND else self._moved(frame)
        overlay = self.overlay_mask(frame)
        return mask if overlay is None else mask & ~overlay

    def others_mask(self, frame: int) -> Mask:
        """Return the union of everybody else's masks.

        Without their gaps where the subject was not clearly visible: a gap would show the background behind both.
        """
        mask = self._union(frame, False)
        if self._subject.presence[frame] == Presence.UNCERTAIN:
            mask = close(mask, self._gap_px(frame))
        overlay = self.overlay_mask(frame)
        return mask if overlay is None else mask & ~overlay

    def unfound_others_mask(self, frame: int) -> Mask | None:
        """Return about where others are who pass the subject and are not found in this frame; None for nobody."""
        moved = self._subject.others_moved
        if moved is None:
            return None
        first, last = np.searchsorted(moved.frames, [frame, frame + 1])
        whole = None
        for row in range(int(first), int(last)):
            mask = self._store.get(int(moved.source_frames[row])).get(int(moved.track_ids[row]))
            if mask is None:
                continue
            x, y = np.rint(moved.offsets_xy[row])
            shift = np.array([[1, 0, x], [0, 1, y]], np.float64)
            size_wh = self._shape[1], self._shape[0]
            shifted = cv2.warpAffine(mask.view(np.uint8), shift, size_wh, flags=cv2.INTER_NEAREST) > 0
            whole = shifted if whole is None else whole | shifted
        return None if whole is None else np.asarray(whole, np.bool_)

    def people_mask(self, frame: int) -> Mask:
        """Return the subject and all others."""
        return self.subject_mask(frame) | self.others_mask(frame)

    def overlay_mask(self, frame: int) -> Mask | None:
        """Return where burnt-in graphics lie on top of everything, None where there are none."""
        return None if self._overlays is None else self._overlays.front_mask(frame)

    def hidden_mask(self, frame: int) -> Mask:
        """Return everything that occludes the background: people and graphics."""
        overlay = None if self._overlays is None else self._overlays.mask(frame)
        people = self.people_mask(frame)
        return people if overlay is None else people | overlay

    def _union(self, frame: int, is_subject: bool) -> Mask:
        whole = np.zeros(self._shape, np.bool_)
        masks = self._store.get(frame)
        for track_id in masks:
            if (track_id == self._subject.track_of_frame[frame]) == is_subject:
                whole |= masks[track_id]
        return whole

    def _gap_px(self, frame: int) -> float:
        height = float(self._subject.body_height_px[frame])
        return GAP_BH * height if np.isfinite(height) else 1.0

    def _without_hiding(self, moved: Mask, frame: int, subject_tracks: frozenset[int], height_px: float) -> Mask:
        """Remove from a moved mask people in front of the subject: those who reach farther down the picture.

        Not the subject's own tracks just before and after.
        """
        left = moved.copy()
        lowest = box_of_mask(moved)[3] + NEARER_BH * height_px
        for track_id, mask in self._store.get(frame).items():
            if track_id not in subject_tracks and box_of_mask(mask)[3] >= min(lowest, self._shape[0]):
                left &= ~close(mask, self._gap_px(frame))
        return left

    def _near(self, frame: int) -> list[int]:
        """Return the frames before and after in which the subject is completely visible, or, where none is near, in
        which they are detected."""
        for frames in (self._whole, self._found):
            at = int(np.searchsorted(frames, frame))
            near: list[int] = frames[max(at - 1, 0) : at + 1].tolist()
            if any(abs(float(self._seconds[other] - self._seconds[frame])) <= MAX_MASK_SECONDS for other in near):
                return near
        return []

    def _moved(self, frame: int) -> Mask:
        """Return the masks of the nearest frames on both sides, moved to where the hips are in this one.

        What one side hides the other one may show: somebody who passes uncovers first one arm, then the other.
        """
        height = self._subject.body_height_px
        moved = np.zeros(self._shape, np.bool_)
        heights = []
        for source in self._near(frame):
            distance = abs(float(self._seconds[source] - self._seconds[frame]))
            shift = self._hips[frame] - self._hips[source]
            # A mask from the other side of a cut is far off, as the hips show.
            if distance + float(np.hypot(*shift)) / max(float(height[source]), 1.0) <= MAX_MASK_SECONDS:
                moved |= self._moved_from(source, frame)
                heights.append(float(height[source]))
        if not heights:
            return moved
        grown = grow_round(moved, FILLED_DILATION_BH * max(heights))
        at = int(np.searchsorted(self._found, frame))
        beside = self._found[max(at - 1, 0) : at + 1]
        subject_tracks = frozenset(self._subject.track_of_frame[beside].tolist())
        return self._without_hiding(grown, frame, subject_tracks, max(heights))

    def _moved_from(self, source: int, frame: int) -> Mask:
        """Return the subject's mask of another frame, moved with the hips and scaled with the body."""
        height = self._subject.body_height_px
        scale = float(height[frame] / height[source]) if height[source] > 0 and np.isfinite(height[frame]) else 1.0
        scale = float(np.clip(scale, 0.8, 1.25))
        offset = self._hips[frame] - scale * self._hips[source]
        matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
        mask = self._union(source, True).view(np.uint8)
        moved = cv2.warpAffine(mask, matrix, (self._shape[1], self._shape[0]), flags=cv2.INTER_NEAREST)
        return np.asarray(moved > 0, np.bool_)
