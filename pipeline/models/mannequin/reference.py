"""Preprocess a reference picture: segment the person, detect the view, extend colors beyond the border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Mask
from pipeline.datatypes.survey import Person
from pipeline.joints import JOINT
from pipeline.models.mannequin.cut_body import end_of_picture, with_guesses_hung
from pipeline.models.mannequin.srgb import linear_from_srgb
from pipeline.shaped import Shaped, Shapes

View = Literal["front", "back", "left", "right"]

_LINES = 1100
"""Height to which the person is scaled: finer detail exceeds the surface's sampling."""
_BORDER = 0.004
"""Depth inside the mask to which colors are mixed with the background's, heights of the mask."""
_CLIPPED = 252
"""A byte value from which a channel may be clipped."""
_CLIPPED_REACH = 0.015
"""Standard deviation of what counts as around an overexposed place, standing heights."""
_BRIGHTEST = 1.6
"""Linear upper bound of the extrapolation."""
_LEAST_TORSO_PX = 12
"""A smaller torso provides only colors."""
_SHOULDERS_SHOWN = 0.3
"""Confidence from which a shoulder is in the picture: a head alone does not tell how tall the person is."""
_LOOSE_BORDER = 0.012
"""The same for a mask detected in a photograph: it is less accurate than a picture's own alpha."""
_SIDEWAYS = 0.42
"""Shoulders narrower than this fraction of the torso's length are seen from the side."""
_FACES_CAMERA = 0.07
"""Eyes as far apart, in lengths of the torso, belong to a face that looks into the camera over a shoulder: in profiles
of three rendered people they are at most 0.015 apart, from the front 0.12 to 0.13."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReferenceView(Shaped):
    """One reference picture, cropped to its person."""

    SHAPES: ClassVar[Shapes] = {"colors": ("h", "w", 3), "mask": ("h", "w"), "joints": (21, 3), "skeleton": (23, 3)}

    view: View
    colors: NDArray[np.float32]
    """(h, w, 3) linear; outside the person the nearest color inside."""
    mask: Mask
    """(h, w) the person."""
    joints: Float64Array
    """(21, 3) x, y px and confidence."""
    skeleton: Float64Array
    """(23, 3) x, y, z px."""
    height_px: float
    """Standing height: of the mask where it shows the whole person, else from the torso."""
    is_whole: bool
    """Head and feet are inside the picture."""
    cut_row: float = float("inf")
    """Row at which the picture's lower border cuts the person off; infinity where it does not."""


def make_view(picture: NDArray[np.uint8], person: Person) -> ReferenceView | None:
    """Crop and scale a picture (H, W, 3 or 4) to its person, and determine from which side it was taken.

    None where shoulders and hips are unknown or not shown or the person is tiny: nothing can be fitted then.
    """
    mask = person.mask
    shoulders = person.joints[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 2]
    if not mask.any() or not (shoulders >= _SHOULDERS_SHOWN).any():
        return None
    if not _torso_px(person.skeleton.astype(np.float64)) > _LEAST_TORSO_PX:
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    scale = min(1.0, _LINES / (y1 - y0))
    size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    exact = np.array([size[0] / (x1 - x0), size[1] / (y1 - y0)])
    cut = np.ascontiguousarray(picture[y0:y1, x0:x1, :3])
    small = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask[y0:y1, x0:x1].astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
    margin = 8
    small = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    inside = cv2.copyMakeBorder(inside.astype(np.uint8), margin, margin, margin, margin, cv2.BORDER_CONSTANT) > 0

    def moved(points: NDArray[np.float32]) -> Float64Array:
        out = points.astype(np.float64)
        out[:, :2] = (out[:, :2] + 0.5 - [x0, y0]) * exact - 0.5 + margin
        return out

    joints = moved(person.joints)
    skeleton = moved(person.skeleton)
    skeleton[:, 2] *= exact.mean()
    is_whole = _is_whole(joints, inside, mask, person)
    cut_row = end_of_picture(np.asarray(inside), picture_ends=y1 >= len(mask) - 1 and not is_whole)
    if np.isfinite(cut_row):
        skeleton = with_guesses_hung(skeleton, joints, cut_row)
    height = float(size[1]) if is_whole else _height_of_skeleton(skeleton)
    border = _BORDER if picture.shape[2] == 4 else _LOOSE_BORDER
    return ReferenceView(
        view_of(skeleton),
        # A mask's error grows with the part of the person that the picture shows, not with all of them.
        extended(with_hue_restored(small, inside, _CLIPPED_REACH * height), inside, border * size[1]),
        np.asarray(inside),
        joints,
        skeleton,
        height,
        is_whole,
        cut_row,
    )


