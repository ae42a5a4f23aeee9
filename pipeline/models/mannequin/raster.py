"""A small z-buffer rasterizer (numba, one thread): depth and triangle at each sample, then antialiased pixels.

Convention: sample centers at integers; smaller z is nearer; sample (i, j) of an n-fold buffer lies at pixel
``((i + 0.5) / n - 0.5, (j + 0.5) / n - 0.5)``. A shared edge belongs to exactly one side only through the depth test: a
sample on it is drawn by both neighbors, so that no crack can open.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.models.mannequin.mesh_colors import lookup
from pipeline.runtime.compiled import njit

FAR = np.float32(1e9)
_DEPTHS = 32
"""Ranges of depth in whose order triangles are drawn."""


@njit(cache=True, nogil=True, fastmath=False, inline="always")
def _inside(first: float, last: float, weight: float, slope: float, per: float) -> tuple[float, float]:
    """Cut the steps ``first`` to ``last`` along a row to those where ``weight + steps * slope`` is not below 0.

    ``per`` is one over the slope. Where nothing is left first exceeds last.
    """
    if slope > 0.0:
        return max(first, -(weight + 1e-9) * per), last
    if slope < 0.0:
        return first, min(last, -(weight + 1e-9) * per)
    return (first, last) if weight >= -1e-9 else (1.0, 0.0)


@njit(cache=True, nogil=True, fastmath=False)
def faces_away(places: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(F,) whether a triangle is back-facing: y points down, so what faces the camera has a negative area."""
    out = np.empty(len(triangles), np.bool_)
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        abx, aby = places[b, 0] - places[a, 0], places[b, 1] - places[a, 1]
        acx, acy = places[c, 0] - places[a, 0], places[c, 1] - places[a, 1]
        out[t] = abx * acy - aby * acx > 0
    return out


