"""Find burnt-in graphics (captions, icons, logos, watermarks), and the frames in which they are shown.

Evidence is collected by ``still_edges`` and ``sudden_changes``; each graphic found is then followed frame by frame,
into the past over the frames still held and into the future while its edges show. ``borders`` finds what surrounds the
picture.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.survey import Overlays
from pipeline.maths.boxes import Box, clipped, grown
from pipeline.maths.masks import grow
from pipeline.survey.behind_people import OverPeople, behind_people
from pipeline.survey.borders import BorderFinder
from pipeline.survey.caption_boxes import CaptionBox, CaptionBoxes
from pipeline.survey.graphic import LEAST_EDGE_PX, Graphic, Seen, Tints, graphics_of
from pipeline.survey.growing_words import growing
from pipeline.survey.letter_edges import complete_graphic
from pipeline.survey.passed_graphics import PassedGraphics
from pipeline.survey.split_screen import SplitScreen, SplitScreenFinder
from pipeline.survey.still_background import StillBackground
from pipeline.survey.still_edges import EdgeStatistics
from pipeline.survey.sudden_changes import STILL_FRAMES, Change, SuddenChanges, gradual_change

_SHORT_SIDE = 360
"""Strokes of a caption are still a pixel wide."""
_BLOCK_SECONDS = 0.14
_GRADUAL_FRAMES = 20
"""Frames within which a caption fades or grows in, with a few still ones on both sides."""
_STILL_PX = 0.5
"""Most that a still camera's picture moves in that time, at the reduced size."""
_BEHIND_ROOM_PX = 2
"""Distance from graphics and people at which a pixel shows nothing of them."""
_LOOK_BLOCKS = 2
"""Blocks from one evaluation of a window to the next."""
_MOST_RATE = 30.0
"""Frames per second that are examined."""
_HELD_SECONDS = 2.0
"""How long the frames are held in which a graphic found later is looked for."""
_RECENT = 16
_LEAST_SECONDS = 0.25
"""What is still for a shorter time, and did not come or go at once, moves with the scene."""
_INSET_ROOM_PX = 3
"""From an inset's own pixels to the last one in which it is mixed with what is behind."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A graphic of which everything is known."""

    first: int
    last: int
    box_xyxy: Box
    packed: bytes
    """Its mask."""
    over_people: OverPeople | None
    """None for what is no text, and lies on top of everything."""

    @classmethod
    def of(cls, first: int, last: int, box_xyxy: Box, mask: Mask, over_people: OverPeople | None = None) -> _Ended:
        return cls(first, last, box_xyxy, zlib.compress(np.packbits(mask).tobytes(), 1), over_people)


