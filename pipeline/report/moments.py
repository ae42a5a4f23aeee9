"""The moments of a job worth checking, and their pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Plan, Presence
from pipeline.joints import JOINT
from pipeline.maths.boxes import Box
from pipeline.maths.smoothing import equal_runs
from pipeline.media.clip import Clip
from pipeline.media.pixels import rgb_of
from pipeline.shaped import Shaped, Shapes

View = Literal["whole", "person", "feet"]
"""The whole picture, or its part around the subject or the subject's feet."""
Series = Mapping[str, NDArray[np.float64]]

_MAX_SEGMENTS = 5
_SAME_SECONDS = 0.2
"""Moments of one view closer than this are merged."""
_GOOD_FIT = 0.85
"""A background that fits this well need not be checked."""
_AREA_PX = 854 * 480
"""Size of a picture: sharp on a phone, with a dozen pairs below 2 MB."""
_FEET = ("left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel", "left_toe", "right_toe")


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame worth checking."""

    frame: int
    view: View
    reasons: tuple[str, ...]
    subject: int = 0
    """Index of the subject whom the views ``person`` and ``feet`` show."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MomentPictures(Shaped):
    """The pictures of one moment: the same part of the source and of the written file, upright, square pixels."""

    SHAPES: ClassVar[Shapes] = {"source": ("h", "w", 3), "result": ("h", "w", 3)}

    moment: Moment
    source: Picture
    result: Picture


def choose_moments(plans: Sequence[Plan], info: VideoInfo, series: Series) -> list[Moment]:
    """Return about a dozen moments in chronological order, by fixed rules; five more for each further subject.

    ``plans`` are those of the subjects; the metrics over time are the first one's.

    Where the subject enters and leaves, the middle of their frames in each segment (five at most), the longest contact
    of each foot, the longest stretch in which the subject is not clearly visible, the worst seam, the worst flicker,
    the worst background, the worst slide. ``series`` is that of ``QualityMeter`` after ``finish``; unknown metrics
    select nothing. Of each further subject: entry and exit, the middle of their frames, the longest contacts.
    """
    plan = plans[0]
    found = [*_comings(plan), *_segment_middles(plan), *_contacts(plan, info), *_unclear(plan), *_worst(series)]
    for number, further in enumerate(plans[1:], start=1):
        found += [_of_subject(moment, number) for moment in _moments_of_further(further, info)]
    kept: list[Moment] = []
    seconds = info.pts_seconds
    for moment in found:
        near = [
            other
            for other in kept
            if _shows_the_same(other, moment) and abs(seconds[other.frame] - seconds[moment.frame]) < _SAME_SECONDS
        ]
        if near:
            kept[kept.index(near[0])] = replace(near[0], reasons=(*near[0].reasons, *moment.reasons))
        else:
            kept.append(moment)
    return sorted(kept, key=lambda moment: moment.frame)


def _shows_the_same(one: Moment, other: Moment) -> bool:
    """Whether two moments show the same part of the picture: of a whole picture it does not matter whom it is about."""
    return one.view == other.view and (one.view == "whole" or one.subject == other.subject)


