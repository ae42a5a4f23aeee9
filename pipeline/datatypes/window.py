"""A generator's input and output: windows of frames, and layers of the new person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.light import SceneLight
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.shaped import Shaped, Shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layer(Shaped):
    """The new person in one frame, straight (not premultiplied) color; crop space."""

    SHAPES: ClassVar[Shapes] = {"picture": ("h", "w", 3), "alpha": ("h", "w"), "joints": (NUM_JOINTS, 3)}

    picture: Picture
    """(h, w, 3)."""
    alpha: NDArray[np.uint8] | None
    """(h, w) 0..255; None where the generator gives no matte."""
    joints: NDArray[np.float32] | None = None
    """(21, 3) x, y crop px and confidence of the new person, where the generator knows them."""
    matte_is_propagated: bool = False
    """Nobody was found in the generated picture: the alpha is the frame before's, moved."""
    is_pixelated: bool = False
    """The safety checker flagged it."""

    @classmethod
    def empty(cls, size_wh: tuple[int, int]) -> Layer:
        """Return the layer of a frame without the subject."""
        width, height = size_wh
        joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
        joints[:, 2] = 0
        return cls(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8), joints)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FigureGuide(Shaped):
    """The posed figure in the frames of a window: guidance for generators that paint; crop space."""

    SHAPES: ClassVar[Shapes] = {
        "depth": ("N", "h", "w"), "normals": ("N", "h", "w", 3), "surface": ("N", "h/8", "w/8", 3),
    }  # fmt: skip

    layers: tuple[Layer, ...]
    """N: the figure as the mannequin draws it, with its shadow on the ground."""
    depth: NDArray[np.float32]
    """(N, h, w) orthographic z, crop px, smaller nearer; NaN outside the figure."""
    normals: NDArray[np.float32]
    """(N, h, w, 3) unit, x right, y down, z away from the camera; 0 outside the figure."""
    surface: NDArray[np.float32] | None = None
    """(N, h/8, w/8, 3) the point of the figure that is visible at the middle of each 8 x 8 px: its place on the figure
    at rest, body heights; NaN outside the figure. A point of the body has the same place in every frame."""

    @property
    def silhouette(self) -> NDArray[np.bool_]:
        """(N, h, w): the figure's silhouette."""
        return np.isfinite(self.depth)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Window(Shaped):
    """A generator's input: N frames in crop space. Pictures that ``Needs`` does not ask for are None."""

    SHAPES: ClassVar[Shapes] = {
        "pts_seconds": ("N",), "joints": ("N", NUM_JOINTS, 3), "skeletons": ("N", NUM_SKELETON, 3),
        "planted": ("N", 2), "body_height_px": ("N",), "presence": ("N",), "distance_px": ("N",),
        "pictures": ("N", "h", "w", 3), "plates": ("N", "h", "w", 3), "masks": ("N", "h", "w"),
    }  # fmt: skip

    start: int
    """First frame's number."""
    size_wh: tuple[int, int]
    pts_seconds: NDArray[np.float64]
    """(N,)."""
    joints: NDArray[np.float32]
    """(N, 21, 3)."""
    skeletons: NDArray[np.float32]
    """(N, 23, 3) x, y, z crop px."""
    planted: NDArray[np.bool_]
    """(N, 2) left, right."""
    body_height_px: NDArray[np.float64]
    """(N,) crop px."""
    presence: NDArray[np.uint8]
    """(N,)."""
    distance_px: NDArray[np.float64] | None = None
    """(N,) of the camera from the subject, crop px at the subject; None where unknown."""
    pictures: NDArray[np.uint8] | None = None
    """(N, h, w, 3) the stabilized source."""
    plates: NDArray[np.uint8] | None = None
    """(N, h, w, 3) the clean background."""
    masks: NDArray[np.bool_] | None = None
    """(N, h, w) the subject."""
    controls: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    """name -> (N, h, w, 3)."""
    finished: tuple[Layer, ...] = ()
    """Layers already made for the window's first frames (at most ``Needs.conditioning_frames``)."""
    light: SceneLight | None = None
    """Of the window's frames; None where unknown."""
    figure: FigureGuide | None = None
    """The posed figure, for generators that are guided by it."""

    @property
    def num_frames(self) -> int:
        return len(self.pts_seconds)
