"""Sharpen background that was seen only while the camera moved.

The blur of such frames is known: the path of the camera gives its direction and its length, up to the time that the
shutter was open, and that is estimated where a sharp frame shows the same place. Several blurred views of one place are
a system of equations for the sharp one, solved by gradient steps from the merged picture (Landweber, "An iteration
formula for Fredholm integral equations of the first kind", 1951). Views of different lengths complement each other,
since each suppresses other frequencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.maths.boxes import box_of_mask
from pipeline.maths.masks import grow
from pipeline.shaped import Shaped, Shapes

_SHUTTERS = (0.1, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0)
"""Fractions of the time between two frames."""
_LEAST_MOTION_PX = 2.0
_MOST_VIEWS = 8
"""The least blurred ones: each costs two convolutions a step."""
_STEPS = 15
"""More change the result by less than 0.1 dB on a measured pan, and amplify noise."""
_RATE = 1.6
"""Below 2, where the iteration would diverge."""
_MOST_RESIDUAL = 20.0
"""Levels: a larger one is a moving object or misregistration."""
_LEAST_PX = 200
_LEAST_LENGTH_PX = 3.0
"""A shorter bar is hardly visible: nothing is sharpened where a view has one."""
_MOST_SHIFT_PX = 2.0
_LEAST_GAIN = 0.85
"""What must be left at most of the squared error, where it can be tried."""
_LEAST_ERROR = 1.0
"""Levels: noise and compression."""
_EXPLAINED = 0.85
"""The blur must reduce a view's difference to the sharp picture to at most this fraction."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BlurredView(Shaped):
    """A motion-blurred frame as seen from the anchor, in the anchor's light."""

    SHAPES: ClassVar[Shapes] = {"picture": ("h", "w", 3), "clear": ("h", "w"), "motion_px": (2,)}

    picture: Float32Array
    """(h, w, 3) levels."""
    clear: Mask
    """(h, w) where it shows the background."""
    motion_px: NDArray[np.float64]
    """(2,) motion of the picture from one frame to the next."""

    @property
    def speed_px(self) -> float:
        return float(np.hypot(*self.motion_px))


@dataclass(frozen=True, slots=True, eq=False)
class _Equation:
    """What one view tells of the sharp picture: ``kernel * picture = seen`` where ``clear``."""

    seen: Float32Array
    kernel: NDArray[np.float32]
    clear: Mask
    length_px: float
    error: float
    """Mean difference, levels, where the sharp picture is known."""


def sharpened(plate: Picture, region: Mask, known: Mask, views: Sequence[BlurredView]) -> Picture:
    """Return the plate (h, w, 3) with its blurred ``region`` (h, w) sharpened, all else unchanged.

    ``known`` (h, w) is where the anchor itself shows the background. The plate itself where no view's blur is explained
    by the motion of the camera.
    """
    start = plate.astype(np.float32)
    explained = []
    shutters = []
    for view in views:
        shutter = _shutter(start, known, view) if view.speed_px >= _LEAST_MOTION_PX else None
        if shutter is not None:
            explained.append(view)
            shutters.append(shutter)
    if not explained:
        return plate
    open_share = float(np.median(shutters))
    fitted = [_fitted(start, known, view, open_share) for view in explained]
    equations = sorted((each for each in fitted if each is not None), key=lambda each: each.length_px)
    for each in equations:
        if each.length_px < _LEAST_LENGTH_PX:
            region = region & ~each.clear
    if not equations or np.count_nonzero(region) < _LEAST_PX:
        return plate
    equations = equations[:_MOST_VIEWS]
    if not _helps(start, region, known, equations):
        return plate
    solved = _solved(start, region, equations)
    return np.where(region[..., None], np.rint(solved), plate).astype(np.uint8)


def _shutter(sharp: Float32Array, known: Mask, view: BlurredView) -> float | None:
    """Return the fraction of a frame's time for which the shutter was open; None where blur explains too little."""
    fits = [_fitted(sharp, known, view, share) for share in (0.0, *_SHUTTERS)]
    errors = [each.error for each in fits if each is not None]
    if len(errors) < len(fits):
        return None
    best = int(np.argmin(errors))
    if best == 0 or errors[best] > _EXPLAINED * errors[0]:
        return None
    return _SHUTTERS[best - 1]


