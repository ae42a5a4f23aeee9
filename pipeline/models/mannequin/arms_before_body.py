"""Forearms and hands that are in front of or beside the trunk in a front or back view: hanging, in pockets, folded.

What they cover of the body is not seen there, and the body's outline is not theirs. Folded arms are seldom posed well
enough to be read: their surface is filled like one that no picture shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Mask
from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import BONE, Figure
from pipeline.models.mannequin.hair_region import skin_color
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.skin_tone import looks_like_skin

_FOREARM, _HAND = 0.034, 0.046
"""Radius around a forearm's and a hand's line within which the picture shows them; standing heights."""
_STEPS = 24
_FINGERS = 0.05
"""Distance from there to which fingers reach, standing heights."""
_FINGER_RIM = 0.008
"""Width of their shaded rim, likewise."""
_BODY_MARGIN = 0.02
"""How far beyond the joints the trunk and the thighs reach at least, standing heights."""
_BELOW_SHOULDERS = 0.06
"""Distance below the shoulders from which an arm can be in front of the trunk, standing heights."""
_FOLDED = (0.3, 0.8)
"""Fractions of a forearm's length between which it is looked at."""
_SIDES = (("left", ".L"), ("right", ".R"))
_SURE = 0.8
"""Confidence of elbow and wrist below which a portrait does not show them: the landmark model guesses them, and inside
of the picture (.1 to .7 in eight photographs, .9 and more where they are shown)."""


@dataclass(frozen=True, slots=True, eq=False)
class LowerArms:
    """Where a picture shows forearms and hands."""

    areas: tuple[Mask, Mask]
    """(h, w) around the left ones and around the right ones."""
    before_body: tuple[int, ...] = ()
    """Bones whose surface cannot be read: they are in front of the body."""
    guessed: tuple[int, ...] = ()
    """The same: a portrait does not show them."""

    @property
    def area(self) -> Mask:
        """(h, w) around all of them."""
        return self.areas[0] | self.areas[1]

    @property
    def unread(self) -> tuple[int, ...]:
        """All bones whose surface cannot be read."""
        return self.before_body + self.guessed

    @property
    def hides_forearms(self) -> bool:
        """Whether the surface of a whole forearm cannot be read."""
        return BONE["forearm1.L"] in self.unread or BONE["forearm1.R"] in self.unread

    @property
    def shows_none(self) -> bool:
        """Whether neither forearm is in the picture."""
        return BONE["forearm1.L"] in self.guessed and BONE["forearm1.R"] in self.guessed

    @property
    def cut_off(self) -> tuple[str, ...]:
        """Parts of the body that a portrait ends in: what it shows of those arms is little, and at a glance."""
        return tuple(f"arm{suffix}" for _, suffix in _SIDES if BONE[f"forearm1{suffix}"] in self.guessed)

    @property
    def are_folded(self) -> bool:
        """Whether a whole forearm is in front of the body."""
        return BONE["forearm1.L"] in self.before_body or BONE["forearm1.R"] in self.before_body

    def of_triangles(self, figure: Figure, triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return (F,) which triangles belong to bones that cannot be read."""
        return np.asarray(np.isin(figure.bone_index[triangles[:, 0], 0], self.unread))


def find_lower_arms(reference: ReferenceView) -> LowerArms:
    """Find forearms and hands by the joints of a front or back view; an unknown arm covers nothing."""
    areas = np.zeros((2, *reference.mask.shape), np.uint8)
    before: list[int] = []
    guessed: list[int] = []
    if reference.view not in ("front", "back"):
        return LowerArms((areas[0] > 0, areas[1] > 0))
    height = reference.height_px
    for area, (side, suffix) in zip(areas, _SIDES, strict=True):
        lower = [BONE[f"{bone}{suffix}"] for bone in ("forearm1", "forearm2", "hand")]
        rows = [JOINT[f"{side}_{part}"] for part in ("elbow", "wrist", "hand")]
        elbow, wrist, hand = reference.skeleton[rows, :2]
        if not np.isfinite([elbow, wrist, hand]).all():
            continue
        if np.isfinite(reference.cut_row) and not (reference.joints[rows[:2], 2] >= _SURE).all():
            guessed += lower
            continue
        # Fingers extend as far beyond the knuckles as these beyond the wrist.
        fingertips = 2 * hand - wrist
        forearm = np.linspace(elbow, wrist, _STEPS)
        palm = np.linspace(wrist, fingertips, _STEPS)
        for line, radius in ((forearm[_STEPS // 4 :], _FOREARM), (palm, _HAND)):
            for x, y in line:
                cv2.circle(area, (round(x), round(y)), max(1, round(radius * height)), 1, -1)
        first, last = (round(share * (_STEPS - 1)) for share in _FOLDED)
        if _before_body(reference, forearm[first : last + 1]).mean() > 0.5:
            before += lower
            area |= _fingers(reference, area)
        elif _before_body(reference, palm).mean() > 0.5:
            before.append(lower[-1])
    return LowerArms((areas[0] > 0, areas[1] > 0), tuple(before), tuple(guessed))


def _fingers(reference: ReferenceView, area: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w) skin that continues a folded arm's ``area``: fingers lie elsewhere than a hand's joints tell."""
    skin = skin_color(reference)
    if skin is None:
        return np.zeros_like(area)
    near = cv2.distanceTransform(1 - area, cv2.DIST_L2, 5) < _FINGERS * reference.height_px
    bare = looks_like_skin(reference.colors, skin) & reference.mask & near
    _, labels = cv2.connectedComponents(bare.astype(np.uint8), connectivity=8)
    touching = np.unique(labels[(area > 0) & bare])
    fingers = np.isin(labels, touching[touching > 0])
    rim = cv2.distanceTransform((~fingers).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(rim < _FINGER_RIM * reference.height_px, np.uint8)


def _before_body(reference: ReferenceView, points: Float64Array) -> NDArray[np.bool_]:
    """(n,) whether points (n, 2) lie between the lines from the shoulders over the hips to the knees.

    Legs that are not seen hang.
    """
    lines = []
    for side, _ in _SIDES:
        line = reference.skeleton[[JOINT[f"{side}_{part}"] for part in ("shoulder", "hip", "knee")], :2].copy()
        if not np.isfinite(line[2]).all():
            line[2] = line[1] + [0.0, float(np.hypot(*(line[1] - line[0])))]
        if not np.isfinite(line).all() or not (np.diff(line[:, 1]) > 0).all():
            return np.zeros(len(points), bool)
        lines.append(line)
    at = np.array([np.interp(points[:, 1], line[:, 1], line[:, 0]) for line in lines])
    margin = _BODY_MARGIN * reference.height_px
    between = (points[:, 0] > at.min(0) - margin) & (points[:, 0] < at.max(0) + margin)
    top = np.mean([line[0, 1] for line in lines]) + _BELOW_SHOULDERS * reference.height_px
    bottom = np.mean([line[2, 1] for line in lines])
    return np.asarray(between & (points[:, 1] > top) & (points[:, 1] < bottom))
