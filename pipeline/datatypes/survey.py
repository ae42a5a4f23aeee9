"""What SURVEY finds in a clip: people, the camera's motion, burnt-in graphics."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Transforms
from pipeline.datatypes.blurred_copy import BlurredCopy, copy_of_row
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.panels import Panels
from pipeline.joints import LIMBS, NUM_JOINTS, NUM_SKELETON
from pipeline.shaped import Shaped, Shapes

BODY_PARTS, COLOR_BINS = 3, 70
"""Head, torso, legs; bins of each one's color histogram."""
OFF_MASK_CONFIDENCE = 0.15
"""Most that a joint off the mask is trusted. A landmark model is as sure of a leg that it guesses behind a hedge as of
one that it sees (walk_d: 0.9 and more), but a visible joint lies inside the limb (within 0.3 % of body height in 95 %
of cases on two rendered walks)."""
LIMB_PLACES = (0.15, 0.29, 0.43, 0.57, 0.71, 0.85)
"""Along a limb's bone, from its beginning, where its sides are looked for."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Person(Shaped):
    """One person in one frame, as a people backend reports; source space."""

    SHAPES: ClassVar[Shapes] = {
        "box_xyxy": (4,),
        "joints": (NUM_JOINTS, 3),
        "skeleton": (NUM_SKELETON, 3),
        "mask": ("H", "W"),
    }

    box_xyxy: NDArray[np.float64]
    """(4,) px."""
    score: float
    """0..1."""
    joints: NDArray[np.float32]
    """(21, 3) x, y px and confidence 0..1; x, y NaN where unknown. Rows are ``JOINT_NAMES``."""
    skeleton: NDArray[np.float32]
    """(23, 3) x, y, z px, orthographic, z 0 at the hips and smaller nearer; NaN unknown. Rows: ``SKELETON_NAMES``."""
    mask: Mask
    """(H, W) of the source picture."""
    earlier: tuple[Person, ...] = ()
    """The same person in the frames just before the first detection, nearest first, where a look back saw them
    there."""
    earlier_from: int = 0
    """How many frames ago the first of them is."""
    follow_id: int = -1
    """Equal in all frames in which the backend follows the same person; -1 where it does not follow people."""
    visible: float = 1.0
    """0..1: visible fraction of the person (not hidden by other people), as far as the backend can tell."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Track(Shaped):
    """One person followed through a shot (a tracklet), before linking; source space."""

    SHAPES: ClassVar[Shapes] = {
        "frames": ("N",), "boxes_xyxy": ("N", 4), "scores": ("N",), "joints": ("N", NUM_JOINTS, 3),
        "skeletons": ("N", NUM_SKELETON, 3), "color_histograms": ("N", BODY_PARTS, COLOR_BINS), "visible": ("N",),
        "mask_px": ("N",), "limb_edges": ("N", len(LIMBS.rows), len(LIMB_PLACES), 2),
        "lit_histograms": ("N", BODY_PARTS, COLOR_BINS),
    }  # fmt: skip

    track_id: int
    frames: NDArray[np.int64]
    """(N,) rising frame numbers."""
    boxes_xyxy: NDArray[np.float64]
    """(N, 4)."""
    scores: NDArray[np.float32]
    """(N,)."""
    joints: NDArray[np.float32]
    """(N, 21, 3)."""
    skeletons: NDArray[np.float32]
    """(N, 23, 3)."""
    color_histograms: NDArray[np.uint8]
    """(N, 3, 70) colors of head, torso and legs: square roots of a histogram's weights times 255, 0 where unseen."""
    visible: NDArray[np.float32]
    """(N,) ``Person.visible``."""
    mask_px: NDArray[np.int64]
    """(N,) how many pixels the person's mask has."""
    limb_edges: NDArray[np.float32] | None = None
    """(N, limbs, places, 2) px: how far the mask's outline is from each bone, on both sides (``survey.limb_edges``);
    None where no masks were looked at."""
    lit_histograms: NDArray[np.uint8] | None = None
    """(N, 3, 70) ``color_histograms`` in the light of the shot's first frame, 0 where a veil hid them
    (``survey.changed_light``); None where the light did not change."""

    @property
    def colors(self) -> NDArray[np.uint8]:
        """(N, 3, 70) the histograms to compare within a shot."""
        return self.color_histograms if self.lit_histograms is None else self.lit_histograms


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CameraMotion(Shaped):
    """The measured motion of the camera."""

    SHAPES: ClassVar[Shapes] = {"world_from_source": ("T", 3, 3), "reliable": ("T",)}

    world_from_source: Transforms
    """(T, 3, 3)."""
    reliable: NDArray[np.bool_]
    """(T,) False where too few points agreed and the last motion was held."""
    pairs: tuple[NDArray[np.float32], ...]
    """T arrays (N, 4): background points x, y in frame t-1 and x, y in frame t, source px; empty at cuts.
    Includes points on the ground around the feet of people."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Overlays(Shaped):
    """Burnt-in graphics of a clip (captions, icons, logos): a mask at a reduced size for each, and when it is shown;
    and the borders around the picture."""

    SHAPES: ClassVar[Shapes] = {
        "spans": ("K", 2), "boxes_xyxy": ("K", 4), "packed": ("N",), "offsets": ("M",), "borders": ("B", 6),
        "copies": ("B", 6), "is_behind": ("K",),
    }  # fmt: skip

    size_wh: tuple[int, int]
    """Of the source picture."""
    small_wh: tuple[int, int]
    """Of the masks."""
    spans: NDArray[np.int64]
    """(K, 2) first and last frame of each graphic, both included."""
    boxes_xyxy: NDArray[np.int64]
    """(K, 4) half-open, px of the masks' size."""
    packed: NDArray[np.uint8]
    """(N,) bits of all masks, each packed by zlib."""
    offsets: NDArray[np.int64]
    """(K + 1,) start of each mask in ``packed``, and the end of the last."""
    borders: NDArray[np.int64]
    """(B, 6) first and last frame with bars or blurred copies around the picture, and the box x0, y0, x1, y1 inside of
    them, source px."""
    copies: NDArray[np.float64] | None = None
    """(B, 6) of the blurred copies around the picture, ``datatypes.blurred_copy.copy_table``, NaN for bars; None where
    they were not looked for."""
    panels: Panels | None = None
    """Translucent panels; None where there are none. They are no part of any mask: what is beneath them is seen."""
    is_behind: NDArray[np.bool_] | None = None
    """(K,) graphics that people walk in front of; None where this was not looked for."""

    def inside(self, frame: int) -> tuple[int, int, int, int] | None:
        """Return the box inside of a frame's borders, None where there are none."""
        for first, last, x0, y0, x1, y1 in self.borders.tolist():
            if first <= frame <= last:
                return x0, y0, x1, y1
        return None

    def copy_around(self, frame: int) -> tuple[tuple[int, int, int, int], BlurredCopy] | None:
        """Return the box of a frame's picture and the blurred copy of it around, None where there is none."""
        for number, (first, last, *box) in enumerate(self.borders.tolist()):
            copy = None if self.copies is None else copy_of_row(self.copies[number])
            if first <= frame <= last and copy is not None:
                x0, y0, x1, y1 = box
                return (x0, y0, x1, y1), copy
        return None

    @property
    def behind(self) -> list[int]:
        """Rows of the graphics that people walk in front of."""
        return [] if self.is_behind is None else np.flatnonzero(self.is_behind).tolist()

    def mask(self, frame: int) -> Mask | None:
        """Return (H, W) where graphics and borders lie in a frame, None where there are none."""
        return self._with_borders(frame, self._graphics(self._shown(frame)))

    def front_mask(self, frame: int) -> Mask | None:
        """Return the same, of what is in front of everything."""
        behind = self.behind
        return self._with_borders(frame, self._graphics([row for row in self._shown(frame) if row not in behind]))

    def graphic(self, row: int) -> tuple[tuple[int, int, int, int], Mask]:
        """Return the box of a graphic, source px, and its mask in there."""
        mask = self._drawn([row])
        x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
        return (x, y, x + width, y + height), mask[y : y + height, x : x + width]

    def _with_borders(self, frame: int, graphics: Mask | None) -> Mask | None:
        inside = self.inside(frame)
        if inside is None:
            return graphics
        x0, y0, x1, y1 = inside
        mask = np.ones(self.size_wh[::-1], np.bool_)
        mask[y0:y1, x0:x1] = False if graphics is None else graphics[y0:y1, x0:x1]
        return mask

    def _shown(self, frame: int) -> list[int]:
        rows: list[int] = np.flatnonzero((self.spans[:, 0] <= frame) & (frame <= self.spans[:, 1])).tolist()
        return rows

    def _graphics(self, rows: Sequence[int]) -> Mask | None:
        return self._drawn(rows) if rows else None

    def _drawn(self, rows: Sequence[int]) -> Mask:
        small = np.zeros(self.small_wh[::-1], np.uint8)
        for number in rows:
            x0, y0, x1, y1 = self.boxes_xyxy[number].tolist()
            begin, end = self.offsets[number : number + 2].tolist()
            bits = np.frombuffer(zlib.decompress(self.packed[begin:end].tobytes()), np.uint8)
            count = (y1 - y0) * (x1 - x0)
            small[y0:y1, x0:x1] |= np.unpackbits(bits, count=count).reshape(y1 - y0, x1 - x0)
        return cv2.resize(small, self.size_wh, interpolation=cv2.INTER_NEAREST).view(np.bool_)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Survey(Shaped):
    """The results of SURVEY, one read of the clip."""

    info: VideoInfo
    shot_starts: NDArray[np.int64]
    """(S,) first frame of each shot; the first is 0. Jump cuts are found later."""
    unexplained_change: NDArray[np.float32]
    """(T,) gray levels of residual between a frame's worst parts and the previous frame, warped by optical flow."""
    motion: CameraMotion
    tracks: tuple[Track, ...]
    overlays: Overlays | None = None
    """None where overlay detection did not run."""
    blend_weights: NDArray[np.float32] | None = None
    """(T,) in cross-fades the weight of the later picture, else NaN; None where there are none."""
    split_screens: NDArray[np.int64] | None = None
    """(S, 6) first and last frame of each shot that shows two videos at once, and the box x0, y0, x1, y1 of the one
    whose camera and people were measured, source px: the whole picture where the other one is a small one in front of
    it. None where they were not looked for."""
    light_steps: NDArray[np.float32] | None = None
    """(T, 3) logarithm of the scene's light in each frame (``survey.light_steps``), which changes where all of it does
    from one frame to the next; None where it never does."""
    pushes: NDArray[np.int64] | None = None
    """(N, 2) first frame, and the one after the last, of each transition in which a shot pushes the one before it out
    of the picture; None where they were not looked for."""
