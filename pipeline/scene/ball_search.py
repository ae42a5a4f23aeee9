"""Search a clip for balls: first in a few frames a second, then in every frame near what may be one.

Every third frame is enough to see that there is a ball, but also to take something else for one; the frames between
tell. Only where they confirm it is every frame of the clip examined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from pipeline.scene.ball_tracks import follow_balls
from pipeline.scene.balls import Balls, BodyPath, Circles

_AROUND_SECONDS = 0.5
"""How long before and after a possible ball every frame is examined: it may have been found late."""


def search_balls(
    looked: Mapping[int, Circles],
    frames: Sequence[int],
    stride: int,
    body: BodyPath,
    frame_rate: float,
    find: Callable[[list[int]], Iterable[Circles]],
) -> Balls:
    """Return the balls in the ``frames`` (ascending).

    ``looked`` are the circles of those among them that have been examined, every ``stride``-th one; ``find`` returns
    those of other frames, ascending.
    """
    possible = follow_balls([looked[number] for number in sorted(looked)], body, frame_rate, stride)
    if not len(possible.frames):
        return possible
    circles = dict(looked)

    def followed(numbers: Sequence[int]) -> Balls:
        found = find([number for number in numbers if number not in circles])
        circles.update((each.frame, each) for each in found)
        return follow_balls([circles[number] for number in numbers], body, frame_rate)

    around = np.unique(possible.frames)
    reach = round(_AROUND_SECONDS * frame_rate)
    near = [number for number in frames if np.abs(around - number).min() <= reach]
    confirmed = followed(near)
    # A ball moves far from one frame to the next, and leaves and comes back.
    return followed(frames) if len(confirmed.frames) and len(near) < len(frames) else confirmed
