"""What people wear in reference pictures: hats, hair, bags, coats and skirts, drawn onto characters."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from benchmarks.reference_scene import Joints, Scene, offset


def hat(scene: Scene) -> Scene:
    """A hat with a wide brim."""
    eyes, unit = _eyes(scene)
    top = float(np.flatnonzero(scene.mask.any(1))[0])
    brim = eyes + offset(0, -0.16 * unit)
    crown = _ellipse((eyes[0], (top + brim[1]) / 2 - 0.06 * unit), (0.21 * unit, (brim[1] - top) / 2 + 0.1 * unit))
    scene = _with_cloth(scene, crown, (150, 110, 70))
    return _with_cloth(scene, _ellipse(brim, (0.42 * unit, 0.055 * unit)), (125, 90, 58))


def cap(scene: Scene) -> Scene:
    """A cap with a peak to the front."""
    eyes, unit = _eyes(scene)
    top = float(np.flatnonzero(scene.mask.any(1))[0])
    brow = eyes[1] - 0.13 * unit
    dome = _ellipse((eyes[0], brow), (0.205 * unit, brow - top + 0.04 * unit))
    dome = dome[dome[:, 1] <= brow]
    scene = _with_cloth(scene, dome, (170, 30, 36))
    return _with_cloth(scene, _ellipse((eyes[0], brow), (0.17 * unit, 0.05 * unit)), (130, 22, 28))


def ponytail(scene: Scene) -> Scene:
    """Hair tied at the back, hanging over one shoulder."""
    eyes, unit = _eyes(scene)
    hair = _hair_color(scene)
    start = eyes + offset(0.16 * unit, 0.02 * unit)
    way = [
        start,
        start + offset(0.1 * unit, 0.12 * unit),
        start + offset(0.16 * unit, 0.4 * unit),
        start + offset(0.09 * unit, 0.72 * unit),
    ]
    return _with_strand(scene, np.array(way), (0.05, 0.075, 0.06, 0.02), unit, hair)


def loose_hair(scene: Scene) -> Scene:
    """Hair that falls on both shoulders."""
    eyes, unit = _eyes(scene)
    hair = _hair_color(scene)
    for side in (-1, 1):
        start = eyes + offset(side * 0.17 * unit, -0.16 * unit)
        way = [start, start + offset(side * 0.06 * unit, 0.25 * unit), start + offset(side * 0.05 * unit, 0.62 * unit)]
        scene = _with_strand(scene, np.array(way), (0.05, 0.09, 0.05), unit, hair)
    return scene


def handbag(scene: Scene) -> Scene:
    """A bag that hangs from a hand."""
    unit = scene.unit_px
    hand = scene.at("left_wrist") + 0.3 * (scene.at("left_wrist") - scene.at("left_elbow"))
    handle = np.array([hand + offset(-0.1 * unit, 0.3 * unit), hand, hand + offset(0.1 * unit, 0.3 * unit)])
    scene = _with_strand(scene, handle, (0.018, 0.018, 0.018), unit, (70, 40, 30))
    box = hand + np.array([[-0.22, 0.28], [0.22, 0.28], [0.26, 0.68], [-0.26, 0.68]]) * unit
    return _with_cloth(scene, box, (120, 60, 40))


def shoulder_bag(scene: Scene) -> Scene:
    """A bag at the hip, with a strap across the chest."""
    unit = scene.unit_px
    hip = scene.at("right_hip") + offset(-0.28 * unit, -0.02 * unit)
    strap = np.array([scene.at("left_shoulder") + offset(-0.14 * unit, -0.02 * unit), hip])
    scene = _with_strand(scene, strap, (0.03, 0.03), unit, (60, 60, 64))
    box = hip + np.array([[-0.22, -0.1], [0.24, -0.1], [0.24, 0.3], [-0.22, 0.3]]) * unit
    return _with_cloth(scene, box, (84, 92, 70))


def coat(scene: Scene) -> Scene:
    """An open-ended coat down to the knees, wider than the body."""
    unit = scene.unit_px
    below = scene.at("left_knee")[1] + 0.05 * unit
    left, right = (scene.at(f"{side}_knee")[0] for side in ("left", "right"))
    outline = [
        scene.at("right_shoulder") + offset(-0.05 * unit, -0.06 * unit),
        scene.at("left_shoulder") + offset(0.05 * unit, -0.06 * unit),
        scene.at("left_hip") + offset(0.18 * unit, 0.0),
        [left + 0.34 * unit, below],
        [right - 0.34 * unit, below],
        scene.at("right_hip") + offset(-0.18 * unit, 0.0),
    ]
    return _with_cloth(scene, np.array(outline), (150, 118, 82))


def skirt(scene: Scene) -> Scene:
    """A short flared skirt over bare or clothed legs."""
    unit = scene.unit_px
    top = scene.at("left_hip")[1] - 0.25 * unit
    hem = scene.at("left_knee")[1] - 0.05 * unit
    left, right = scene.at("left_hip")[0] + 0.14 * unit, scene.at("right_hip")[0] - 0.14 * unit
    outline = [[right, top], [left, top], [left + 0.24 * unit, hem], [right - 0.24 * unit, hem]]
    return _with_cloth(scene, np.array(outline), (120, 40, 90))


def _eyes(scene: Scene) -> tuple[Joints, float]:
    return (scene.at("left_eye") + scene.at("right_eye")) / 2, scene.unit_px


def _hair_color(scene: Scene) -> tuple[int, int, int]:
    top = int(np.flatnonzero(scene.mask.any(1))[0])
    rows = scene.rgba[top + 4 : top + 20]
    red, green, blue = np.median(rows[rows[..., 3] > 200][:, :3], axis=0)
    return int(red), int(green), int(blue)


def _ellipse(center: object, axes: tuple[float, float]) -> Joints:
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return np.asarray(center, np.float64) + np.stack([np.cos(turn) * axes[0], np.sin(turn) * axes[1]], 1)


def _with_strand(
    scene: Scene, way: Joints, widths: tuple[float, ...], unit: float, color: tuple[int, int, int]
) -> Scene:
    """Draw a band along ``way`` (n, 2), whose half widths are given in ``unit``."""
    at = np.linspace(0, len(way) - 1, 30)
    points = np.stack([np.interp(at, np.arange(len(way)), way[:, k]) for k in range(2)], 1)
    half = np.interp(at, np.arange(len(way)), widths) * unit
    along = np.gradient(points, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.linalg.norm(along, axis=1, keepdims=True)
    outline = np.concatenate([points + across * half[:, None], (points - across * half[:, None])[::-1]])
    return _with_cloth(scene, outline, color)


def _with_cloth(scene: Scene, outline: Joints, color: tuple[int, int, int]) -> Scene:
    """Paint a polygon with folds over the person."""
    height, width = scene.rgba.shape[:2]
    cover = np.zeros((height, width), np.uint8)
    cv2.fillPoly(cover, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    low, high = outline[:, 0].min(), outline[:, 0].max()
    round_off = 1 - 0.35 * np.clip(np.abs((columns - (low + high) / 2) / max((high - low) / 2, 1)), 0, 1) ** 2
    folds = 1 + 0.06 * np.sin(columns / (0.035 * scene.unit_px) + 0.6 * np.sin(rows / (0.2 * scene.unit_px)))
    cloth = np.clip(np.array(color, np.float32) * (round_off * folds)[..., None], 0, 255)
    share = cover[..., None].astype(np.float32) / 255
    rgb = share * cloth + (1 - share) * scene.rgba[..., :3]
    alpha = np.maximum(scene.rgba[..., 3], cover)
    return replace(scene, rgba=np.dstack([rgb.astype(np.uint8), alpha]))
