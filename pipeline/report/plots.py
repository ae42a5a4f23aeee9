"""The report's plots: inline SVG whose colors are the page's, so that they are readable in light and in dark.

Imported only when a report is requested: matplotlib takes most of a second to load.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Plan, Presence
from pipeline.maths.geometry import apply_transform
from pipeline.maths.smoothing import equal_runs
from pipeline.report.moments import Series

_WIDTH_IN = 5.2
"""About a phone's width at 100 %, so that the text stays readable there."""
_MAX_POINTS = 800
"""Points of a curve: two per pixel column of a wide screen's plot."""
_FEET = ("left", "right")

# Matplotlib draws in these colors; the page replaces each for light and dark mode.
_INK = "#010101"
_FAINT = "#020202"
_FIRST = "#030303"
_SECOND = "#040404"
_THIRD = "#050505"
_VARIABLES = {_INK: "--ink", _FAINT: "--faint", _FIRST: "--first", _SECOND: "--second", _THIRD: "--third"}

_STYLE = {
    # The same ids, and therefore the same bytes, in every run.
    "svg.hashsalt": "understudy",
    # Text stays text: small, and searchable in the page.
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.3,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot of the page."""

    name: str
    """Unique; the prefix of every id in the SVG."""
    title: str
    caption: str
    """What to look for."""
    svg: str


def draw_plots(plan: Plan, info: VideoInfo, series: Series, moments: Sequence[int]) -> list[Plot]:
    """Return the timeline, warping error, foot speed and camera path; equal input produces equal bytes.

    ``series`` is that of ``QualityMeter`` after ``finish`` with ``ankles_unlocked`` and ``ankles_locked``, (T, 2, 2)
    source px of the new person's left and right ankle; ``moments`` are the frames whose pictures are shown.
    """
    seconds = info.pts_seconds
    end = max(float(seconds[-1] + info.durations[-1] * float(info.time_base)), 1e-3)
    return [
        _plot(
            "timeline",
            end,
            "Timeline",
            "Shots, segments, where the subject is seen, and when each foot is planted. "
            "The triangles are the moments whose pictures are above.",
            2.5,
            lambda axes: _timeline(axes[0], plan, info, end, moments),
        ),
        _plot(
            "warping",
            end,
            "Warping error (flicker) in the edit region",
            "The result should not lie above the source for long. Measured on every fourth pair of frames.",
            2.3,
            lambda axes: _warping(axes[0], seconds, series),
        ),
        _plot(
            "feet",
            end,
            "Foot speed against the ground",
            "Bands: the foot is planted, and the new foot should stand still. Dotted: the subject; thin: the new "
            "one without foot lock; thick: as delivered.",
            4.0,
            lambda axes: _feet(axes, plan, seconds, series),
            rows=2,
        ),
        _plot(
            "camera",
            end,
            "Camera path",
            "Where the middle of the picture looks, in pixels of the shot's first frame. The result keeps the measured "
            "path; the smoothed one is what the generator sees.",
            4.0,
            lambda axes: _camera(axes, plan, info, seconds),
            rows=2,
        ),
    ]


def foot_speed_bh(ankles: NDArray[np.float64], plan: Plan, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (T, 2): speed of the new person's ankles (T, 2, 2) relative to the ground, body heights per second; NaN
    unknown.

    In a contact the ground's motion is that of the contact's anchor (measured around the foot), else the camera's. The
    speed of frame t is that from frame t - 1; there is none across a cut.
    """
    world = plan.camera.world_from_source
    speed = np.full(ankles.shape[:2], np.nan)
    if len(ankles) < 2:
        return speed
    before_in_now = np.linalg.inv(world[1:]) @ world[:-1]
    for foot in range(2):
        ground_before = apply_transform(before_in_now, ankles[:-1, foot])
        moved = ankles[1:, foot] - ground_before
        plant = plan.contacts.plant_id[:, foot]
        anchor = plan.contacts.anchors[:, foot]
        same = (plant[1:] >= 0) & (plant[1:] == plant[:-1]) & np.isfinite(anchor[1:] - anchor[:-1]).all(axis=-1)
        moved[same] = (ankles[1:, foot] - anchor[1:] - ankles[:-1, foot] + anchor[:-1])[same]
        speed[1:, foot] = np.linalg.norm(moved, axis=-1) / plan.subject.body_height_px[1:] / np.diff(seconds)
    speed[plan.shot_starts] = np.nan
    return speed


def thinned(
    seconds: NDArray[np.float64], values: NDArray[np.float64], max_points: int = _MAX_POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a curve of at most ``max_points`` points that keeps every bin's minimum and maximum (NaN is a gap)."""
    bins = max_points // 3
    if len(values) <= max_points:
        return seconds, values
    kept: list[int] = []
    for part in np.array_split(np.arange(len(values)), bins):
        known = part[np.isfinite(values[part])]
        if len(known) < len(part):
            kept.append(int(part[~np.isfinite(values[part])][0]))
        if len(known):
            kept += [int(known[np.argmin(values[known])]), int(known[np.argmax(values[known])])]
    rows = np.unique(kept)
    return seconds[rows], values[rows]


def _plot(
    name: str,
    end_seconds: float,
    title: str,
    caption: str,
    height_in: float,
    draw: Callable[[Sequence[Axes]], None],
    rows: int = 1,
) -> Plot:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        figure.patch.set_visible(False)
        canvas = FigureCanvasSVG(figure)
        axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0].tolist()
        for axis in axes:
            axis.patch.set_visible(False)
        draw(axes)
        axes[-1].set_xlim(0, end_seconds)
        axes[-1].set_xlabel("seconds")
        buffer = io.StringIO()
        canvas.print_svg(buffer, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return Plot(name, title, caption, _for_page(buffer.getvalue(), name, f"{title}. {caption}"))


def _for_page(svg: str, name: str, label: str) -> str:
    """Convert a stand-alone SVG for embedding: unique ids, the page's colors and width, short numbers, a label."""
    svg = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", body)
    for color, variable in _VARIABLES.items():
        body = body.replace(color, f"var({variable})")
    body = re.sub(r'(?<= d=")[^"]*', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), body)
    return f'<svg {box[0]} xmlns:xlink="http://www.w3.org/1999/xlink" role="img" aria-label="{label}">{body}'


def _timeline(axis: Axes, plan: Plan, info: VideoInfo, end: float, moments: Sequence[int]) -> None:
    seconds = np.append(info.pts_seconds, end)
    rows = ["pictures", "shots", "segments", "subject", "left foot", "right foot"]
    at = {name: len(rows) - 1 - row for row, name in enumerate(rows)}

    def bars(row: str, spans: Sequence[tuple[int, int]], color: str, alpha: float) -> None:
        lengths = [(seconds[start], seconds[stop] - seconds[start]) for start, stop in spans]
        axis.broken_barh(lengths, (at[row] - 0.38, 0.76), facecolor=color, alpha=alpha, linewidth=0)

    axis.plot(seconds[list(moments)], [at["pictures"]] * len(moments), "v", color=_INK, markersize=6, clip_on=False)
    starts = [*plan.shot_starts.tolist(), info.num_frames]
    shots = list(pairwise(starts))
    bars("shots", shots[::2], _FIRST, 0.6)
    bars("shots", shots[1::2], _FIRST, 0.3)
    for number, segment in enumerate(plan.segments):
        bars("segments", [(segment.start, segment.stop)], _SECOND, 0.3 if number % 2 else 0.6)
        begin = seconds[segment.start]
        stop = seconds[segment.stop]
        if stop - begin > 0.12 * end:
            axis.text((begin + stop) / 2, at["segments"], segment.kind, ha="center", va="center", fontsize=9)
    presence = plan.subject.presence
    for value, color, alpha in ((Presence.FOUND, _FIRST, 0.6), (Presence.UNCERTAIN, _THIRD, 1.0)):
        bars("subject", [run for run in equal_runs(presence) if presence[run[0]] == value], color, alpha)
    for foot, name in enumerate(_FEET):
        planted = plan.contacts.planted[:, foot]
        bars(f"{name} foot", [run for run in equal_runs(planted) if planted[run[0]]], _SECOND, 0.6)
    axis.set_yticks(list(at.values()), list(at))
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(-0.6, len(rows) - 0.4)


def _feet(axes: Sequence[Axes], plan: Plan, seconds: NDArray[np.float64], series: Series) -> None:
    unlocked, locked = (foot_speed_bh(series[f"ankles_{name}"], plan, seconds) for name in ("unlocked", "locked"))
    for foot, axis in enumerate(axes):
        _bands(axis, seconds, plan.contacts.planted[:, foot])
        for values, color, style, width, label in (
            (plan.contacts.speed[:, foot], _FAINT, ":", 1.6, "subject"),
            (unlocked[:, foot], _THIRD, "-", 0.9, "without lock"),
            (locked[:, foot], _FIRST, "-", 1.8, "result"),
        ):
            axis.plot(*thinned(seconds, values), color=color, linestyle=style, linewidth=width, label=label)
        axis.set_ylabel(f"{_FEET[foot]}, heights/s")
        axis.set_ylim(bottom=0)
    axes[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)


def _camera(axes: Sequence[Axes], plan: Plan, info: VideoInfo, seconds: NDArray[np.float64]) -> None:
    world = plan.camera.world_from_source
    stable = plan.camera.stable_from_source
    middle = np.tile((np.array(info.size_wh, np.float64) - 1) / 2, (info.num_frames, 1))
    paths: Mapping[str, NDArray[np.float64]] = {
        "measured": apply_transform(world, middle),
        "smoothed": apply_transform(world @ np.linalg.inv(stable), middle),
    }
    # A cut starts a new ``world``: no line is drawn across it.
    cuts = plan.shot_starts[plan.shot_starts > 0]
    for direction, axis in enumerate(axes):
        for (label, path), (color, style) in zip(paths.items(), ((_FIRST, "-"), (_SECOND, "--")), strict=True):
            values = np.insert(path[:, direction] - middle[0, direction], cuts, np.nan)
            axis.plot(*thinned(np.insert(seconds, cuts, seconds[cuts]), values), color, linestyle=style, label=label)
        axis.set_ylabel(("across, px", "down, px")[direction])
    axes[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _warping(axis: Axes, seconds: NDArray[np.float64], series: Series) -> None:
    known = np.isfinite(series["warping_error_result"])
    at = seconds[series["frame"][known].astype(int)]
    for name, color, style in (("source", _SECOND, "--"), ("result", _FIRST, "-")):
        axis.plot(*thinned(at, series[f"warping_error_{name}"][known]), color, linestyle=style, label=name)
    axis.set_ylim(bottom=0)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _bands(axis: Axes, seconds: NDArray[np.float64], on: Mask) -> None:
    ends = np.append(seconds, seconds[-1])
    spans = [(ends[start], ends[stop] - ends[start]) for start, stop in equal_runs(on) if on[start]]
    axis.broken_barh(spans, (0, 1), facecolor=_SECOND, alpha=0.25, linewidth=0, transform=axis.get_xaxis_transform())