@njit(cache=True, nogil=True, fastmath=False)
def extent(places: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the least and the largest coordinates (3,) of vertices (V, 3), V > 0."""
    low = places[0].copy()
    high = places[0].copy()
    for v in range(len(places)):
        for k in range(3):
            low[k] = min(low[k], places[v, k])
            high[k] = max(high[k], places[v, k])
    return low, high


@njit(cache=True, nogil=True, fastmath=False)
def _front_to_back(places: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the numbers (F,) of the triangles by the range of depth of their first vertex, in one range ascending."""
    count = len(triangles)
    order = np.empty(count, np.int64)
    low = FAR
    high = -FAR
    for t in range(count):
        z = places[triangles[t, 0], 2]
        low = min(low, z)
        high = max(high, z)
    scale = (_DEPTHS - 1) / max(high - low, np.float32(1e-6))
    ranges = np.empty(count, np.int64)
    starts = np.zeros(_DEPTHS + 1, np.int64)
    for t in range(count):
        ranges[t] = min(max(int((places[triangles[t, 0], 2] - low) * scale), 0), _DEPTHS - 1)
        starts[ranges[t] + 1] += 1
    for k in range(_DEPTHS):
        starts[k + 1] += starts[k]
    for t in range(count):
        order[starts[ranges[t]]] = t
        starts[ranges[t]] += 1
    return order


@njit(cache=True, nogil=True, fastmath=False)
def rasterize(
    places: NDArray[np.float32], triangles: NDArray[np.int32], width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return (height, width) depth (``FAR`` where nothing is) and the nearest triangle (-1) for samples x, y, z."""
    depth = np.full((height, width), FAR, np.float32)
    nearest = np.full((height, width), -1, np.int32)
    # What lies behind is then mostly refused, and branches are guessed better: a sixth of the time less.
    for t in _front_to_back(places, triangles):
        a, b, c = triangles[t]
        ax, ay, az = np.float64(places[a, 0]), np.float64(places[a, 1]), np.float64(places[a, 2])
        bx, by, bz = np.float64(places[b, 0]), np.float64(places[b, 1]), np.float64(places[b, 2])
        cx, cy, cz = np.float64(places[c, 0]), np.float64(places[c, 1]), np.float64(places[c, 2])
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if not abs(area) > 1e-9:
            continue
        x0 = max(0, int(np.ceil(min(ax, bx, cx))))
        x1 = min(width - 1, int(np.floor(max(ax, bx, cx))))
        y0 = max(0, int(np.ceil(min(ay, by, cy))))
        y1 = min(height - 1, int(np.floor(max(ay, by, cy))))
        if x0 > x1 or y0 > y1:
            continue
        # Barycentric weights of b and c are planes in x and y: step along the row by additions only.
        inverse = 1.0 / area
        b_dx, b_dy = (cy - ay) * inverse, -(cx - ax) * inverse
        c_dx, c_dy = -(by - ay) * inverse, (bx - ax) * inverse
        z_dx = b_dx * (bz - az) + c_dx * (cz - az)
        a_dx = -(b_dx + c_dx)
        # Where the row crosses an edge: one division per edge and triangle.
        b_per = 1.0 / b_dx if b_dx != 0.0 else 0.0
        c_per = 1.0 / c_dx if c_dx != 0.0 else 0.0
        a_per = 1.0 / a_dx if a_dx != 0.0 else 0.0
        for y in range(y0, y1 + 1):
            u = b_dx * (x0 - ax) + b_dy * (y - ay)
            v = c_dx * (x0 - ax) + c_dy * (y - ay)
            first, last = _inside(0.0, float(x1 - x0), u, b_dx, b_per)
            first, last = _inside(first, last, v, c_dx, c_per)
            first, last = _inside(first, last, 1.0 - u - v, a_dx, a_per)
            if first > last:
                continue
            start = int(np.ceil(first))
            z = az + u * (bz - az) + v * (cz - az) + start * z_dx
            for x in range(x0 + start, x0 + int(np.floor(last)) + 1):
                if z < depth[y, x]:
                    depth[y, x] = z
                    nearest[y, x] = t
                z += z_dx
    return depth, nearest


@njit(cache=True, nogil=True, fastmath=False)
def _triangles_of_pixel(
    nearest: NDArray[np.int32],
    py: int,
    px: int,
    fold: int,
    ids: NDArray[np.int32],
    sums: NDArray[np.float64],
) -> tuple[int, int]:
    """Fill ``ids`` with the triangles of a pixel's samples, ``sums`` with each one's x, y and number of samples.

    Returns the number of triangles and the number of covered samples.
    """
    found = 0
    hits = 0
    slot = 0
    for sy in range(py * fold, py * fold + fold):
        for sx in range(px * fold, px * fold + fold):
            t = nearest[sy, sx]
            if t < 0:
                continue
            hits += 1
            # Most samples lie on the triangle of the one before.
            if found == 0 or ids[slot] != t:
                slot = 0
                while slot < found and ids[slot] != t:
                    slot += 1
            if slot == found:
                ids[slot] = t
                sums[slot, 0] = 0.0
                sums[slot, 1] = 0.0
                sums[slot, 2] = 0.0
                found += 1
            sums[slot, 0] += sx
            sums[slot, 1] += sy
            sums[slot, 2] += 1.0
    return found, hits


@njit(cache=True, nogil=True, fastmath=False, inline="always")
def _look_up_between_levels(
    colors: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    row: int,
    level: float,
    u: float,
    v: float,
    albedo: NDArray[np.float64],
) -> None:
    """Fill ``albedo`` (3,) from the two levels of color around ``level`` > 0, the binary logarithm of samples per
    edge."""
    fine, middle, coarse = colors
    for k in range(3):
        albedo[k] = 0.0
    if level >= 2.0:
        lookup(fine, row, 4, u, v, albedo, 1.0)
    elif level >= 1.0:
        lookup(fine, row, 4, u, v, albedo, level - 1.0)
        lookup(middle, row, 2, u, v, albedo, 2.0 - level)
    else:
        lookup(middle, row, 2, u, v, albedo, level)
        lookup(coarse, row, 1, u, v, albedo, 1.0 - level)


@njit(cache=True, nogil=True, fastmath=False)
def _mean_colors(
    places: NDArray[np.float32],
    triangles: NDArray[np.int32],
    coarse: NDArray[np.float32],
    light: NDArray[np.float32],
    rows: NDArray[np.int64],
    fold: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (F,) the binary logarithm of each triangle's longest edge in pixels, and (F, 3) its mean lit color.

    By the longest edge, foreshortened triangles keep their detail along it. The color is only filled in for triangles
    smaller than a pixel.
    """
    levels = np.empty(len(triangles), np.float32)
    flat = np.zeros((len(triangles), 3), np.float32)
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        abx, aby = places[b, 0] - places[a, 0], places[b, 1] - places[a, 1]
        acx, acy = places[c, 0] - places[a, 0], places[c, 1] - places[a, 1]
        longest = max(abx * abx + aby * aby, acx * acx + acy * acy)
        longest = max(longest, (abx - acx) ** 2 + (aby - acy) ** 2)
        levels[t] = np.log2(max(np.sqrt(longest) / fold, 1e-6))
        if levels[t] > 0.0:
            continue
        row = rows[t]
        for k in range(3):
            albedo = coarse[row, 0, k] + coarse[row, 1, k] + coarse[row, 2, k]
            flat[t, k] = albedo * (light[a, k] + light[b, k] + light[c, k]) / 9
    return levels, flat


@njit(cache=True, nogil=True, fastmath=False)
def resolve(
    places: NDArray[np.float32],
    triangles: NDArray[np.int32],
    colors: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    light: NDArray[np.float32],
    rows: NDArray[np.int64],
    dimmed: NDArray[np.float32],
    nearest: NDArray[np.int32],
    fold: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gather ``fold`` x ``fold`` samples into pixels.

    ``colors`` are the three levels of ``MeshColors`` and ``rows`` (F,) each triangle's row in them; ``light`` (V, 3) is
    the light on each vertex, ``dimmed`` (F,) a factor on it; all linear. Returns the mean color of the covered samples
    (h, w, 3) and coverage 0..1 (h, w). Each triangle of a pixel is evaluated once, at the mean of its samples, from the
    two levels of color whose samples lie about a pixel apart (trilinear); one smaller than a pixel has one color.
    """
    height, width = nearest.shape[0] // fold, nearest.shape[1] // fold
    picture = np.zeros((height, width, 3), np.float32)
    cover = np.zeros((height, width), np.float32)
    count = fold * fold
    ids = np.empty(count, np.int32)
    sums = np.empty((count, 3), np.float64)
    albedo = np.empty(3, np.float64)
    levels, flat = _mean_colors(places, triangles, colors[2], light, rows, fold)
    for py in range(height):
        for px in range(width):
            found, hits = _triangles_of_pixel(nearest, py, px, fold, ids, sums)
            if hits == 0:
                continue
            cover[py, px] = hits / count
            for slot in range(found):
                t = ids[slot]
                share = dimmed[t] * sums[slot, 2] / hits
                if levels[t] <= 0.0:
                    for k in range(3):
                        picture[py, px, k] += share * flat[t, k]
                    continue
                a, b, c = triangles[t]
                ax, ay = places[a, 0], places[a, 1]
                abx, aby = places[b, 0] - ax, places[b, 1] - ay
                acx, acy = places[c, 0] - ax, places[c, 1] - ay
                dx = sums[slot, 0] / sums[slot, 2] - ax
                dy = sums[slot, 1] / sums[slot, 2] - ay
                area = abx * acy - aby * acx
                u = min(max((dx * acy - dy * acx) / area, 0.0), 1.0)
                v = min(max((abx * dy - aby * dx) / area, 0.0), 1.0 - u)
                _look_up_between_levels(colors, rows[t], levels[t], u, v, albedo)
                for k in range(3):
                    picture[py, px, k] += (
                        share * albedo[k] * (light[a, k] * (1.0 - u - v) + light[b, k] * u + light[c, k] * v)
                    )
    return picture, cover


@njit(cache=True, nogil=True, fastmath=False)
def skin(
    vertices: NDArray[np.float32],
    bone_index: NDArray[np.uint8],
    bone_weight: NDArray[np.float32],
    linear: NDArray[np.float32],
    offset: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Linear blend skinning: (V, 3) posed from ``linear`` (bones, 3, 3) and ``offset`` (bones, 3)."""
    out = np.zeros_like(vertices)
    for v in range(len(vertices)):
        x, y, z = vertices[v]
        for k in range(bone_index.shape[1]):
            w = bone_weight[v, k]
            if w == 0.0:
                continue
            b = bone_index[v, k]
            for r in range(3):
                out[v, r] += w * (linear[b, r, 0] * x + linear[b, r, 1] * y + linear[b, r, 2] * z + offset[b, r])
    return out


@njit(cache=True, nogil=True, fastmath=False)
def vertex_normals(places: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    """(V, 3) unit normals, each triangle counting by its area."""
    out = np.zeros_like(places)
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        ux, uy, uz = places[b, 0] - places[a, 0], places[b, 1] - places[a, 1], places[b, 2] - places[a, 2]
        vx, vy, vz = places[c, 0] - places[a, 0], places[c, 1] - places[a, 1], places[c, 2] - places[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in (a, b, c):
            out[k, 0] += nx
            out[k, 1] += ny
            out[k, 2] += nz
    for v in range(len(out)):
        length = np.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        if length > 0:
            out[v, 0] /= length
            out[v, 1] /= length
            out[v, 2] /= length
    return out
