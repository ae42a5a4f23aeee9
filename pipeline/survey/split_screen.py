"""Find split screens: two videos side by side, one above the other, or a small one in front of a large one (an inset);
and choose the one with the people who matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.survey import Track
from pipeline.maths.boxes import Box, box_iou, grown
from pipeline.request import PointChoice
from pipeline.survey.graphic import Seen
from pipeline.survey.inset import CARD_SIDE, inset_of, still_boxes
from pipeline.survey.split_lines import parts_of
from pipeline.survey.still_lines import Pictures

_LEAST_SIDE_PX = 240
"""Of a picture in which lines between two videos are told from others: in 112 parts of eight clips with one video, two
were found in 10 at 144 px, 8 at 180, 4 at 240 and none from 300 on."""
_MOST_LOOKS = 12
_LEAST_LOOKS = 5
_SAME_PARTS = 0.9
"""IoU of the parts of two shots that are laid out alike."""
_INSIDE = 0.6
"""Share of a person's box that lies in the part which shows them."""
_ASIDE = 1 / 8
"""Weight of people in an inset: it shows somebody who talks about the others, larger than these."""
_RIM_PX = 1
"""An inset's outermost pixels, in which both videos are mixed."""


@dataclass(frozen=True, slots=True)
class SplitScreen:
    """A shot that shows two videos at once."""

    first: int
    last: int
    """Frames, both included."""
    parts: tuple[Box, Box]
    """Half-open, without the line between them and the pixels in which both are mixed. The first one is the whole
    picture where the second one is an inset."""

    @property
    def has_inset(self) -> bool:
        """Whether the second video lies in front of the first."""
        (x0, y0, x1, y1), inset = self.parts
        return x0 <= inset[0] and y0 <= inset[1] and inset[2] <= x1 and inset[3] <= y1

    def covered(self, part: Box) -> Box | None:
        """Return the inset in front of a part, None where there is none."""
        return self.parts[1] if self.has_inset and part == self.parts[0] else None

    def scaled(self, ratio_xy: tuple[float, float]) -> SplitScreen:
        """Return it for pictures larger by some ratios; the parts are rounded inwards."""
        x, y = ratio_xy
        one, two = (
            (int(np.ceil(x0 * x)), int(np.ceil(y0 * y)), int(x1 * x), int(y1 * y)) for x0, y0, x1, y1 in self.parts
        )
        return SplitScreen(self.first, self.last, (one, two))


class SplitScreenFinder:
    """Takes some of a clip's frames in order; holds a few small pictures of the shot."""

    def __init__(self) -> None:
        self._looks: list[Seen] = []
        self._stride = 1
        self._count = 0
        self._first = 0
        self._found: list[SplitScreen] = []

    def look(self, seen: Seen) -> None:
        """Take a frame."""
        if self._count % self._stride == 0:
            self._looks.append(seen)
            if len(self._looks) > _MOST_LOOKS:
                self._looks = self._looks[::2]
                self._stride *= 2
        self._count += 1

    def cut(self, frame: int, has_borders: Callable[[], bool] = lambda: False) -> None:
        """End the shot: another one begins with ``frame``. The edge of bars or of a blurred copy is no line between two
        videos; ``has_borders`` says whether there are some, and is asked only where a line is found."""
        if frame > self._first and len(self._looks) >= _LEAST_LOOKS:
            parts = videos_of(self._looks)
            if parts is not None and not has_borders():
                self._found.append(SplitScreen(self._first, frame - 1, parts))
        self._first = frame
        self._looks = []
        self._stride = 1
        self._count = 0

    def finish(self, num_frames: int, has_borders: Callable[[], bool] = lambda: False) -> tuple[SplitScreen, ...]:
        """Return the shots that show two videos; ``has_borders`` as in ``cut``."""
        self.cut(num_frames, has_borders)
        return tuple(self._found)


def videos_of(looks: Sequence[Seen]) -> tuple[Box, Box] | None:
    """Return the two videos that some frames of one shot show; None where there is one, or where the picture is too
    small to tell."""
    if min(looks[0].luma.shape) < _LEAST_SIDE_PX:
        return None
    pictures = Pictures.of(looks)
    turned = Pictures.turned(looks)
    boxes = still_boxes(pictures, turned)
    cards = still_boxes(pictures, turned, CARD_SIDE)
    inset = inset_of(pictures, turned, boxes, cards)
    parts = parts_of(pictures, turned, [each.box_xyxy for each in (*boxes, *cards)])
    if parts is not None or inset is None:
        return parts
    height, width = pictures.luma.shape[1:]
    return (0, 0, width, height), grown(inset, -_RIM_PX)


def chosen_parts(
    screens: Sequence[SplitScreen],
    tracks: Sequence[Track],
    pts_seconds: NDArray[np.float64],
    points: Sequence[PointChoice] = (),
) -> list[Box]:
    """Return for each split screen the part that matters: the one that ``points`` select, else the one in which the
    most of people is seen in all shots that are laid out alike; an inset only where nearly all of it is seen there.
    ``pts_seconds`` (T,) are the frames' times."""
    chosen: list[Box] = []
    for screen in screens:
        alike = [other for other in screens if box_iou(*np.array([screen.parts[1], other.parts[1]])) >= _SAME_PARTS]
        weights = np.zeros(2)
        for other in alike:
            for track in tracks:
                shown = _in_second(track, other)
                weights[0] += float(track.mask_px[shown == 0].sum())
                weights[1] += float(track.mask_px[shown == 1].sum()) * (_ASIDE if other.has_inset else 1.0)
            begin, end = pts_seconds[other.first], pts_seconds[other.last]
            for point in points:
                if begin <= point.at_s <= end:
                    weights[int(_holds(other.parts[1], point.x, point.y))] += np.inf
        chosen.append(screen.parts[int(np.argmax(weights))])
    return chosen


def tracks_behind_insets(
    tracks: Sequence[Track], screens: Sequence[SplitScreen], chosen: Sequence[Box]
) -> tuple[Track, ...]:
    """Return the tracks without those that lie in an inset in front of the ``chosen`` part most of the time."""
    insets = [screen for screen, part in zip(screens, chosen, strict=True) if screen.covered(part) is not None]
    return tuple(
        track
        for track in tracks
        if 2 * sum(int(np.count_nonzero(_in_second(track, each) == 1)) for each in insets) <= len(track.frames)
    )


def split_screen_table(screens: Sequence[SplitScreen], chosen: Sequence[Box]) -> NDArray[np.int64]:
    """Return ``Survey.split_screens``: the shots that show two videos, and the ``chosen`` part of each."""
    rows = [(screen.first, screen.last, *part) for screen, part in zip(screens, chosen, strict=True)]
    return np.array(rows, np.int64).reshape(-1, 6)


def _in_second(track: Track, screen: SplitScreen) -> NDArray[np.int64]:
    """Return (N,) 1 where a person is seen in the second part of a split screen, 0 in the first, -1 in other shots."""
    boxes = track.boxes_xyxy
    part = np.array(screen.parts[1], np.float64)
    sides = np.minimum(boxes[:, 2:], part[2:]) - np.maximum(boxes[:, :2], part[:2])
    inside = np.clip(sides, 0, None).prod(axis=1) >= _INSIDE * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    is_shot = (track.frames >= screen.first) & (track.frames <= screen.last)
    return np.where(is_shot, inside.astype(np.int64), -1)


def _holds(part: Box, x: float, y: float) -> bool:
    return part[0] <= x < part[2] and part[1] <= y < part[3]
