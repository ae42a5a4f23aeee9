"""The light that falls on a person, and the shadow that they cast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.shaped import Shaped, Shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SceneLight(Shaped):
    """The light that falls on a person, over N frames. Linear: 1 makes a white surface the picture's white."""

    SHAPES: ClassVar[Shapes] = {
        "key_direction": ("N", 3), "key_rgb": ("N", 3), "ambient_rgb": ("N", 3), "veil_rgb": ("N", 3)
    }  # fmt: skip

    key_direction: NDArray[np.float32]
    """(N, 3) unit vectors towards the key light: x right, y down, z away from the camera."""
    key_rgb: NDArray[np.float32]
    """(N, 3) the light on a surface that faces the key light."""
    ambient_rgb: NDArray[np.float32]
    """(N, 3) the light of the sky on an unoccluded surface; the ground reflects two fifths of the light, tinted."""

    veil_rgb: NDArray[np.float32]
    """(N, 3) what haze, glare or a lifted black level adds to every surface."""

    def part(self, start: int, stop: int) -> SceneLight:
        """Return the frames [start, stop) of it."""
        frames = slice(start, stop)
        return SceneLight(
            self.key_direction[frames], self.key_rgb[frames], self.ambient_rgb[frames], self.veil_rgb[frames]
        )

    @classmethod
    def daylight(cls, num_frames: int) -> SceneLight:
        """Return soft daylight from above, in front and the picture's left: the default where the light is unknown."""
        key = np.array([-0.42, -0.74, -0.53], np.float32)

        def over_time(values: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.tile(values, (num_frames, 1)).astype(np.float32)

        return cls(
            over_time(key / np.linalg.norm(key)),
            over_time(np.array([1.06, 1.0, 0.92], np.float32) * np.float32(0.72)),
            over_time(np.array([0.90, 0.97, 1.08], np.float32) * np.float32(0.50)),
            over_time(np.zeros(3, np.float32)),
        )


@dataclass(frozen=True, slots=True)
class WallShape:
    """How a person's shadow falls on a wall in one frame: the silhouette, moved and scaled about the shoulders."""

    right: float
    down: float
    """Where the shadow's shoulders are, body heights from the person's."""
    scale: float
    bottom: float
    """Where the wall ends, body heights below the person's shoulders: beneath it the shadow is on the ground."""
    softness: float
    """Standard deviation of its edge, body heights."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WallShadows(Shaped):
    """The shadow that the subject throws on a wall, over T frames; see ``maths.wall_shadow``."""

    SHAPES: ClassVar[Shapes] = {"shape": ("T", 5), "darkness": ("T", 3)}

    shape: NDArray[np.float32]
    """(T, 5) the fields of ``WallShape``."""
    darkness: NDArray[np.float32]
    """(T, 3) fraction of the linear light that it removes, RGB; 0 where there is no shadow."""

    @classmethod
    def none(cls, num_frames: int) -> WallShadows:
        """Return no shadows at all."""
        return cls(np.zeros((num_frames, 5), np.float32), np.zeros((num_frames, 3), np.float32))

    def at(self, frame: int) -> WallShape | None:
        """Return the shadow's shape in a frame, None where no shadow falls on a wall."""
        if not self.darkness[frame].any():
            return None
        return WallShape(*(float(value) for value in self.shape[frame]))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CastShadows(Shaped):
    """The shadow that the subject throws on the ground, over T frames, and on a wall; see ``maths.cast_shadow``."""

    SHAPES: ClassVar[Shapes] = {"shear": ("T", 2), "darkness": ("T", 3), "softness_bh": ("T",), "is_mirrored": ("T",)}

    shear: NDArray[np.float32]
    """(T, 2) px to the right and up by which the shadow moves per px of height."""
    darkness: NDArray[np.float32]
    """(T, 3) fraction of the linear light that it removes, RGB; 0 where there is no shadow."""
    softness_bh: NDArray[np.float32]
    """(T,) standard deviation of its edge before the shear, body heights."""
    wall: WallShadows | None = None
    """None where no shadow falls on a wall."""
    is_mirrored: NDArray[np.bool_] | None = None
    """(T,) whether the floor mirrors the subject; None for nowhere."""

    @classmethod
    def none(cls, num_frames: int) -> CastShadows:
        """Return no shadows at all."""
        zeros = np.zeros((num_frames, 3), np.float32)
        return cls(zeros[:, :2], zeros, zeros[:, 0])

    @classmethod
    def joined(cls, parts: Sequence[CastShadows]) -> CastShadows:
        """Return the shadows of successive shots as those of the clip."""
        wall = None
        if any(part.wall is not None for part in parts):
            walls = [part.wall or WallShadows.none(len(part.darkness)) for part in parts]
            wall = WallShadows(
                np.concatenate([each.shape for each in walls]), np.concatenate([each.darkness for each in walls])
            )
        return cls(
            np.concatenate([part.shear for part in parts]),
            np.concatenate([part.darkness for part in parts]),
            np.concatenate([part.softness_bh for part in parts]),
            wall,
            np.concatenate([part._mirrored() for part in parts]),
        )

    def or_else(self, other: CastShadows) -> CastShadows:
        """Return in each frame these shadows, or those of somebody else where there are none."""
        is_dark = np.asarray(self.darkness.any(axis=1))
        wall = self.wall or other.wall
        if self.wall is not None and other.wall is not None:
            on_wall = np.asarray(self.wall.darkness.any(axis=1))
            wall = WallShadows(
                np.where(on_wall[:, None], self.wall.shape, other.wall.shape),
                np.where(on_wall[:, None], self.wall.darkness, other.wall.darkness),
            )
        return CastShadows(
            np.where(is_dark[:, None], self.shear, other.shear),
            np.where(is_dark[:, None], self.darkness, other.darkness),
            np.where(is_dark, self.softness_bh, other.softness_bh),
            wall,
            self._mirrored() | other._mirrored(),
        )

    def _mirrored(self) -> NDArray[np.bool_]:
        return np.zeros(len(self.darkness), np.bool_) if self.is_mirrored is None else self.is_mirrored

    def shear_at(self, frame: int) -> tuple[float, float] | None:
        """Return the shear in a frame, None where no shadow falls on the ground."""
        if not self.darkness[frame].any():
            return None
        return float(self.shear[frame, 0]), float(self.shear[frame, 1])

    def wall_at(self, frame: int) -> WallShape | None:
        """Return the shape of the shadow on a wall in a frame, None where there is none."""
        return None if self.wall is None else self.wall.at(frame)

    def mirrored_at(self, frame: int) -> bool:
        """Return whether the floor mirrors the subject in a frame."""
        return self.is_mirrored is not None and bool(self.is_mirrored[frame])
