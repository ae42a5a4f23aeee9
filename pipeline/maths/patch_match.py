"""Similar patches between a hole and its surroundings: how far apart, the search for better ones, the votes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.runtime.compiled import njit

RADIUS = 3
"""Patches of 7 x 7 px: a line and both of its sides."""

Field = NDArray[np.int32]
"""(h, w, 2) row and column of the patch matched to each patch."""


@njit(cache=True, nogil=True)
def _distance(
    picture: NDArray[np.float32], y: int, x: int, from_y: int, from_x: int, slope: np.float32, most: np.float32
) -> np.float32:
    total = slope * np.float32((y - from_y) * (y - from_y))
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            for channel in range(3):
                step = picture[y + dy, x + dx, channel] - picture[from_y + dy, from_x + dx, channel]
                total += step * step
        if total > most:
            return total
    return total


@njit(cache=True, nogil=True)
def measure(
    picture: NDArray[np.float32],
    places: NDArray[np.int32],
    field: Field,
    cost: NDArray[np.float32],
    slope: np.float32,
) -> None:
    for n in range(len(places)):
        y, x = places[n]
        cost[y, x] = _distance(picture, y, x, field[y, x, 0], field[y, x, 1], slope, np.float32(1e30))


@njit(cache=True, nogil=True)
def search(
    picture: NDArray[np.float32],
    places: NDArray[np.int32],
    targets: Mask,
    source: Mask,
    field: Field,
    cost: NDArray[np.float32],
    slope: np.float32,
    seed: int,
) -> None:
    """Improve the field: two sweeps over all positions, forward and backward."""
    height, width = source.shape
    state = np.uint64(seed * 2 + 1) * np.uint64(0x9E3779B97F4A7C15)
    for sweep in range(2):
        step = 1 if sweep == 0 else -1
        for k in range(len(places)):
            n = k if sweep == 0 else len(places) - 1 - k
            y, x = places[n]
            best = cost[y, x]
            at_y, at_x = field[y, x, 0], field[y, x, 1]
            for side in range(2):
                near_y, near_x = y - (step if side == 0 else 0), x - (step if side == 1 else 0)
                if not (0 <= near_y < height and 0 <= near_x < width and targets[near_y, near_x]):
                    continue
                from_y = field[near_y, near_x, 0] + (y - near_y)
                from_x = field[near_y, near_x, 1] + (x - near_x)
                if 0 <= from_y < height and 0 <= from_x < width and source[from_y, from_x]:
                    found = _distance(picture, y, x, from_y, from_x, slope, best)
                    if found < best:
                        best = found
                        at_y = from_y
                        at_x = from_x
            radius = max(height, width)
            while radius >= 1:
                state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                chance = state >> np.uint64(33)
                span = np.uint64(2 * radius + 1)
                from_y = at_y + int(chance % span) - radius
                from_x = at_x + int((chance // span) % span) - radius
                if 0 <= from_y < height and 0 <= from_x < width and source[from_y, from_x]:
                    found = _distance(picture, y, x, from_y, from_x, slope, best)
                    if found < best:
                        best = found
                        at_y = from_y
                        at_x = from_x
                radius //= 2
            cost[y, x] = best
            field[y, x, 0] = at_y
            field[y, x, 1] = at_x


@njit(cache=True, nogil=True)
def vote(
    picture: NDArray[np.float32],
    places: NDArray[np.int32],
    inside: Mask,
    field: Field,
    cost: NDArray[np.float32],
    trust: NDArray[np.float32],
    usual: np.float32,
) -> None:
    """Fill the hole with the votes of the patches over each pixel, weighted by similarity and nearness to the edge."""
    height, width, _ = picture.shape
    total = np.zeros((height, width, 3), np.float32)
    weights = np.zeros((height, width), np.float32)
    for n in range(len(places)):
        y, x = places[n]
        weight = trust[y, x] * np.exp(-cost[y, x] / (np.float32(0.5) * usual)) + np.float32(1e-12)
        for dy in range(-RADIUS, RADIUS + 1):
            for dx in range(-RADIUS, RADIUS + 1):
                to_y, to_x = y + dy, x + dx
                if not inside[to_y, to_x]:
                    continue
                weights[to_y, to_x] += weight
                for channel in range(3):
                    total[to_y, to_x, channel] += weight * picture[field[y, x, 0] + dy, field[y, x, 1] + dx, channel]
    for y in range(height):
        for x in range(width):
            if inside[y, x] and weights[y, x] > 0:
                for channel in range(3):
                    picture[y, x, channel] = total[y, x, channel] / weights[y, x]


@njit(cache=True, nogil=True)
def copy_agreed(
    picture: NDArray[np.float32],
    targets: Mask,
    inside: Mask,
    field: Field,
    cost: NDArray[np.float32],
    trust: NDArray[np.float32],
    usual: np.float32,
) -> NDArray[np.float32]:
    """Return the picture with each pixel of the hole copied from the one place that most votes agree on.

    The mean of all votes is blurred where the patches over a pixel disagree: grass becomes a green fog. A copy keeps
    the texture, and regions of one displacement meet where their votes are equal, which is where they are alike.
    """
    height, width, _ = picture.shape
    result = picture.copy()
    rows = np.empty((2 * RADIUS + 1) ** 2, np.int32)
    columns = np.empty((2 * RADIUS + 1) ** 2, np.int32)
    totals = np.empty((2 * RADIUS + 1) ** 2, np.float32)
    for y in range(height):
        for x in range(width):
            if not inside[y, x]:
                continue
            count = 0
            for near_y in range(max(y - RADIUS, 0), min(y + RADIUS + 1, height)):
                for near_x in range(max(x - RADIUS, 0), min(x + RADIUS + 1, width)):
                    if not targets[near_y, near_x]:
                        continue
                    weight = trust[near_y, near_x] * np.exp(-cost[near_y, near_x] / (np.float32(0.5) * usual))
                    from_y = field[near_y, near_x, 0] - near_y
                    from_x = field[near_y, near_x, 1] - near_x
                    known = 0
                    while known < count and (rows[known] != from_y or columns[known] != from_x):
                        known += 1
                    if known == count:
                        rows[known] = from_y
                        columns[known] = from_x
                        totals[known] = np.float32(1e-12)
                        count += 1
                    totals[known] += weight
            if count:
                best = np.argmax(totals[:count])
                result[y, x] = picture[y + rows[best], x + columns[best]]
    return result
