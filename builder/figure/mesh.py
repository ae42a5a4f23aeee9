"""Operations on the figure's meshes: quads, sparse matrices that act on their vertices, baked light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.raster import rasterize

Ints = NDArray[np.int64]


def subdivide(quads: Ints, count: int) -> tuple[sparse.csr_matrix, Ints]:
    """Catmull and Clark's step as a matrix (new vertices from old) and the new quads; open rims become B-splines."""
    edges = np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), 1)
    unique, edge_of, uses = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    edge_of = edge_of.reshape(-1, 4)
    faces = len(quads)
    num_edges = len(unique)
    face_points = sparse.csr_matrix(
        (np.full(faces * 4, 0.25), (np.repeat(np.arange(faces), 4), quads.ravel())), (faces, count)
    )
    middle = sparse.csr_matrix(
        (np.full(num_edges * 2, 0.5), (np.repeat(np.arange(num_edges), 2), unique.ravel())), (num_edges, count)
    )
    edge_faces = sparse.csr_matrix(
        (np.ones(faces * 4), (edge_of.ravel(), np.repeat(np.arange(faces), 4))), (num_edges, faces)
    )
    inner = uses == 2
    edge_points = sparse.diags(np.where(inner, 0.5, 1.0)) @ middle + sparse.diags(np.where(inner, 0.25, 0.0)) @ (
        edge_faces @ face_points
    )
    vertex_faces = sparse.csr_matrix(
        (np.ones(faces * 4), (quads.ravel(), np.repeat(np.arange(faces), 4))), (count, faces)
    )
    vertex_edges = sparse.csr_matrix(
        (np.ones(num_edges * 2), (unique.ravel(), np.repeat(np.arange(num_edges), 2))), (count, num_edges)
    )
    valence = np.maximum(np.asarray(vertex_edges.sum(1)).ravel(), 1)
    rim_edges = vertex_edges @ sparse.diags((~inner).astype(float))
    rim = np.asarray(rim_edges.sum(1)).ravel() > 0
    mean_face = sparse.diags(1 / np.maximum(np.asarray(vertex_faces.sum(1)).ravel(), 1)) @ vertex_faces @ face_points
    mean_edge = sparse.diags(1 / valence) @ vertex_edges @ middle
    interior = sparse.diags(1 / valence) @ (
        mean_face + 2 * mean_edge + sparse.diags(valence - 3) @ sparse.identity(count)
    )
    border = 0.5 * sparse.identity(count) + 0.5 * (
        sparse.diags(1 / np.maximum(np.asarray(rim_edges.sum(1)).ravel(), 1)) @ rim_edges @ middle
    )
    vertex_points = sparse.diags((~rim).astype(float)) @ interior + sparse.diags(rim.astype(float)) @ border
    stencil = sparse.vstack([vertex_points, edge_points, face_points]).tocsr()
    edge_ids = count + edge_of
    face_ids = np.repeat(count + num_edges + np.arange(faces)[:, None], 4, 1)
    fine = np.stack([quads, edge_ids, face_ids, np.roll(edge_ids, 1, 1)], -1).reshape(-1, 4)
    return stencil, fine


def laplacian(quads: Ints, count: int) -> sparse.csr_matrix:
    """Mean of the neighbors; a rim's vertex follows its neighbors on the rim only, so that hems stay put."""
    edges = np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), 1)
    unique, uses = np.unique(edges, axis=0, return_counts=True)
    rim = np.zeros(count, bool)
    rim[unique[uses == 1]] = True
    keep = (uses == 1) | ~rim[unique].any(1)
    a, b = unique.T
    forward = keep | ~rim[a]
    backward = keep | ~rim[b]
    rows = np.concatenate([a[forward], b[backward]])
    columns = np.concatenate([b[forward], a[backward]])
    matrix = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), (count, count))
    total = np.asarray(matrix.sum(1)).ravel()
    return (sparse.diags(1 / np.maximum(total, 1)) @ matrix + sparse.diags((total == 0).astype(float))).tocsr()


