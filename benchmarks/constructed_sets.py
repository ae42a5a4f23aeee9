"""What stands and walks in the clips of ``benchmarks.constructed_front``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_WALK = [*range(62), *range(92, 150)]
"""Frames of walk_a in which the man walks."""
_HOLD = [*range(62, 90), *range(88, 62, -1)]
"""There and back again through the frames in which the subject stands."""

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Bar:
    """A straight round bar between two points of the place, m."""

    start: Point
    end: Point
    width_m: float
    rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Board:
    """An upright rectangle with a pattern, from one lower corner to the other, m: a planter, a hedge, a sign."""

    start: tuple[float, float]
    end: tuple[float, float]
    low_m: float
    high_m: float
    rgb: tuple[int, int, int]
    leaves: float = 0.0
    """Strength of a random pattern, in gray levels: the leaves of a hedge."""


@dataclass(frozen=True, slots=True)
class Passer:
    """Somebody else: whose cutout, in which pose of it, and where, by frame of the clip; ``pose`` None: absent."""

    who: str
    """``man`` or ``suit``."""
    pose: Callable[[int], int | None]
    ground: Callable[[int], tuple[float, float]]
    hue: int = 0
    size: float = 1.0
    mirrored: bool = False


Thing = Bar | Board


@dataclass(frozen=True, slots=True)
class Set:
    """One constructed clip."""

    things: Sequence[Thing] = ()
    passers: Sequence[Passer] = ()
    bag: tuple[int, int, int] | None = None
    """RGB of a bag in the man's left hand."""
    light: str | None = None
    shake: float = 0.0
    footage: str = "walk_a"
    """Whose folder it is made of."""


def railing(x: tuple[float, float], y: tuple[float, float], count: int, rgb: tuple[int, int, int]) -> list[Thing]:
    """Return a railing of so many bars of 25 mm, with a rail on top and one near the ground."""
    across, depth = np.linspace(*x, count), np.linspace(*y, count)
    ends = ((x[0], y[0]), (x[1], y[1]))
    bars: list[Thing] = [Bar((*ends[0], z), (*ends[1], z), 0.05, rgb) for z in (1.02, 0.12)]
    return bars + [Bar((a, d, 0.0), (a, d, 1.0), 0.025, rgb) for a, d in zip(across, depth, strict=True)]


def post(x: float, y: float, rgb: tuple[int, int, int], width_m: float = 0.14) -> list[Thing]:
    """Return a lamp post on a base."""
    return [Bar((x, y, 0.0), (x, y, 3.6), width_m, rgb), Bar((x, y, 0.0), (x, y, 0.35), 1.9 * width_m, rgb)]


def planter(x: tuple[float, float], y: float) -> list[Thing]:
    """Return a planter with a hedge in it."""
    return [
        Board((x[0], y), (x[1], y), 0.0, 0.45, (121, 104, 92), 6.0),
        Board((x[0] + 0.03, y + 0.02), (x[1] - 0.03, y + 0.02), 0.42, 0.8, (58, 84, 44), 26.0),
    ]


def standing(x: float, y: float, *, hue: int = 0, who: str = "suit") -> Passer:
    """Return a bystander."""
    return Passer(who, lambda t: _HOLD[t % len(_HOLD)], lambda t: (x, y), hue, mirrored=True)


def passing(
    y: float, start_x: float, step_m: float, first: int, *, who: str = "man", hue: int = 0, size: float = 1.0
) -> Passer:
    """Return somebody who walks across; to the left where ``step_m`` a frame is negative."""
    return Passer(
        who,
        lambda t: _WALK[(t - first) % len(_WALK)] if t >= first else None,
        lambda t: (start_x + step_m * (t - first), y),
        hue,
        size,
        mirrored=step_m < 0,
    )


SETS: dict[str, Set] = {
    "railing": Set(railing((-1.7, 0.1), (-0.6, -0.6), 13, (62, 66, 70)), [standing(1.25, 0.7)]),
    "railing_near": Set(railing((-0.5, 0.85), (-2.3, -1.7), 12, (188, 186, 180))),
    "post_planter": Set(
        [*post(-0.9, -0.45, (70, 78, 74)), *planter((0.35, 1.5), -0.5)],
        [passing(1.0, 2.3, -0.028, 15, hue=75, size=0.94)],
    ),
    "passers": Set([], [passing(1.2, -2.6, 0.026, 10, hue=100, size=0.94), passing(-1.5, -1.9, 0.045, 66, who="suit")]),
    "railing_bag_dusk": Set(
        railing((-1.5, 0.5), (-0.9, -0.5), 12, (96, 92, 90)),
        [standing(-1.1, 0.9), passing(-1.4, 1.7, -0.045, 84, who="suit")],
        (150, 44, 40),
        "dusk",
    ),
    "post_planter_night": Set(
        [*post(0.3, -0.7, (104, 100, 90), 0.11), *planter((-1.5, -0.45), -0.6)], [standing(0.95, 0.6)], None, "night"
    ),
    "railing_shaken": Set(
        railing((-1.2, 0.6), (-0.7, -1.1), 10, (150, 84, 52)), [passing(1.1, 2.2, -0.03, 10, hue=50)], None, None, 0.8
    ),
    "crowd_shade": Set(
        post(-0.25, -1.2, (64, 70, 82), 0.09),
        [standing(-0.75, 0.9), standing(0.9, 1.3, hue=60, who="man"), passing(-1.2, 1.8, -0.04, 30, hue=120)],
        None,
        "shade",
    ),
    "d_railing_dusk": Set(railing((0.1, 1.7), (-0.6, -0.6), 12, (88, 90, 92)), light="dusk", footage="walk_d"),
    "d_railing": Set(railing((-1.7, -0.2), (-0.8, -0.4), 11, (168, 168, 160)), footage="walk_d"),
    "d_posts_night": Set(
        [*post(0.55, -0.5, (96, 92, 84), 0.1), *railing((-1.5, -0.75), (-0.5, -0.5), 6, (70, 74, 78))],
        light="night",
        footage="walk_d",
    ),
}
TUNED = ("railing", "post_planter", "d_railing_dusk")
"""Thresholds were chosen on these; the others only judge."""
