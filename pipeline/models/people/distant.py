"""Distant people: the detector sees the picture at 256 px and misses whoever is less than about 40 px high in it.

So where it finds nobody, it looks again at overlapping parts of the picture, each of them larger in its input; at one
of them at a time while somebody else is there, who may be near and large; and at the surroundings of somebody who has
just been lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np

from pipeline.datatypes.arrays import Picture
from pipeline.models.people.following import Followed, overlap_of_boxes
from pipeline.models.people.movenet import RoughPerson

FAR_EVERY, FARTHER_EVERY = 5, 25
"""Frames between looks at the parts of a picture in which nobody is found, by size of the parts: a look costs as much
as three and as eight detections in a whole picture."""
_FAR, _FARTHER = 9 / 16, 1 / 3
"""Side of the parts over the picture's longer side. Of walk_a, cam02 and cam04 reduced, the detector finds all people
of 38, 49 and 74 px in its 256, and half of them at 32, 38 and 56: these parts show people of 8 % and 5 % of the longer
side."""
_SMALLEST_SEEN = 0.16
"""Height, over the longer side, of the smallest person found in a whole picture: parts overlap by so much."""
_AROUND_LOST = 1.5
"""Side of the part around a lost person, over that of their region."""
_SAME_IOU = 0.5
_EDGE_PX = 3.0
_MIN_SIDE_PX = 64


class Detector(Protocol):
    """Finds people in a picture; see ``MoveNet``."""

    def find(self, picture: Picture, min_score: float) -> list[RoughPerson]: ...


def find_distant(detector: Detector, picture: Picture, min_score: float, frame: int) -> list[RoughPerson]:
    """Return people (source px) of an upright RGB picture in which the detector found nobody, best first.

    ``frame`` counts from the shot's first: most frames are not searched, because each search takes long.
    """
    for every, side in ((FAR_EVERY, _FAR), (FARTHER_EVERY, _FARTHER)):
        if frame % every:
            return []
        found = [rough for part in _parts(picture, side) for rough in _find_in(detector, picture, part, min_score)]
        if found:
            return _without_doubles(found)
    return []


def find_beside(
    detector: Detector, picture: Picture, min_score: float, frame: int, known: list[RoughPerson]
) -> list[RoughPerson]:
    """Return people (source px) besides those ``known`` in a picture: somebody far away, or half hidden by another.

    One part of the picture every ``FAR_EVERY`` frames, in turn; ``frame`` counts from the shot's first, which is not
    searched, and so no single picture is.
    """
    turn, rest = divmod(frame, FAR_EVERY)
    if rest or not turn:
        return []
    parts = list(_parts(picture, _FAR))
    found = _find_in(detector, picture, parts[turn % len(parts)], min_score)
    return [rough for rough in found if not _is_among(rough, known)]


def find_lost(detector: Detector, picture: Picture, min_score: float, lost: list[Followed]) -> list[RoughPerson]:
    """Return people (source px) around the expected positions of lost ones, where that enlarges them."""
    height, width = picture.shape[:2]
    found = []
    for entry in lost:
        side = max(_MIN_SIDE_PX, round(_AROUND_LOST * entry.region.side))
        if side > _FAR * max(width, height):
            continue
        x, y = (round(float(middle) - side / 2) for middle in entry.hips)
        part = max(0, x), max(0, y), min(width, x + side), min(height, y + side)
        if min(part[2] - part[0], part[3] - part[1]) >= _MIN_SIDE_PX:
            found += _find_in(detector, picture, part, min_score)
    return _without_doubles(found)


def _parts(picture: Picture, side: float) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes x0, y0, x1, y1 (exclusive) that cover the picture; ``side`` is relative to its longer side."""
    height, width = picture.shape[:2]
    longer = max(width, height)
    side_px = max(_MIN_SIDE_PX, round(side * longer))
    step = side_px - _SMALLEST_SEEN * longer * (1.0 if side == _FAR else _FAR)
    for y in _starts(height, side_px, step):
        for x in _starts(width, side_px, step):
            yield x, y, min(width, x + side_px), min(height, y + side_px)


def _starts(length: int, side: int, step: float) -> list[int]:
    room = max(0, length - side)
    count = 1 + int(np.ceil(room / step))
    return [round(start) for start in np.linspace(0, room, count)]


def _find_in(
    detector: Detector, picture: Picture, part: tuple[int, int, int, int], min_score: float
) -> list[RoughPerson]:
    """Return the people of a part in the whole picture's px; not those whom the part cuts off."""
    x0, y0, x1, y1 = part
    height, width = picture.shape[:2]
    lowest = np.where([x0 > 0, y0 > 0], [x0 + _EDGE_PX, y0 + _EDGE_PX], -np.inf)
    highest = np.where([x1 < width, y1 < height], [x1 - 1 - _EDGE_PX, y1 - 1 - _EDGE_PX], np.inf)
    people = []
    for rough in detector.find(np.ascontiguousarray(picture[y0:y1, x0:x1]), min_score):
        box = rough.box_xyxy + np.array([x0, y0, x0, y0])
        if (box[:2] > lowest).all() and (box[2:] < highest).all():
            people.append(replace(rough, box_xyxy=box, keypoints=rough.keypoints + np.array([x0, y0, 0])))
    return people


def _without_doubles(found: list[RoughPerson]) -> list[RoughPerson]:
    kept: list[RoughPerson] = []
    for rough in sorted(found, key=lambda rough: -rough.score):
        if not _is_among(rough, kept):
            kept.append(rough)
    return kept


def _is_among(rough: RoughPerson, others: list[RoughPerson]) -> bool:
    return any(overlap_of_boxes(rough.box_xyxy, other.box_xyxy)[0] >= _SAME_IOU for other in others)
