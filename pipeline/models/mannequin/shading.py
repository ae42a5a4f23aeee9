"""Light on the posed figure: key light with soft shadows, sky and ground, rim; then contact shadows on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.light import SceneLight
from pipeline.models.mannequin.raster import extent, rasterize
from pipeline.runtime.compiled import njit

_GROUND = np.array([1.0, 0.94, 0.86], np.float32) * np.float32(0.20 / 0.50)
"""Reflectance of the ground."""
_SUNLIT = 0.6
"""Fraction of the ground around a person on which the key light falls."""
_OCCLUSION_POWER = 0.7
"""Below 1: what closes a fold reflects light into it."""
_SHADOW_SIZE = 320
"""Samples per side of the shadow map: coarse, like soft daylight."""


def light_vertices(
    places: NDArray[np.float32],
    normals: NDArray[np.float32],
    triangles: NDArray[np.int32],
    occlusion: NDArray[np.float32],
    body_height_px: float,
    light: SceneLight,
) -> NDArray[np.float32]:
    """(V, 3) linear light on each vertex; crop px. ``light`` is that of one frame."""
    lit = _shadowed(places, normals, triangles, light.key_direction[0], body_height_px)
    return _light(normals, occlusion, lit, light)


def sky_share(light: SceneLight) -> float:
    """Return which fraction of the ground's light comes from the sky, 0..1; ``light`` is that of one frame.

    Feet take only that from the ground around them: what they take of the key light is the cast shadow.
    """
    sky = float(light.ambient_rgb[0].mean())
    key = float(light.key_rgb[0].mean()) * max(-float(light.key_direction[0, 1]), 0.0)
    return sky / max(sky + key, 1e-6)


def unshadowed_light(
    normals: NDArray[np.float32], occlusion: NDArray[np.float32], light: SceneLight
) -> NDArray[np.float32]:
    """(V, 3) the same without shadows of the key light."""
    return _light(normals, occlusion, np.ones(len(normals), np.float32), light)


def _light(
    normals: NDArray[np.float32], occlusion: NDArray[np.float32], lit: NDArray[np.float32], light: SceneLight
) -> NDArray[np.float32]:
    return _lit_vertices(
        normals.astype(np.float32), occlusion, lit, light.key_direction[0], light.key_rgb[0], light.ambient_rgb[0]
    )


@njit(cache=True, nogil=True, fastmath=False)
def _lit_vertices(
    normals: NDArray[np.float32],
    occlusion: NDArray[np.float32],
    lit: NDArray[np.float32],
    key: NDArray[np.float32],
    key_rgb: NDArray[np.float32],
    sky_rgb: NDArray[np.float32],
) -> NDArray[np.float32]:
    out = np.empty((len(normals), 3), np.float32)
    ground = np.empty(3, np.float32)
    for k in range(3):
        ground[k] = _GROUND[k] * (sky_rgb[k] + _SUNLIT * max(-key[1], 0.0) * key_rgb[k])
    for v in range(len(normals)):
        x, y, z = normals[v]
        facing = x * key[0] + y * key[1] + z * key[2]
        open_sky = occlusion[v] ** _OCCLUSION_POWER
        # Wrapped slightly: cloth and skin scatter past the terminator.
        direct = max((facing + 0.25) / 1.25, 0.0) * lit[v] * (0.45 + 0.55 * open_sky)
        up = 0.5 - 0.5 * y
        rim = min(max(1.0 + z, 0.0), 1.0) ** 3 * min(max(0.6 - 0.5 * y, 0.0), 1.0)
        for k in range(3):
            around = ground[k] * (1.0 - up) + (up + 0.20 * rim) * sky_rgb[k]
            out[v, k] = direct * key_rgb[k] + around * open_sky
    return out


def _shadowed(
    places: NDArray[np.float32],
    normals: NDArray[np.float32],
    triangles: NDArray[np.int32],
    key: NDArray[np.float32],
    body_height_px: float,
) -> NDArray[np.float32]:
    """(V,) 0 in shadow .. 1 lit, by a depth map seen from the light."""
    side = np.cross(key, np.array([0.2, 0.1, -0.97], np.float32))
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(key, side), -key], 1).astype(np.float32)
    seen = places @ axes
    low, high = extent(seen)
    scale = np.float32(_SHADOW_SIZE / (1.3 * body_height_px))
    width, height = (int(x) + 3 for x in (high - low)[:2] * scale)
    flat = np.ascontiguousarray((seen - low) * scale + np.array([1, 1, 0], np.float32))
    depth, _ = rasterize(flat, triangles, min(width, 1024), min(height, 1024))
    lifted = (places + normals * np.float32(0.006 * body_height_px)) @ axes
    lit: NDArray[np.float32] = _percentage_closer(
        depth, ((lifted - low) * scale + np.array([1, 1, 0], np.float32)).astype(np.float32)
    )
    return lit


@njit(cache=True, nogil=True, fastmath=False)
def _percentage_closer(depth: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fraction of the 5 x 5 map samples around each point that are not in front of it (Reeves et al., 1987)."""
    height, width = depth.shape
    out = np.ones(len(points), np.float32)
    for i in range(len(points)):
        cx, cy = int(np.rint(points[i, 0])), int(np.rint(points[i, 1]))
        hit = 0
        total = 0
        for y in range(max(cy - 2, 0), min(cy + 3, height)):
            for x in range(max(cx - 2, 0), min(cx + 3, width)):
                total += 1
                if depth[y, x] < points[i, 2] - 2.5:
                    hit += 1
        if total:
            out[i] = 1.0 - hit / total
    return out