def with_hue_restored(picture: NDArray[np.uint8], inside: Mask, reach_px: float) -> NDArray[np.float32]:
    """Return linear colors (h, w, 3) of sRGB bytes, with the hue of overexposed areas taken from their surroundings.

    Skin in a studio is often clipped in the red channel, and would turn yellow and green when darkened. A clipped
    channel is replaced by the largest unclipped one times their ratio nearby.
    """
    colors = linear_from_srgb(picture.astype(np.float32) / np.float32(255))
    clipped = picture >= _CLIPPED
    some = inside & clipped.any(2) & ~clipped.all(2)
    if not some.any():
        return colors
    known = (inside & ~clipped.any(2)).astype(np.float32)[..., None]
    nearby = cv2.GaussianBlur(colors * known, (0, 0), reach_px)
    largest = np.where(clipped, -1, colors).argmax(2)[..., None]
    own, usual = (np.take_along_axis(values, largest, 2) for values in (colors, nearby))
    guess = own * nearby / np.maximum(usual, 1e-6)
    higher = np.clip(guess, colors, _BRIGHTEST)
    return np.where(some[..., None] & clipped & (usual > 1e-4), higher, colors).astype(np.float32)


def view_of(skeleton: Float64Array) -> View:
    """Determine from (21 or 23, 3) joints which side of the person the camera saw."""
    shoulders = float(skeleton[JOINT["left_shoulder"], 0] - skeleton[JOINT["right_shoulder"], 0])
    hips = float(skeleton[JOINT["left_hip"], 0] - skeleton[JOINT["right_hip"], 0])
    down = (
        skeleton[[JOINT["left_hip"], JOINT["right_hip"]], 1].mean()
        - skeleton[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 1].mean()
    )
    torso = max(abs(float(down)), 1e-6)
    if abs(shoulders + 0.5 * hips) > _SIDEWAYS * torso:
        return "front" if shoulders > 0 else "back"
    eyes = float(skeleton[JOINT["left_eye"], 0] - skeleton[JOINT["right_eye"], 0])
    if shoulders + hips > 0 and eyes > _FACES_CAMERA * torso:
        return "front"
    ears = skeleton[[JOINT["left_ear"], JOINT["right_ear"]], 0].mean()
    # Facing the picture's left shows the left side.
    return "left" if skeleton[JOINT["nose"], 0] < ears else "right"


def _is_whole(joints: Float64Array, inside: Mask, mask: Mask, person: Person) -> bool:
    """Head and feet are in the picture: joints known, and the mask ends before the picture does."""
    feet = [JOINT[f"{side}_ankle"] for side in ("left", "right")]
    ends = mask[-1].mean() < 0.02
    known = np.isfinite(joints[feet, :2]).all() and bool((joints[feet, 2] > 0.3).all())
    return bool(known and ends and (joints[feet, 1] < inside.shape[0]).all())


def _height_of_skeleton(skeleton: Float64Array) -> float:
    """Standing height from torso and head: 3.55 times from shoulders to hips, as the figure's own."""
    return 3.55 * _torso_px(skeleton)


def _torso_px(skeleton: Float64Array) -> float:
    """From the shoulders' middle to the hips', px; NaN where one is unknown."""
    shoulders = skeleton[[JOINT["left_shoulder"], JOINT["right_shoulder"]]].mean(0)
    hips = skeleton[[JOINT["left_hip"], JOINT["right_hip"]]].mean(0)
    return float(np.hypot(*(shoulders - hips)[:2]))


def extended(colors: NDArray[np.float32], inside: Mask, border_px: float) -> NDArray[np.float32]:
    """Extend the colors of the mask's inner part outward by nearest neighbor, so that no background gets onto the
    figure."""
    radius = max(1, round(border_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    core = cv2.erode(inside.astype(np.uint8), kernel)
    if not core.any():
        core = inside.astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(1 - core, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    place = np.zeros((int(labels.max()) + 1, 2), np.int64)
    rows, columns = np.nonzero(core)
    place[labels[rows, columns]] = np.stack([rows, columns], 1)
    source = place[labels]
    return np.ascontiguousarray(colors[source[..., 0], source[..., 1]])