def _moments_of_further(plan: Plan, info: VideoInfo) -> Iterable[Moment]:
    yield from _comings(plan)
    present = np.flatnonzero(plan.subject.presence > Presence.ABSENT)
    if len(present):
        yield Moment(int(present[(len(present) - 1) // 2]), "person", ("middle of their frames",))
    yield from _contacts(plan, info)


def _of_subject(moment: Moment, number: int) -> Moment:
    name = f"subject {number + 1}"
    reasons = tuple(
        reason.replace("the subject", name) if "the subject" in reason else f"{name}: {reason}"
        for reason in moment.reasons
    )
    return replace(moment, reasons=reasons, subject=number)


def even_moments(num_frames: int, count: int) -> list[Moment]:
    """Return ``count`` whole pictures spread evenly over the clip, fewer where it has fewer frames."""
    frames = np.linspace(0, num_frames - 1, min(count, num_frames)).round().astype(int)
    return [Moment(int(frame), "whole", ()) for frame in np.unique(frames)]


def read_moments(source: Clip, written: Clip, plans: Sequence[Plan], moments: Sequence[Moment]) -> list[MomentPictures]:
    """Read the moments' pictures, in their order, from both files; one full frame is held at a time.

    ``plans`` are those of the subjects.
    """
    parts = [_part(plans[moment.subject], source.info, moment) for moment in moments]
    by_clip = []
    for clip in (source, written):
        pictures: dict[int, Picture] = {}
        for frame in clip.frames_at(sorted({moment.frame for moment in moments})):
            rgb = rgb_of(frame)
            for number, moment in enumerate(moments):
                if moment.frame == frame.index:
                    x0, y0, x1, y1 = parts[number]
                    pictures[number] = fitted(rgb[y0:y1, x0:x1], source.info)
        by_clip.append(pictures)
    return [MomentPictures(moment, by_clip[0][number], by_clip[1][number]) for number, moment in enumerate(moments)]


def _comings(plan: Plan) -> Iterable[Moment]:
    present = np.flatnonzero(plan.subject.presence > Presence.ABSENT)
    if len(present):
        first, last = int(present[0]), int(present[-1])
        yield Moment(first, "whole", ("first frame" if first == 0 else "the subject comes in",))
        is_last = last == len(plan.subject.presence) - 1
        yield Moment(last, "whole", ("last frame" if is_last else "the subject leaves",))


def _segment_middles(plan: Plan) -> Iterable[Moment]:
    total = len(plan.segments)
    for number in sorted({round(at) for at in np.linspace(0, total - 1, min(total, _MAX_SEGMENTS))}):
        segment = plan.segments[number]
        name = "the whole shot" if segment.kind == "whole" else f"segment {number + 1} ({segment.kind})"
        frames = np.arange(segment.start, segment.stop)
        present = frames[plan.subject.presence[frames] > Presence.ABSENT]
        if len(present):
            yield Moment(int(present[(len(present) - 1) // 2]), "whole", (f"middle of {name}",))
        else:
            yield Moment(int(frames[(len(frames) - 1) // 2]), "whole", (f"middle of {name}, without the subject",))


def _contacts(plan: Plan, info: VideoInfo) -> Iterable[Moment]:
    for foot, name in enumerate(("left", "right")):
        # The contact index changes where one contact follows another without a frame in the air.
        runs = [
            (start, stop)
            for start, stop in equal_runs(plan.contacts.plant_id[:, foot])
            if plan.contacts.plant_id[start, foot] >= 0
        ]
        if runs:
            start, stop = max(runs, key=lambda run: info.pts_seconds[run[1] - 1] - info.pts_seconds[run[0]])
            yield Moment((start + stop - 1) // 2, "feet", (f"longest contact of the {name} foot",))


def _unclear(plan: Plan) -> Iterable[Moment]:
    unclear = plan.subject.presence == Presence.UNCERTAIN
    runs = [(start, stop) for start, stop in equal_runs(unclear) if unclear[start]]
    if runs:
        start, stop = max(runs, key=lambda run: run[1] - run[0])
        yield Moment((start + stop - 1) // 2, "person", ("the subject is not clearly visible",))


def _worst(series: Series) -> Iterable[Moment]:
    frames = series["frame"].astype(int)
    # The border's length grows with the square root of the area.
    seam = (series["seam_result"] - series["seam_source"]) / np.sqrt(np.maximum(series["region_px"], 1.0))
    flicker = series["warping_error_result"] - series["warping_error_source"]
    misfit = np.where(series["plate_fit"] < _GOOD_FIT, -series["plate_fit"], np.nan)
    worst = ((seam, "strongest seam"), (flicker, "strongest flicker"), (misfit, "background that fits least"))
    for values, reason in worst:
        if np.isfinite(values).any():
            yield Moment(int(frames[np.nanargmax(values)]), "person", (reason,))
    slide = series["foot_slide_locked_bh"]
    if np.isfinite(slide).any():
        frame = int(np.unravel_index(np.nanargmax(slide), slide.shape)[0])
        yield Moment(frame, "feet", ("a planted foot slides most",))


def _part(plan: Plan, info: VideoInfo, moment: Moment) -> Box:
    """Return the part of the picture that a moment shows, x0, y0, x1, y1 in source px."""
    width, height = info.size_wh
    subject = plan.subject
    frame = moment.frame
    if moment.view == "whole" or not np.isfinite(subject.boxes_xyxy[frame]).all():
        return 0, 0, width, height
    box = subject.boxes_xyxy[frame]
    pad_bh = 0.12
    wide = 0.75
    if moment.view == "feet":
        points = subject.joints[frame, [JOINT[name] for name in _FEET], :2].astype(np.float64)
        if not np.isfinite(points).all(axis=-1).any():
            return 0, 0, width, height
        box = np.concatenate([np.nanmin(points, axis=0), np.nanmax(points, axis=0)])
        pad_bh = 0.12
        wide = 1.5
    pad = pad_bh * float(subject.body_height_px[frame])
    half_h = (box[3] - box[1]) / 2 + pad
    half_w = max((box[2] - box[0]) / 2 + pad, wide * half_h)
    x0, x1 = _inside((box[0] + box[2]) / 2, half_w, width)
    y0, y1 = _inside((box[1] + box[3]) / 2, half_h, height)
    return x0, y0, x1, y1


def _inside(middle: float, half: float, length: int) -> tuple[int, int]:
    """Return the interval around ``middle``, shifted into the picture rather than clipped, to keep the aspect ratio."""
    size = min(length, max(16, round(2 * half)))
    start = min(max(round(middle - half), 0), length - size)
    return start, start + size


def fitted(picture: Picture, info: VideoInfo, area_px: float = _AREA_PX) -> Picture:
    """Return a picture in square pixels, downscaled where it is larger than ``area_px``."""
    aspect = float(info.sample_aspect_ratio)
    width, height = picture.shape[1], picture.shape[0]
    wide, high = (width, height * aspect) if info.quarter_turns % 2 else (width * aspect, float(height))
    scale = min(1.0, float(np.sqrt(area_px / (wide * high))))
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    if size == (width, height):
        return picture.copy()
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
