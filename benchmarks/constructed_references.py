"""Reference pictures of many kinds, made from characters with exact outline and joints."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Joints = NDArray[np.float64]
_COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
_AT = {name: row for row, name in enumerate(_COCO)}
_CANVAS = 1.35
"""Size of a photograph over that of the character's picture."""
_ORIENTATION = 0x0112
"""EXIF tag."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture of a character while it is made."""

    rgba: NDArray[np.uint8]
    """(H, W, 4) straight alpha."""
    joints: Joints
    """(17, 2) x, y px, COCO's order."""
    background: NDArray[np.uint8]
    """(h, w, 3) of any size."""
    truth: NDArray[np.bool_] | None = None
    """(H, W) the person in the finished picture; None: the character's alpha."""
    expects: str = "fit"
    """``fit``, ``error``, or ``colors`` where only the colors can be adopted."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        return self.rgba[..., 3] > 127 if self.truth is None else self.truth

    def at(self, name: str) -> Joints:
        return self.joints[_AT[name]]

    @property
    def unit_px(self) -> float:
        """From the shoulders to the hips."""
        return float(self._middle("hip")[1] - self._middle("shoulder")[1])

    def _middle(self, part: str) -> Joints:
        return (self.at(f"left_{part}") + self.at(f"right_{part}")) / 2


def _picture(scene: Scene) -> Image.Image:
    opaque = (scene.rgba[..., 3] == 255).all()
    return Image.fromarray(np.ascontiguousarray(scene.rgba[..., :3]) if opaque else scene.rgba)


def as_png(scene: Scene) -> bytes:
    return _encoded(_picture(scene), "PNG")


def as_jpeg(scene: Scene) -> bytes:
    """Strong compression."""
    return _encoded(_picture(scene).convert("RGB"), "JPEG", quality=12)


def as_gray(scene: Scene) -> bytes:
    return _encoded(_picture(scene).convert("L"), "JPEG", quality=90)


def as_rotated(scene: Scene) -> bytes:
    """Stored lying on its side, with the rotation in its EXIF data, as phones do."""
    picture = _picture(scene).convert("RGB").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    return _encoded(picture, "JPEG", quality=92, exif=exif)


def _encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


# Photographs ----------------------------------------------------------------------------------------------------------


def photo(scene: Scene) -> Scene:
    """On a busy background, lit from one side, with a shadow on the ground."""
    wide = _on_canvas(scene)
    light = np.linspace(0.62, 1.18, wide.mask.shape[1], dtype=np.float32)[None, :, None]
    return _over(wide, wide.rgba[..., :3] * light)


def sunlit(scene: Scene) -> Scene:
    """The same with the hard edge of a shadow across the person."""
    wide = _on_canvas(scene)
    height, width = wide.mask.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    edge = (columns - 0.5 * width) + 0.35 * (rows - 0.5 * height)
    light = 0.5 + 0.5 / (1 + np.exp(-edge / 4))
    return _over(wide, wide.rgba[..., :3] * light[..., None].astype(np.float32))


def half_body(scene: Scene) -> Scene:
    """A photograph cut off below the hips."""
    return _cut(photo(scene), 0.25)


def portrait(scene: Scene) -> Scene:
    """A photograph cut off at the waist."""
    return _cut(photo(scene), -0.25)


def two_people(scene: Scene) -> Scene:
    height, width = scene.rgba.shape[:2]
    wide = np.zeros((height, 2 * width, 4), np.uint8)
    wide[:, :width] = scene.rgba
    wide[:, width:] = scene.rgba[:, ::-1]
    return replace(photo(replace(scene, rgba=wide)), expects="error")


def nobody(scene: Scene) -> Scene:
    size = scene.rgba.shape[1], scene.rgba.shape[0]
    empty = cv2.resize(scene.background, size, interpolation=cv2.INTER_AREA)
    return replace(scene, rgba=_opaque(empty), truth=np.zeros(size[::-1], bool), expects="error")


def tiny(scene: Scene) -> Scene:
    return _resized(photo(scene), 160)


def huge(scene: Scene) -> Scene:
    return _resized(photo(scene), 4200)


def _on_canvas(scene: Scene) -> Scene:
    height, width = scene.rgba.shape[:2]
    size = round(_CANVAS * width), round(1.12 * height)
    left, top = (size[0] - width) // 2, round(0.06 * height)
    wide = np.zeros((size[1], size[0], 4), np.uint8)
    wide[top : top + height, left : left + width] = scene.rgba
    return replace(scene, rgba=wide, joints=scene.joints + _by(left, top))


def _over(scene: Scene, lit: NDArray[np.float32]) -> Scene:
    height, width = scene.mask.shape
    behind = _filled(scene.background, (width, height)).astype(np.float32)
    ankles = (scene.at("left_ankle") + scene.at("right_ankle")) / 2
    # A shadow falls back and to the right on the ground: sheared and flattened about the feet.
    shear = np.array([[1.0, -0.7, 0.7 * ankles[1]], [0.0, 0.22, 0.8 * ankles[1]]])
    alpha = scene.rgba[..., 3].astype(np.float32) / 255
    thrown = cv2.GaussianBlur(cv2.warpAffine(alpha, shear, (width, height)), (0, 0), 0.006 * height)
    behind *= 1 - 0.55 * thrown[..., None]
    mixed = alpha[..., None] * lit + (1 - alpha[..., None]) * behind
    return replace(scene, rgba=_opaque(np.clip(mixed, 0, 255).astype(np.uint8)), truth=alpha > 0.5)


def _filled(picture: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale and crop a picture so that it fills a size."""
    scale = max(size_wh[0] / picture.shape[1], size_wh[1] / picture.shape[0])
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    left = (large.shape[1] - size_wh[0]) // 2
    return np.ascontiguousarray(large[: size_wh[1], left : left + size_wh[0]])