def _fitted(sharp: Float32Array, known: Mask, view: BlurredView, open_share: float) -> _Equation | None:
    """Blur the sharp picture as the view is, and move the view onto it; None where too little of both is known.

    A blurred frame is registered less well than a sharp one, and deconvolution does not forgive a pixel: one
    Gauss-Newton step for the translation, against the blurred picture.
    """
    kernel = bar_kernel(open_share * view.motion_px)
    compared = view.clear & ~grow(~known, len(kernel) // 2 + 1)
    if np.count_nonzero(compared) < _LEAST_PX:
        return None
    blurred = cv2.filter2D(sharp, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    gray = blurred.mean(axis=2)
    slopes = np.stack([cv2.Sobel(gray, cv2.CV_32F, *axis)[compared] / 8 for axis in ((1, 0), (0, 1))], axis=1)
    lacking = np.clip((view.picture.mean(axis=2) - gray)[compared], -_MOST_RESIDUAL, _MOST_RESIDUAL)
    shift = np.linalg.solve(slopes.T @ slopes + np.eye(2), slopes.T @ lacking).clip(-_MOST_SHIFT_PX, _MOST_SHIFT_PX)
    # The view shows at x what the blurred picture has at x + shift.
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
    size_wh = compared.shape[1], compared.shape[0]
    seen = cv2.warpAffine(view.picture, move, size_wh, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    clear = cv2.warpAffine(view.clear.view(np.uint8), move, size_wh, flags=cv2.INTER_NEAREST) > 0
    error = float(np.abs(blurred - seen)[compared].mean())
    length_px = open_share * view.speed_px
    return _Equation(np.asarray(seen, np.float32), kernel, ~grow(~clear, 1), length_px, max(error, _LEAST_ERROR))


def _helps(start: Float32Array, region: Mask, known: Mask, equations: Sequence[_Equation]) -> bool:
    """Try it beside the region, where the anchor shows what should come out, with as much hidden as in the region.

    Views that do not fit together give ringing instead of detail, and nothing in the region itself tells.
    """
    x0, _, x1, _ = box_of_mask(region)
    before = 0.0
    after = 0.0
    for shift_px in (x1 - x0 + 8, x0 - x1 - 8):
        beside = _shifted(region, shift_px) & known
        shown = [replace(each, clear=each.clear & _shifted(each.clear, shift_px)) for each in equations]
        blurred = start.copy()
        left = beside.copy()
        for each in shown:
            use = left & each.clear
            blurred[use] = each.seen[use]
            left &= ~use
        beside &= ~left
        if np.count_nonzero(beside) >= _LEAST_PX:
            result = _solved(blurred, beside, shown)
            before += float(np.square(blurred - start)[beside].sum())
            after += float(np.square(result - start)[beside].sum())
    return after < _LEAST_GAIN * before


def _shifted(mask: Mask, shift_px: int) -> Mask:
    move = np.array([[1, 0, shift_px], [0, 1, 0]], np.float64)
    return np.asarray(
        cv2.warpAffine(mask.view(np.uint8), move, mask.shape[::-1], flags=cv2.INTER_NEAREST) > 0, np.bool_
    )


def _solved(start: Float32Array, region: Mask, equations: Sequence[_Equation]) -> Float32Array:
    """Return the picture that fits the equations in the region, those with a smaller error the more."""
    least = min(each.error for each in equations)
    shares = [(least / each.error) ** 2 for each in equations]
    weight = np.full(region.shape, 1e-3, np.float32)
    for each, share in zip(equations, shares, strict=True):
        # A bar is its own mirror image, so it is its own adjoint.
        cover = cv2.filter2D(each.clear.astype(np.float32), -1, each.kernel, borderType=cv2.BORDER_REPLICATE)
        weight += np.float32(share) * cover
    picture = start.copy()
    for _ in range(_STEPS):
        change = np.zeros_like(picture)
        for each, share in zip(equations, shares, strict=True):
            blurred = cv2.filter2D(picture, -1, each.kernel, borderType=cv2.BORDER_REPLICATE)
            residual = np.clip(each.seen - blurred, -_MOST_RESIDUAL, _MOST_RESIDUAL) * each.clear[..., None]
            spread = cv2.filter2D(residual, -1, each.kernel, borderType=cv2.BORDER_REPLICATE)
            change += np.float32(share) * spread
        step = _RATE * change / weight[..., None]
        picture = np.clip(np.where(region[..., None], picture + step, picture), 0, 255)
    return np.asarray(picture, np.float32)


def bar_kernel(length_xy: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the kernel (n, n) of a uniform motion of ``length_xy`` (2,) px; its sum is 1, and n is odd."""
    radius = int(np.ceil(float(np.abs(length_xy).max()) / 2)) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float64)
    count = 2 * int(np.ceil(2 * float(np.hypot(*length_xy)))) + 1
    for share in np.linspace(-0.5, 0.5, count):
        x = radius + share * length_xy[0]
        y = radius + share * length_xy[1]
        left = int(np.floor(x))
        top = int(np.floor(y))
        right_share = x - left
        lower_share = y - top
        kernel[top, left] += (1 - right_share) * (1 - lower_share)
        kernel[top, left + 1] += right_share * (1 - lower_share)
        kernel[top + 1, left] += (1 - right_share) * lower_share
        kernel[top + 1, left + 1] += right_share * lower_share
    return np.asarray(kernel / kernel.sum(), np.float32)
