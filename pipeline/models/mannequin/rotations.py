"""Rotations as (3, 3) matrices."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.arrays import Float64Array
from pipeline.maths.smoothing import smoothstep


def normalized(vector: Float64Array, fallback: Float64Array | None = None) -> Float64Array:
    """The normalized vector; ``fallback`` for a zero vector."""
    length = float(np.sqrt(vector @ vector))
    if length < 1e-9:
        return np.array([0.0, 1.0, 0.0]) if fallback is None else fallback
    return vector / length


def cross(a: Float64Array, b: Float64Array) -> Float64Array:
    """Cross product of two vectors; ``np.cross`` is ten times slower for one pair."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def rotation_about(axis: Float64Array, angle: float) -> Float64Array:
    """(3, 3) rotation about a unit axis (Rodrigues)."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def rotation_between(a: Float64Array, b: Float64Array) -> Float64Array:
    """(3, 3) the smallest rotation that maps unit vector a to unit vector b."""
    axis = cross(a, b)
    sine, cosine = float(np.sqrt(axis @ axis)), float(a @ b)
    if sine < 1e-9:
        return np.eye(3) if cosine > 0 else rotation_about(normalized(cross(a, np.array([0.31, 0.17, 0.93]))), np.pi)
    return rotation_about(axis / sine, float(np.arctan2(sine, cosine)))


def basis_from(down: Float64Array, left: Float64Array) -> Float64Array:
    """(3, 3) rotation whose y column is ``down`` and whose x column is as near ``left`` as it can be."""
    y = normalized(down)
    x = normalized(left - (left @ y) * y, normalized(cross(y, np.array([0.0, 0.0, 1.0])), np.array([1.0, 0.0, 0.0])))
    return np.stack([x, y, cross(x, y)], 1)


def log_rotation(rotation: Float64Array) -> Float64Array:
    """(3,) rotation vector, radians."""
    cosine = float(np.clip((np.trace(rotation) - 1) / 2, -1, 1))
    angle = float(np.arccos(cosine))
    spin = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    return spin / 2 if angle < 1e-6 else spin * angle / max(2 * np.sin(angle), 1e-6)


def exp_rotation(vector: Float64Array) -> Float64Array:
    """(3, 3) of a rotation vector."""
    angle = float(np.sqrt(vector @ vector))
    return np.eye(3) if angle < 1e-12 else rotation_about(vector / angle, angle)


def slerp(a: Float64Array, b: Float64Array, share: float) -> Float64Array:
    """(3, 3) the rotation a ``share`` of the way from a to b (slerp)."""
    return a @ exp_rotation(share * log_rotation(a.T @ b))


def ramp(value: float, low: float, high: float) -> float:
    """0 below ``low``, 1 above ``high`` (which may be the smaller), smooth between."""
    return float(smoothstep((value - low) / (high - low)))
