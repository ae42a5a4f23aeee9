"""Find translucent panels: what an editor lays behind captions, or along the picture's edges.

Pictures some frames apart are compared where the camera's motion leads: a panel that came or went in between shows as
a rectangle in which one is a fixed mixture of the other with one color. From then on its edges are followed frame by
frame, and those of frames at full size tell where its sides lie.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Float64Array, Mask, Picture, Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.panels import Panels
from pipeline.maths.boxes import box_area, box_iou
from pipeline.maths.masks import grow
from pipeline.media.hdr import HLG, PQ
from pipeline.survey.constant_panels import color_of, constant_panels
from pipeline.survey.graphic import Seen
from pipeline.survey.panel_course import opacity_over_time
from pipeline.survey.panel_edges import BoxF, CornerRadius, SideProfiles, opacity_at_edges
from pipeline.survey.panel_search import PanelGuess, find_panel, moved

_SHORT_SIDE = 120
_LOOK_SECONDS = 0.13
"""Between the pictures that are compared."""
_APART = 3
"""Pictures from one to the one it is compared with: a fade is shorter."""
_HELD_LOOKS = 6
_MORE_LOOKS = 2
"""Looks after the first one at a panel: it may fade in slowly."""
_PEOPLE_ROOM_PX = 3
_REACH = 0.08
"""How far a side may lie from where it was found, fraction of the picture's short side."""
_SHOWS = 0.6
"""Share of its opacity that a panel's edges show in a frame from which its sides are measured."""
_LEAST_SHARP = 0.3
_MEAN_SHARP = 0.6
"""Share of the lines across a side that show its step: of the worst side, and of all. Where a panel lies on something
of its own gray little shows."""
_LEAST_LOOKS = 3
_CONSTANT_SECONDS = (1.5, 3.0, 6.0)
"""Times after the start of a shot at which panels are looked for that are there all the time: while the scene moves on,
more of their sides shows."""
_CONSTANT_LOOKS = 12
_SAME = 0.7
"""IoU of two boxes of the same panel."""
_GONE = 0.4
"""Share of its opacity below which a panel is no longer there."""
_GONE_FRAMES = 6
_LEAST_SECONDS = 0.25
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    index: int
    rgb: Float32Array
    """(h, w, 3)."""
    people: Mask
    world: Transforms
    """(3, 3) px of this picture to the shot's ``world`` at its size."""


@dataclass(slots=True, eq=False)
class _Shown:
    """A panel that is followed; its box in px of the small gray pictures."""

    guess: PanelGuess
    before: _Look
    box: BoxF
    gray: float
    sides: SideProfiles
    corners: CornerRadius = field(default_factory=CornerRadius)
    frames: list[int] = field(default_factory=list)
    opacities: list[float] = field(default_factory=list)
    """As its edges show them in ``frames``."""
    looks: int = 0
    again: list[bool] = field(default_factory=list)
    """Whether later pictures show it as well, compared with the same one before it."""
    reaches_start: bool = False
    is_constant: bool = False
    """Found without a picture that lacks it."""

    def is_gone(self) -> bool:
        """Return whether it has not been seen for some frames."""
        last = np.array(self.opacities[-_GONE_FRAMES:])
        return len(last) == _GONE_FRAMES and bool(np.all(last < _GONE * (1 - self.guess.slope)))


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    box_xyxy: BoxF
    radius_px: float
    color: tuple[float, float, float]
    first: int
    opacities: Float64Array