def _opaque(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])


def _cut(scene: Scene, below_hips: float) -> Scene:
    """Cut a picture off by so many torso lengths below the hips."""
    row = round(float(scene.at("left_hip")[1] + below_hips * scene.unit_px))
    return replace(scene, rgba=scene.rgba[:row], truth=scene.mask[:row])


def _resized(scene: Scene, height_px: int) -> Scene:
    scale = height_px / scene.rgba.shape[0]
    size = round(scale * scene.rgba.shape[1]), height_px
    rgba = cv2.resize(scene.rgba, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    truth = cv2.resize(scene.mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
    return replace(scene, rgba=rgba, joints=(scene.joints + 0.5) * scale - 0.5, truth=truth)


# Clothes and things ---------------------------------------------------------------------------------------------------


def hat(scene: Scene) -> Scene:
    """A hat with a wide brim."""
    eyes, unit = _eyes(scene)
    top = float(np.flatnonzero(scene.mask.any(1))[0])
    brim = eyes + _by(0, -0.16 * unit)
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
    start = eyes + _by(0.16 * unit, 0.02 * unit)
    way = [
        start,
        start + _by(0.1 * unit, 0.12 * unit),
        start + _by(0.16 * unit, 0.4 * unit),
        start + _by(0.09 * unit, 0.72 * unit),
    ]
    return _with_strand(scene, np.array(way), (0.05, 0.075, 0.06, 0.02), unit, hair)


def loose_hair(scene: Scene) -> Scene:
    """Hair that falls on both shoulders."""
    eyes, unit = _eyes(scene)
    hair = _hair_color(scene)
    for side in (-1, 1):
        start = eyes + _by(side * 0.17 * unit, -0.16 * unit)
        way = [start, start + _by(side * 0.06 * unit, 0.25 * unit), start + _by(side * 0.05 * unit, 0.62 * unit)]
        scene = _with_strand(scene, np.array(way), (0.05, 0.09, 0.05), unit, hair)
    return scene


def handbag(scene: Scene) -> Scene:
    """A bag that hangs from a hand."""
    unit = scene.unit_px
    hand = scene.at("left_wrist") + 0.3 * (scene.at("left_wrist") - scene.at("left_elbow"))
    handle = np.array([hand + _by(-0.1 * unit, 0.3 * unit), hand, hand + _by(0.1 * unit, 0.3 * unit)])
    scene = _with_strand(scene, handle, (0.018, 0.018, 0.018), unit, (70, 40, 30))
    box = hand + np.array([[-0.22, 0.28], [0.22, 0.28], [0.26, 0.68], [-0.26, 0.68]]) * unit
    return _with_cloth(scene, box, (120, 60, 40))


def shoulder_bag(scene: Scene) -> Scene:
    """A bag at the hip, with a strap across the chest."""
    unit = scene.unit_px
    hip = scene.at("right_hip") + _by(-0.28 * unit, -0.02 * unit)
    strap = np.array([scene.at("left_shoulder") + _by(-0.14 * unit, -0.02 * unit), hip])
    scene = _with_strand(scene, strap, (0.03, 0.03), unit, (60, 60, 64))
    box = hip + np.array([[-0.22, -0.1], [0.24, -0.1], [0.24, 0.3], [-0.22, 0.3]]) * unit
    return _with_cloth(scene, box, (84, 92, 70))


def coat(scene: Scene) -> Scene:
    """An open-ended coat down to the knees, wider than the body."""
    unit = scene.unit_px
    below = scene.at("left_knee")[1] + 0.05 * unit
    left, right = (scene.at(f"{side}_knee")[0] for side in ("left", "right"))
    outline = [
        scene.at("right_shoulder") + _by(-0.05 * unit, -0.06 * unit),
        scene.at("left_shoulder") + _by(0.05 * unit, -0.06 * unit),
        scene.at("left_hip") + _by(0.18 * unit, 0.0),
        [left + 0.34 * unit, below],
        [right - 0.34 * unit, below],
        scene.at("right_hip") + _by(-0.18 * unit, 0.0),
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


def _by(x: float, y: float) -> Joints:
    return np.array([x, y])


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


Maker = Callable[[Scene], Scene]
KINDS: Mapping[str, tuple[tuple[Maker, ...], Callable[[Scene], bytes]]] = {
    "alpha": ((), as_png),
    "photo": ((photo,), as_png),
    "sunlit": ((sunlit,), as_png),
    "half_body": ((half_body,), as_png),
    "portrait": ((portrait,), as_png),
    "gray": ((photo,), as_gray),
    "jpeg": ((photo,), as_jpeg),
    "tiny": ((tiny,), as_png),
    "huge": ((huge,), as_jpeg),
    "rotated": ((photo,), as_rotated),
    "two_people": ((two_people,), as_png),
    "nobody": ((nobody,), as_png),
    "hat": ((hat,), as_png),
    "cap": ((cap,), as_png),
    "ponytail": ((ponytail,), as_png),
    "loose_hair": ((loose_hair,), as_png),
    "handbag": ((handbag,), as_png),
    "shoulder_bag": ((shoulder_bag,), as_png),
    "coat": ((coat,), as_png),
    "skirt": ((skirt,), as_png),
    "coat_photo": ((coat, photo), as_png),
    "hat_photo": ((hat, photo), as_png),
}
"""Name of a kind, what is done to the character in turn, and the form of its file."""