def even_rims(places: Float64Array, quads: Ints, smooth: sparse.csr_matrix) -> Float64Array:
    """Bring each hem, cuff and collar into one plane (faces are cut along zigzags), and what is near it along."""
    edges = np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), 1)
    unique, uses = np.unique(edges, axis=0, return_counts=True)
    open_edges = unique[uses == 1]
    count = len(places)
    links = sparse.csr_matrix((np.ones(len(open_edges)), tuple(open_edges.T)), (count, count))
    _, loop = csgraph.connected_components(links, directed=False)
    out = places.copy()
    rim = np.unique(open_edges)
    for number in np.unique(loop[rim]):
        row = rim[loop[rim] == number]
        center = places[row].mean(0)
        normal = np.linalg.svd(places[row] - center)[2][2]
        out[row] -= ((places[row] - center) @ normal)[:, None] * normal
    inner = np.ones(count, bool)
    inner[rim] = False
    close = ~inner
    beside = _neighbors(quads, count)
    for _ in range(3):
        close = close | (beside @ close.astype(float) > 0)
    for _ in range(6):
        out = np.where((inner & close)[:, None], 0.4 * out + 0.6 * (smooth @ out), out)
    return out


def _neighbors(quads: Ints, count: int) -> sparse.csr_matrix:
    edges = np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2)
    both = np.concatenate([edges, np.flip(edges, 1)])
    return sparse.csr_matrix((np.ones(len(both)), tuple(both.T)), (count, count))


def normals_of(places: Float64Array, quads: Ints) -> Float64Array:
    """(V, 3) unit, outwards."""
    diagonal = np.cross(places[quads[:, 2]] - places[quads[:, 0]], places[quads[:, 3]] - places[quads[:, 1]])
    out = np.zeros_like(places)
    for corner in range(4):
        np.add.at(out, quads[:, corner], diagonal)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def copy_weights(weights: Float64Array, places: Float64Array, known: Ints, wanted: Ints) -> Float64Array:
    """Give ``wanted`` vertices the mean weights of their eight nearest ``known`` ones, near ones counting more."""
    distance, near = cKDTree(places[known]).query(places[wanted], k=8)
    share = 1 / (distance + 0.02) ** 2
    share /= share.sum(1, keepdims=True)
    out = weights.copy()
    out[wanted] = np.einsum("vk,vkb->vb", share, weights[known[near]])
    return out


def along(places: Float64Array, start: Float64Array, stop: Float64Array) -> Float64Array:
    """(V,) position along start (0) to stop (1), with the body's right side mirrored onto its left."""
    mirrored = places * np.sign(np.where(places[:, :1] == 0, 1, places[:, :1])) ** np.array([1, 0, 0])
    mirrored[:, 0] = np.abs(places[:, 0])
    axis = stop - start
    return (mirrored - start) @ axis / (axis @ axis)


def occlusion(places: Float64Array, triangles: Ints, views: int = 96, size: int = 420) -> Float64Array:
    """(V,) 0..1 share of a cosine-weighted sky that each vertex sees, by depth maps from evenly spread sides."""
    normals = np.zeros_like(places)
    a, b, c = (places[triangles[:, k]] for k in range(3))
    facing = np.cross(b - a, c - a)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], facing)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    k = np.arange(views) + 0.5
    up = 1 - 2 * k / views
    turn = np.pi * (1 + 5**0.5) * k
    ways = np.stack([np.sqrt(1 - up**2) * np.cos(turn), up, np.sqrt(1 - up**2) * np.sin(turn)], 1)
    seen = np.zeros(len(places))
    total = np.zeros(len(places))
    center = (places.min(0) + places.max(0)) / 2
    scale = size / 1.35
    for way in ways:
        side = np.cross(way, [0.3, 0.9, 0.316])
        side /= np.linalg.norm(side)
        axes = np.stack([side, np.cross(way, side), -way], 1)
        seen_at = (places + 0.004 * normals - center) @ axes * scale
        drawn = np.asarray(((places - center) @ axes * scale + [size / 2, size / 2, 0]), np.float32)
        depth, _ = rasterize(drawn, triangles.astype(np.int32), size, size)
        column = np.clip(np.rint(seen_at[:, 0] + size / 2).astype(int), 0, size - 1)
        row = np.clip(np.rint(seen_at[:, 1] + size / 2).astype(int), 0, size - 1)
        # The lower half of the sky is the ground: it gives back a third.
        weight = np.maximum(normals @ way, 0) * (1.0 if way[1] < 0 else 0.35)
        seen += weight * (seen_at[:, 2] < depth[row, column] + 2.0)
        total += weight
    return seen / np.maximum(total, 1e-9)