class OverlayFinder:
    """Takes a clip's frames in order, with the camera's measured motion; holds two seconds of small gray pictures."""

    def __init__(self, info: VideoInfo, given: Sequence[tuple[SplitScreen, Box]] = ()) -> None:
        """``given`` are the known split screens, and the part of each beside which everything is burnt in."""
        self._size_wh = info.size_wh
        width, height = info.size_wh
        ratio = min(1.0, _SHORT_SIDE / min(width, height))
        self._small_wh = max(1, round(width * ratio)), max(1, round(height * ratio))
        rate = float(info.frame_rate) or _MOST_RATE
        self._step = max(1, round(rate / _MOST_RATE))
        self._block_frames = max(1, round(rate / self._step * _BLOCK_SECONDS))
        self._statistics = EdgeStatistics(info.size_wh, self._small_wh)
        self._background = StillBackground(self._small_wh)
        self._passed = PassedGraphics(self._small_wh)
        self._changes = SuddenChanges(self._background)
        self._boxes = CaptionBoxes(self._step)
        self._fresh: list[tuple[int, int]] = []
        """First and last frame of each graphic found since boxes were looked for."""
        insets = [(screen, screen.covered(part)) for screen, part in given]
        self._insets = [(screen, self._small_box(inset)) for screen, inset in insets if inset is not None]
        self._borders = BorderFinder(
            info.size_wh, {screen.first: part for screen, part in given if screen.covered(part) is None}
        )
        self._split_screens = SplitScreenFinder()
        self._least_frames = max(2, round(_LEAST_SECONDS * rate))
        self._held: deque[Seen] = deque(maxlen=max(2, round(_HELD_SECONDS * rate / self._step)))
        self._shown: list[Graphic] = []
        self._recent: deque[Graphic] = deque(maxlen=_RECENT)
        """The graphics that ended last."""
        self._ended: list[_Ended] = []
        self._frames = 0
        self._looked = 0
        self._blocks = 0
        self._shot_start = 0

    @property
    def held(self) -> Sequence[Seen]:
        """The last frames, the newest last."""
        return self._held

    @property
    def known(self) -> Mask | None:
        """(h, w) at a reduced size: the graphics and borders found so far that are shown; None where there are none."""
        inside = self._borders.inside
        insets = [box for screen, box in self._insets if screen.first <= self._frames <= screen.last]
        if inside is None and not insets and not self._shown and not self._boxes.shown:
            return None
        mask = self._mask_of([*self._shown, *self._boxes.shown])
        for x0, y0, x1, y1 in insets:
            mask[y0:y1, x0:x1] = True
        if inside is None:
            return mask
        x, y = np.array(self._small_wh) / self._size_wh
        mask[: int(np.ceil(inside[1] * y))] = True
        mask[int(inside[3] * y) :] = True
        mask[:, : int(np.ceil(inside[0] * x))] = True
        mask[:, int(inside[2] * x) :] = True
        return mask

    def push(
        self,
        luma: NDArray[np.uint8],
        people_mask: Mask,
        world_from_source: Transforms,
        is_cut: bool,
        tints: Tints | None = None,
    ) -> None:
        """Take the next frame: (H, W) uint8, all people (H, W), the camera's motion (3, 3) since the shot began, and
        the chroma of any size (h, w, 2)."""
        if is_cut:
            self._statistics.cut()
            self._changes.cut()
            self._end_passed()
            self._background.forget()
            self._split_screens.cut(self._frames, self._borders.has_borders)
            self._borders.cut(self._frames)
            self._shot_start = self._frames
        index = self._frames
        self._frames = self._frames + 1
        if index % self._step:
            return
        small = cv2.resize(luma, self._small_wh, interpolation=cv2.INTER_AREA)
        people = cv2.resize(people_mask.view(np.uint8), self._small_wh, interpolation=cv2.INTER_NEAREST).view(np.bool_)
        if tints is not None:
            half_wh = max(1, self._small_wh[0] // 2), max(1, self._small_wh[1] // 2)
            tints = np.asarray(cv2.resize(tints, half_wh, interpolation=cv2.INTER_AREA), np.uint8)
        self._held.append(Seen(index, np.asarray(small, np.uint8), people, self._scaled(world_from_source), tints))
        begins = self._looked % self._block_frames == 0
        self._looked += 1
        if begins:
            self._end_block()
            self._borders.look(luma, people)
            self._split_screens.look(self._held[-1])
        self._passed.push(self._held[-1], is_new=begins)
        self._statistics.push(self._held[-1].luma, people, world_from_source, is_new=begins)
        for change in self._changes.push(self._held, self._shown_before):
            self._add_change(change)

    def finish(self) -> Overlays:
        """Return the graphics of all frames pushed."""
        self._end_block(is_last=True)
        if self._held:
            self._look_for_boxes()
        for graphic in self._shown:
            self._end(graphic)
        self._end_passed()
        for each in self._boxes.finish():
            self._ended.append(_Ended.of(each.first, each.last, each.box_xyxy, each.mask))
        for screen, box in self._insets:
            whole = np.ones((box[3] - box[1], box[2] - box[0]), np.bool_)
            self._ended.append(_Ended.of(screen.first, screen.last, box, whole))
        ended = sorted(self._ended, key=lambda each: (each.first, each.last, each.box_xyxy))
        lengths = [len(each.packed) for each in ended]
        borders, copies = self._borders.finish(self._frames)
        spans = [(each.first, min(each.last + self._step - 1, self._frames - 1)) for each in ended]
        return Overlays(
            size_wh=self._size_wh,
            small_wh=self._small_wh,
            spans=np.array(spans, np.int64).reshape(-1, 2),
            boxes_xyxy=np.array([each.box_xyxy for each in ended], np.int64).reshape(-1, 4),
            packed=np.frombuffer(b"".join(each.packed for each in ended), np.uint8),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            borders=borders,
            copies=copies,
            is_behind=behind_people([each.box_xyxy for each in ended], [each.over_people for each in ended]),
        )

    def split_screens(self) -> list[SplitScreen]:
        """Return the shots, of all frames pushed, that show two videos at once; parts in source px."""
        found = self._split_screens.finish(self._frames, self._borders.has_borders)
        x, y = np.array(self._size_wh) / self._small_wh
        return [screen.scaled((float(x), float(y))) for screen in found]

    def pictures_in_copies(self) -> list[tuple[int, int, Box]]:
        """Return first and last frame of the shots, of all frames pushed, that a blurred copy of the picture surrounds,
        and the picture's box in source px."""
        borders, copies = self._borders.finish(self._frames)
        rows = borders[np.isfinite(copies).all(axis=1)].tolist()
        return [(first, last, (x0, y0, x1, y1)) for first, last, x0, y0, x1, y1 in rows]

    def _small_box(self, box: Box) -> Box:
        """Return a box around an inset, at the reduced size."""
        x, y = np.array(self._small_wh) / self._size_wh
        x0, y0, x1, y1 = box
        small = int(x0 * x), int(y0 * y), int(np.ceil(x1 * x)), int(np.ceil(y1 * y))
        return clipped(grown(small, _INSET_ROOM_PX), self._small_wh)

    def _scaled(self, world_from_source: Transforms) -> Transforms:
        """Return a transform for pixels of the small picture; their centers move by less than half a pixel."""
        x, y = np.array(self._small_wh) / self._size_wh
        return np.asarray(np.diag([x, y, 1.0]) @ world_from_source @ np.diag([1 / x, 1 / y, 1.0]))

    def _shown_before(self, frame: int) -> Mask:
        """Return the known graphics (h, w) just before a frame; some may have ended a few frames earlier."""
        least = frame - 1 - self._block_frames * self._step
        every = [*self._shown, *self._recent]
        return self._mask_of([each for each in every if each.first < frame and each.last >= least])

    def _end_block(self, *, is_last: bool = False) -> None:
        """Follow the known graphics, and from time to time evaluate the window that ends here."""
        if not self._held:
            return
        self._follow()
        self._look_behind()
        self._look_for_boxes()
        self._blocks += 1
        if self._blocks % _LOOK_BLOCKS and not is_last:
            return
        self._look_for_gradual()
        found = self._statistics.look()
        if found is not None:
            last = self._held[-1].index
            for graphic in self._unknown(found.edges, found.area, found.mean, last, last):
                graphic.is_lasting = True
                self._place(graphic, 0, last)

    def _look_for_boxes(self) -> None:
        """Look for boxes around the graphics in the newest frame, and around new ones in earlier frames."""
        every = [*self._shown, *self._recent]
        *earlier, newest = self._held
        some = earlier[:: self._block_frames]
        fresh = [each for each in some if any(first <= each.index <= last for first, last in self._fresh)]
        for seen in (*fresh, newest):
            # The outline of a box may have been found in parts.
            known = [each for each in every if each.first <= seen.index <= each.last]
            self._boxes.look(seen, self._mask_of(known), self._held)
        self._fresh.clear()

    def _look_for_gradual(self) -> None:
        """Add what came or went slowly before a still camera, in frames whose sudden changes are known."""
        frames = list(self._held)[-_GRADUAL_FRAMES:]
        if len(frames) == _GRADUAL_FRAMES and self._is_still(frames):
            at_once = self._changes.changed_at_once(frames[0].index, frames[-1].index)
            for change in gradual_change(frames, self._background, at_once):
                self._add_change(change)

    def _look_behind(self) -> None:
        """Learn the background of a still camera from a frame whose graphics are known."""
        frames = list(self._held)[-_GRADUAL_FRAMES:]
        if not self._is_still(frames):
            self._background.forget()
        elif len(frames) > STILL_FRAMES + 1:
            seen = frames[-STILL_FRAMES - 2]
            every = [*self._shown, *self._recent]
            shown = self._mask_of([each for each in every if each.first <= seen.index <= each.last])
            self._background.look(seen.luma, grow(shown | seen.people, _BEHIND_ROOM_PX))

    def _is_still(self, frames: list[Seen]) -> bool:
        motion = np.stack([each.small_world for each in frames])[:, :2, 2]
        return self._shot_start <= frames[0].index and bool(np.ptp(motion, axis=0).max() < _STILL_PX)

    def _follow(self) -> None:
        held = list(self._held)
        shown = []
        for graphic in self._shown:
            is_shown = graphic.follow(held)
            graphic.look_at_people(held)
            if is_shown:
                shown.append(graphic)
            else:
                self._end(graphic)
        self._shown = shown

    def _end(self, graphic: Graphic) -> None:
        graphic.trim(self._held)
        least = self._least_frames if graphic.is_lasting else (STILL_FRAMES + 1) * self._step
        if graphic.last - graphic.first + 1 >= least and graphic.is_steady(self._held):
            graphic.look_at_people(self._held)
            complete_graphic(graphic, self._held, self._background)
            whole = _Ended.of(graphic.first, graphic.last, graphic.box_xyxy, graphic.mask, graphic.over_people)
            self._ended.append(whole)
            parts = growing(graphic, self._held)
            self._ended += [_Ended.of(frame, frame, box, mask, OverPeople()) for frame, box, mask in parts]
            self._recent.append(graphic)

    def _end_passed(self) -> None:
        """Add what people in the shot that ends were seen behind."""
        self._ended += [_Ended.of(first, last, box, mask) for first, last, box, mask in self._passed.cut()]

    def _add_change(self, change: Change) -> None:
        last = change.frame + STILL_FRAMES if change.appears else change.frame - 1
        for graphic in self._unknown(change.edges, change.area, change.mean, min(change.frame, last), last):
            self._place(graphic, change.earliest, change.latest)

    def _unknown(self, edges: Mask, area: Mask, mean: Float32Array, first: int, last: int) -> list[Graphic]:
        """Return the graphics seen from ``first`` to ``last``, as far as they are not known."""
        every = [*self._shown, *self._recent]
        known = self._mask_of([each for each in every if each.first <= first + 2 and each.last + 2 >= last])
        new = edges & ~grow(known, 1)
        if np.count_nonzero(new) < LEAST_EDGE_PX:
            return []
        return graphics_of(new, area & ~known, mean, first, last)

    def _place(self, graphic: Graphic, earliest: int, latest: int) -> None:
        """Find out when a new graphic is shown, within the given frames."""
        held = [each for each in self._held if each.index <= latest]
        graphic.is_before_still = self._is_still(list(self._held)[-_GRADUAL_FRAMES:])
        graphic.look_back(held, earliest)
        if graphic.follow(held) and latest >= self._held[-1].index:
            self._shown.append(graphic)
        else:
            self._end(graphic)
        self._fresh.append((graphic.first, graphic.last))

    def _mask_of(self, graphics: Sequence[Graphic | CaptionBox]) -> Mask:
        mask = np.zeros(self._small_wh[::-1], np.bool_)
        for graphic in graphics:
            mask[graphic.area] |= graphic.mask
        return mask
