"""The figure's bodies: MakeHuman's ages, weights and muscles, mixed into the figure at rest.

Method: a linear shape basis about the average young adult (the macro targets of MakeHuman), every shape scaled to the
same standing height, so that a mixture stands on the ground.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import VARIANTS, Figure, load_figure
from pipeline.models.mannequin.proportions import standing_at_one
from pipeline.shaped import Shaped, Shapes

Shape = Literal["baby", "child", "old", "heavy", "slim", "muscular"]
SHAPES: tuple[Shape, ...] = ("baby", "child", "old", "heavy", "slim", "muscular")
STEP = 1e-4
"""Resolution of the stored differences, standing heights."""
BABY_YEARS, CHILD_YEARS, ADULT_YEARS, OLD_YEARS = 1.0, 10.0, 25.0, 90.0
"""Ages of MakeHuman's targets."""


@dataclass(frozen=True, slots=True)
class BodyType:
    """What a body is like, beside its sex."""

    age_years: float = ADULT_YEARS
    weight: float = 0.0
    """-1 (underweight) to 1 (obese); 0 is average."""
    muscle: float = 0.0
    """0 (average) to 1 (a bodybuilder's)."""

    def shares(self) -> dict[Shape, float]:
        """Return the weight of each shape, 0 to 1."""
        age = float(np.clip(self.age_years, BABY_YEARS, OLD_YEARS))
        ages: Mapping[Shape, tuple[float, ...]] = {
            "baby": (1.0, 0.0, 0.0, 0.0),
            "child": (0.0, 1.0, 0.0, 0.0),
            "old": (0.0, 0.0, 0.0, 1.0),
        }
        known = (BABY_YEARS, CHILD_YEARS, ADULT_YEARS, OLD_YEARS)
        out: dict[Shape, float] = {name: float(np.interp(age, known, at)) for name, at in ages.items()}
        out["heavy"] = float(np.clip(self.weight, 0, 1))
        out["slim"] = float(np.clip(-self.weight, 0, 1))
        out["muscular"] = float(np.clip(self.muscle, 0, 1))
        return out


AVERAGE = BodyType()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bodies(Shaped):
    """The average figure of a sex, and how it differs with age, weight and muscles."""

    SHAPES: ClassVar[Shapes] = {
        "vertices": ("shapes", "V", 3), "heads": ("shapes", "bones", 3), "landmarks": ("shapes", "landmarks", 3),
    }  # fmt: skip

    average: Figure
    vertices: NDArray[np.float32]
    """(shapes, V, 3) differences from the average, standing heights; in the order of ``SHAPES`` of this module."""
    heads: Float64Array
    """(shapes, bones, 3) likewise."""
    landmarks: Float64Array
    """(shapes, landmarks, 3) likewise."""

    def of(self, body: BodyType) -> Figure:
        """Return the figure with a body, standing height 1."""
        shares = np.array([body.shares()[name] for name in SHAPES])
        if not shares.any():
            return self.average
        average = self.average
        mixed = replace(
            average,
            vertices=(average.vertices + np.tensordot(shares, self.vertices, 1)).astype(np.float32),
            heads=average.heads + np.tensordot(shares, self.heads, 1),
            landmarks=average.landmarks + np.tensordot(shares, self.landmarks, 1),
        )
        return standing_at_one(mixed)


_SEXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"auto": ("female", "male"), "female": ("female",), "male": ("male",)}
)


def load_bodies(path: Path, variant: str) -> Bodies:
    """Read the bodies of one of ``VARIANTS`` from the file that ``builder.figure`` wrote."""
    rows = [VARIANTS.index(sex) - 1 for sex in _SEXES[variant]]
    with np.load(path) as data:
        vertices, heads, landmarks = (
            data[name][rows].mean(0) * STEP for name in ("shape_vertices", "shape_heads", "shape_landmarks")
        )
    return Bodies(load_figure(path, variant), vertices.astype(np.float32), heads, landmarks)
