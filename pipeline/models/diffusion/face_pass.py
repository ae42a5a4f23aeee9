"""Face refinement at a larger scale: in the crop of a whole figure a head is six to eight latent pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.window import Window
from pipeline.maths.head import face_is_seen, head_square
from pipeline.models.diffusion.conditioner import Conditioner
from pipeline.models.diffusion.denoise import DenoiseInputs, denoise
from pipeline.models.diffusion.latents import SPATIAL, decode, encode, mask_tensor, noise_of_frames
from pipeline.models.diffusion.steps import FACE_STRENGTH
from pipeline.models.diffusion.windows import FEWEST_FRAMES, mirrored_indices
from pipeline.runtime.callbacks import Check

_SIDE_HEADS = 2.2
"""Side of the regenerated square, head heights: neck and hair give the face its context."""
_OVAL_WH = (0.27, 0.36)
"""Half axes of the kept oval, as fractions of its side."""
_SOFT = 0.05
"""Standard deviation of the oval's edge, as a fraction of its side."""
_LEAST_HEAD_PX = 12
"""A smaller head has no recognizable face."""
_OTHER_NOISE = 104_729
"""Added to the seed: reusing the window's own noise at another scale would leave a pattern."""


def faces_painted_again(
    conditioner: Conditioner,
    side: int,
    window: Window,
    rows: Sequence[int],
    pictures: NDArray[np.uint8],
    seed: int,
    check: Check,
) -> NDArray[np.uint8]:
    """Return the pictures (N, h, w, 3) of some of the window's frames with their faces regenerated.

    A square around each head that faces the camera is enlarged to ``side`` px, noised by two fifths, denoised with the
    reference's face as prompt, and composited back inside a soft oval. All heads of a window go through the motion
    module together. No ControlNets are used: the existing picture keeps every feature in its place.
    """
    squares = _squares(window, rows)
    if not squares:
        return pictures
    parts = replace(conditioner.parts, vae=conditioner.parts.encoder)
    crops = np.stack([_enlarged(pictures[at], square, side) for at, square in squares.items()])
    order = mirrored_indices(len(crops), FEWEST_FRAMES)
    batch = conditioner.batch()
    begun = encode(parts, crops, batch, check)[order]
    oval = _oval(side)
    task = DenoiseInputs(
        start=begun,
        known_latents=begun,
        inpaint_mask=mask_tensor(parts, np.repeat((oval > 0.02)[None], len(crops), axis=0))[order],
        noise=noise_of_frames(
            parts, seed + _OTHER_NOISE, [window.start + place for place in range(len(order))], (side // SPATIAL,) * 2
        ),
        guides=(),
        steps=conditioner.settings.steps,
        strength=FACE_STRENGTH,
        guidance=1.0,
        batch=batch,
    )
    conditioner.look_at_face()
    try:
        latents = denoise(parts, conditioner.conditioning, task, check)
    finally:
        conditioner.look_at_figure()
    made = decode(parts, latents[: len(crops)], batch, check)
    result = pictures.copy()
    for face, (at, square) in zip(made, squares.items(), strict=True):
        result[at] = _laid_back(pictures[at], face, square, oval)
    return result


def _squares(window: Window, rows: Sequence[int]) -> dict[int, NDArray[np.float64]]:
    """Return index in ``rows`` -> (3,) center x, y and side, of the heads whose face is visible."""
    found = {}
    for at, row in enumerate(rows):
        joints = window.joints[row]
        square = head_square(joints, float(window.body_height_px[row]), _SIDE_HEADS)
        is_large = np.isfinite(square).all() and square[2] >= _LEAST_HEAD_PX * _SIDE_HEADS
        if is_large and face_is_seen(joints, window.skeletons[row]):
            found[at] = square
    return found


def _matrix(square: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """(2, 3): px of the crop to px of the enlarged square, both with pixel centers at integers."""
    x, y, length = square
    scale = side / length
    shift = (side - 1) / 2
    return np.array([[scale, 0, shift - scale * x], [0, scale, shift - scale * y]])


def _enlarged(picture: Picture, square: NDArray[np.float64], side: int) -> Picture:
    warped = cv2.warpAffine(
        picture, _matrix(square, side), (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def _oval(side: int) -> NDArray[np.float32]:
    """(side, side) 0..1, soft."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    middle = (side - 1) / 2
    inside = ((x - middle) / (_OVAL_WH[0] * side)) ** 2 + ((y - middle) / (_OVAL_WH[1] * side)) ** 2 <= 1
    return np.asarray(cv2.GaussianBlur(inside.astype(np.float32), (0, 0), _SOFT * side), np.float32)


def _laid_back(picture: Picture, face: Picture, square: NDArray[np.float64], oval: NDArray[np.float32]) -> Picture:
    height, width = picture.shape[:2]
    length = max(1, round(float(square[2])))
    # Downscaled first: the warp has no area filter of its own.
    small = cv2.resize(face, (length, length), interpolation=cv2.INTER_AREA)
    cover = cv2.resize(oval, (length, length), interpolation=cv2.INTER_AREA)
    crop_from_small = cv2.invertAffineTransform(_matrix(square, length))
    flags = cv2.INTER_LINEAR
    placed = cv2.warpAffine(small, crop_from_small, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    weight = cv2.warpAffine(cover, crop_from_small, (width, height), flags=flags)[..., None]
    return np.rint(placed * weight + picture * (1 - weight)).astype(np.uint8)