class PanelFinder:
    """Takes a clip's frames in order; holds a few small pictures."""

    def __init__(self, info: VideoInfo) -> None:
        width, height = info.size_wh
        ratio = min(1.0, _SHORT_SIDE / min(width, height))
        self._size_wh = info.size_wh
        self._tiny_wh = max(1, round(width * ratio)), max(1, round(height * ratio))
        self._is_mixed_in_sdr = info.color_transfer not in (PQ, HLG)
        rate = float(info.frame_rate) or 30.0
        self._step = max(1, round(rate * _LOOK_SECONDS))
        self._least_frames = max(2, round(_LEAST_SECONDS * rate))
        self._looks: deque[_Look] = deque(maxlen=_HELD_LOOKS)
        self._shown: list[_Shown] = []
        self._found: list[_Found] = []
        self._shot_start = 0
        self._times = [round(rate * seconds) for seconds in _CONSTANT_SECONDS]
        self._due = self._times
        """Frames, since the shot began, at which panels are looked for that are there all the time."""
        self._next = 0
        self._taken = -1

    def push(self, held: Sequence[Seen], picture: Callable[[], Picture], index: int, *, is_cut: bool) -> None:
        """Take frame ``index``. ``held`` are the last small gray frames, the newest of which may be this one;
        ``picture`` gives it in color, (H, W, 3). Clips in HDR are not examined: their panels are no mixtures in what
        is seen here."""
        if not self._is_mixed_in_sdr:
            return
        if is_cut:
            self._end_all()
            self._looks.clear()
            self._shot_start = index
            self._due = self._times
        if not held or held[-1].index == self._taken:
            return
        self._taken = held[-1].index
        for each in self._shown:
            self._measure(each, held[-1])
        for each in [each for each in self._shown if each.is_gone()]:
            self._end(each)
        if index >= self._next or is_cut:
            self._next = index + self._step
            self._look(held, picture())
        if self._due and index - self._shot_start >= self._due[0]:
            self._due = self._due[1:]
            self._look_for_constant([each for each in held if each.index >= self._shot_start], picture())

    def finish(self) -> Panels | None:
        """Return the panels of all frames pushed; None where there are none."""
        self._end_all()
        if not self._found:
            return None
        found = sorted(self._found, key=lambda each: (each.first, each.box_xyxy))
        return Panels(
            boxes_xyxy=np.array([each.box_xyxy for each in found], np.float64),
            radii_px=np.array([each.radius_px for each in found], np.float64),
            colors=np.array([each.color for each in found], np.float64),
            firsts=np.array([each.first for each in found], np.int64),
            offsets=np.concatenate([[0], np.cumsum([len(each.opacities) for each in found])]).astype(np.int64),
            opacities=np.concatenate([each.opacities for each in found]),
        )

    def _look(self, held: Sequence[Seen], picture: Picture) -> None:
        newest = held[-1]
        some = max(1, min(self._size_wh) // (2 * _SHORT_SIDE))
        small = cv2.resize(picture[::some, ::some], self._tiny_wh, interpolation=cv2.INTER_AREA).astype(np.float32)
        people = cv2.resize(newest.people.view(np.uint8), self._tiny_wh, interpolation=cv2.INTER_NEAREST) > 0
        x = self._tiny_wh[0] / newest.luma.shape[1]
        y = self._tiny_wh[1] / newest.luma.shape[0]
        world = np.diag([x, y, 1.0]) @ newest.small_world @ np.diag([1 / x, 1 / y, 1.0])
        self._looks.append(_Look(newest.index, small, people, world))
        self._look_at_shown(newest, picture)
        if len(self._looks) > _APART:
            self._search(held)

    def _look_at_shown(self, newest: Seen, picture: Picture) -> None:
        """Collect evidence on the panels that are shown."""
        if not self._shown:
            return
        luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        people = cv2.resize(newest.people.view(np.uint8), self._size_wh, interpolation=cv2.INTER_NEAREST) > 0
        for each in self._shown:
            opacity = 1 - each.guess.slope
            if each.reaches_start or each.opacities[-1] < _SHOWS * opacity:
                continue
            each.looks += 1
            each.sides.add(luma, people, each.gray, opacity)
            if each.looks > 1:
                each.corners.add(luma, people, each.sides.sides()[0], each.gray, opacity)

    def _search(self, held: Sequence[Seen]) -> None:
        """Find what came or went between the newest picture and one a little older."""
        newest = self._looks[-1]
        before = self._looks[-1 - _APART]
        for each in self._shown:
            is_new = newest.index - each.before.index <= (_APART + _MORE_LOOKS) * self._step
            if is_new and not each.reaches_start and not each.is_constant:
                self._look_again(each, newest)
        came = self._compare(before, newest)
        if came is not None:
            self._begin(came, before, held, reaches_start=False)
        went = self._compare(newest, before)
        if went is not None and not self._ended_just_now(went, before.index) and self._was_there(newest):
            self._begin(went, newest, held, reaches_start=True)

    def _was_there(self, newest: _Look) -> bool:
        """Whether a picture before the one that shows a panel does so as well. Waves, compared with one picture,
        happen to look like one."""
        earlier = list(self._looks)[: -1 - _APART]
        return not earlier or self._compare(newest, earlier[-1]) is not None

    def _ended_just_now(self, guess: PanelGuess, frame: int) -> bool:
        """Whether a panel that was followed until a frame or later lies there."""
        scale = np.array(self._size_wh) / self._tiny_wh
        box = np.array(guess.box_xyxy) * np.tile(scale, 2)
        for each in self._found:
            low, high = np.maximum(box[:2], each.box_xyxy[:2]), np.minimum(box[2:], each.box_xyxy[2:])
            if each.first + len(each.opacities) > frame and np.all(high > low):
                return True
        return False

    def _look_again(self, panel: _Shown, newest: _Look) -> None:
        again = self._compare(panel.before, newest, is_known=True)
        panel.again.append(again is not None)
        if again is None:
            return
        boxes = np.array([again.box_xyxy, panel.guess.box_xyxy])
        if again.slope < panel.guess.slope and box_iou(*boxes) > 0.5:
            # Beside people who hide a side the box may be too large.
            smaller = min(again.box_xyxy, panel.guess.box_xyxy, key=box_area)
            self._update(panel, replace(again, box_xyxy=smaller))

    def _update(self, panel: _Shown, guess: PanelGuess) -> None:
        panel.guess = guess
        panel.gray = float(np.dot(guess.color, _LUMA))
        panel.looks = 0
        panel.sides = self._profiles(guess)
        panel.corners = CornerRadius()

    def _compare(self, before: _Look, after: _Look, *, is_known: bool = False) -> PanelGuess | None:
        """Return the panel that ``after`` has and ``before`` has not; not one that is followed already, unless
        ``is_known``."""
        after_from_before = np.linalg.inv(after.world) @ before.world
        warped, known = moved(before.rgb, after_from_before)
        people, _ = moved(before.people.astype(np.float32)[..., None], after_from_before)
        hidden = grow(after.people | (people.reshape(known.shape) > 0.1), _PEOPLE_ROOM_PX)
        valid = known & ~hidden
        if not is_known:
            for each in self._shown:
                x0, y0, x1, y1 = each.guess.box_xyxy
                valid[max(y0 - 2, 0) : y1 + 2, max(x0 - 2, 0) : x1 + 2] = False
        return find_panel(warped, after.rgb, valid)

    def _look_for_constant(self, held: Sequence[Seen], picture: Picture) -> None:
        """Find panels that have been there for all of some frames, without a picture that lacks them."""
        small_wh = held[-1].luma.shape[1], held[-1].luma.shape[0]
        tiny = np.tile(np.array(self._tiny_wh) / small_wh, 2)
        for found in constant_panels(held[:: -(-len(held) // _CONSTANT_LOOKS)]):
            overlaps = [(each, box_iou(*np.array([found.box_xyxy, each.box]))) for each in self._shown]
            if any(overlap >= _SAME for _, overlap in overlaps):
                continue
            # Sides that stand still tell more than two pictures of which one was moved.
            self._shown = [each for each, overlap in overlaps if overlap == 0]
            color = color_of(cv2.resize(picture, small_wh, interpolation=cv2.INTER_AREA), found)
            x0, y0, x1, y1 = np.rint(found.box_xyxy * tiny).astype(int).tolist()
            guess = PanelGuess((x0, y0, x1, y1), 1 - found.opacity, color)
            panel = _Shown(guess, self._looks[-1], found.box_xyxy, found.gray, self._profiles(guess), is_constant=True)
            for seen in held:
                self._measure(panel, seen)
            self._shown.append(panel)

    def _profiles(self, guess: PanelGuess) -> SideProfiles:
        scale = np.array(self._size_wh) / self._tiny_wh
        x0, y0, x1, y1 = np.array(guess.box_xyxy) * np.tile(scale, 2)
        reach = max(4, round(_REACH * min(self._size_wh)))
        return SideProfiles((float(x0), float(y0), float(x1), float(y1)), reach, self._size_wh)

    def _begin(self, guess: PanelGuess, before: _Look, held: Sequence[Seen], *, reaches_start: bool) -> None:
        """Follow a new panel, from the frames still held on."""
        height, width = held[-1].luma.shape
        scale = np.array([width, height]) / self._tiny_wh
        x0, y0, x1, y1 = (np.array(guess.box_xyxy) * np.tile(scale, 2)).tolist()
        panel = _Shown(
            guess,
            before,
            (x0, y0, x1, y1),
            float(np.dot(guess.color, _LUMA)),
            self._profiles(guess),
            reaches_start=reaches_start,
        )
        for seen in held:
            self._measure(panel, seen)
        # What moves or grows darker has no such edges.
        if max(panel.opacities[-(_APART + 1) * self._step :]) < _SHOWS * (1 - guess.slope):
            return
        self._shown.append(panel)
        if reaches_start:
            self._look_at_held(panel, held)

    def _look_at_held(self, panel: _Shown, held: Sequence[Seen]) -> None:
        """Measure the sides of a panel that is gone already, at the reduced size."""
        height, width = held[-1].luma.shape
        panel.sides = SideProfiles(panel.box, max(4, round(_REACH * min(width, height))), (width, height))
        opacity = 1 - panel.guess.slope
        shows = [opacity_seen >= _SHOWS * opacity for opacity_seen in panel.opacities]
        seen = [each for each, is_clear in zip(held, shows, strict=True) if is_clear][:: self._step]
        for each in seen:
            panel.sides.add(each.luma, each.people, panel.gray, opacity)
        for each in seen:
            panel.corners.add(each.luma, each.people, panel.sides.sides()[0], panel.gray, opacity)
        panel.looks = len(seen)

    def _measure(self, panel: _Shown, seen: Seen) -> None:
        panel.frames.append(seen.index)
        panel.opacities.append(opacity_at_edges(seen.luma, seen.people, panel.box, panel.gray))

    def _end_all(self) -> None:
        for each in list(self._shown):
            self._end(each)

    def _end(self, panel: _Shown) -> None:
        """Stop following a panel; it counts if its sides are sharp and it was steady."""
        self._shown.remove(panel)
        box, sharpness = panel.sides.sides()
        if panel.reaches_start:
            width, height = panel.sides.size_wh
            scale_x, scale_y = self._size_wh[0] / width, self._size_wh[1] / height
            box = (box[0] * scale_x, box[1] * scale_y, box[2] * scale_x, box[3] * scale_y)
        is_sharp = min(sharpness) >= _LEAST_SHARP and float(np.mean(sharpness)) >= _MEAN_SHARP
        course = opacity_over_time(np.array(panel.frames), np.array(panel.opacities), 1 - panel.guess.slope)
        if panel.again and not any(panel.again):
            return
        if panel.looks < _LEAST_LOOKS or not is_sharp or course is None or len(course[1]) < self._least_frames:
            return
        first, opacities = course
        if (panel.reaches_start or panel.is_constant) and first <= panel.frames[0]:
            # It was there already in the first frame still held.
            opacities = np.concatenate([np.full(first - self._shot_start, opacities[0]), opacities])
            first = self._shot_start
        radius = panel.corners.share() * min(box[2] - box[0], box[3] - box[1])
        self._found.append(_Found(box, radius, panel.guess.color, first, opacities))