GAMMA = np.array(
    [round(255 * (12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055)) for x in np.linspace(0, 1, 4096)],
    np.uint8,
)
"""sRGB byte of 4,096 steps of linear light."""


@njit(cache=True, nogil=True, fastmath=False)
def straight_color(
    light: NDArray[np.float32],
    cover: NDArray[np.float32],
    shadow: NDArray[np.float32],
    gamma: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Composite the figure over its black shadow: straight sRGB (h, w, 3) and alpha (h, w).

    Bright light rolls off softly above 0.75 instead of clipping.
    """
    height, width = cover.shape
    picture = np.zeros((height, width, 3), np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            c = cover[y, x]
            whole = c + shadow[y, x] * (1.0 - c)
            alpha[y, x] = np.uint8(whole * 255.0 + 0.5)
            if c <= 0.0:
                continue
            for k in range(3):
                value = light[y, x, k]
                if value > 0.75:
                    over = value - 0.75
                    value = 0.75 + over / (1.0 + over * 4.0)
                picture[y, x, k] = np.uint8(gamma[int(value * 4095.0 + 0.5)] * c / whole + 0.5)
    return picture, alpha


@dataclass(frozen=True, slots=True)
class Blob:
    """One soft dark ellipse on the ground, crop px."""

    x: float
    y: float
    along: tuple[float, float]
    """Half axis (standard deviation) as a vector."""
    wide: float
    """Standard deviation across, px."""
    strength: float


def ground_shadow(size_wh: tuple[int, int], blobs: list[Blob]) -> NDArray[np.float32]:
    """(h, w) alpha 0..1 of black: bell-shaped ellipses, joined as independent covers."""
    width, height = size_wh
    clear = np.ones((height, width), np.float32)
    for blob in blobs:
        long = float(np.hypot(*blob.along))
        ux, uy = blob.along[0] / long, blob.along[1] / long
        reach_x = 2.45 * float(np.hypot(blob.along[0], blob.wide * uy))
        reach_y = 2.45 * float(np.hypot(blob.along[1], blob.wide * ux))
        x0, x1 = max(int(blob.x - reach_x), 0), min(int(blob.x + reach_x) + 2, width)
        y0, y1 = max(int(blob.y - reach_y), 0), min(int(blob.y + reach_y) + 2, height)
        if x0 >= x1 or y0 >= y1 or blob.strength <= 0:
            continue
        dx = np.arange(x0, x1, dtype=np.float32)[None] - np.float32(blob.x)
        dy = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(blob.y)
        power = ((dx * ux + dy * uy) / long) ** 2 + ((dy * ux - dx * uy) / blob.wide) ** 2
        # Close to exp(-power / 2), and 0 from 2.45 standard deviations on: finite support without a visible edge.
        value = np.maximum(1 - power / 6, 0) ** 3 * np.float32(blob.strength)
        clear[y0:y1, x0:x1] *= 1 - value
    return 1 - clear
