"""Reference pictures of many kinds, made from characters with exact outline and joints."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.reference_scene import Scene, offset
from benchmarks.reference_worn import cap, coat, handbag, hat, loose_hair, ponytail, shoulder_bag, skirt

_CANVAS = 1.35
"""Size of a photograph over that of the character's picture."""
_ORIENTATION = 0x0112
"""EXIF tag."""


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
    return replace(scene, rgba=wide, joints=scene.joints + offset(left, top))


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
