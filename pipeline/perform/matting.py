"""The tight matte of a generated picture: whom the generator drew, found by the people backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Layer, Mask, Person, Picture
from pipeline.maths.optical_flow import carried_alpha, flow_between, gray_of
from pipeline.models.interfaces import PeopleBackend

_LEAST_OVERLAP = 0.5
_JOINT_SIGMA_BH = 0.08
"""How far a joint may lie from where it was asked, body heights: between OpenPose's sigmas of wrists and hips."""
_EDGE_PX = 1.5
"""Standard deviation of the edge's softness."""


def cut_out(layer: Layer, joints: NDArray[np.float32], body_height_px: float, people: PeopleBackend) -> Layer | None:
    """Return the layer with the matte of the person in its picture, or None where nobody stands as he was asked to.

    ``joints`` (21, 3) are those that the generator was given, in crop px. Of several people the one with the best
    joint overlap is taken. In the soft band the colour is that of the person's inside, so that the old background
    does not shine through.
    """
    candidates = people.find(layer.picture)
    scored = [(joint_overlap(person.joints, joints, body_height_px), place) for place, person in enumerate(candidates)]
    best, place = max(scored, default=(0.0, -1))
    if best < _LEAST_OVERLAP:
        return None
    person: Person = candidates[place]
    if not person.mask.any():
        return None
    return replace(with_matte(layer, person.mask), joints=person.joints)


def joint_overlap(found: NDArray[np.float32], asked: NDArray[np.float32], body_height_px: float) -> float:
    """Return 0..1: the mean over the joints asked for of exp(-d² / 2σ²), as COCO's object keypoint similarity.

    Joints that were asked for and not found count 0. 0 where none was asked for.
    """
    wanted = np.isfinite(asked[:, :2]).all(axis=1) & (asked[:, 2] > 0.3)
    if not wanted.any() or not np.isfinite(body_height_px):
        return 0.0
    distance = np.linalg.norm(found[wanted, :2] - asked[wanted, :2], axis=1) / (_JOINT_SIGMA_BH * body_height_px)
    return float(np.mean(np.where(np.isfinite(distance), np.exp(-(distance**2) / 2), 0.0)))


def with_matte(layer: Layer, mask: Mask) -> Layer:
    """Return the layer with a soft alpha of a hard mask, and the inside's colours carried out over the soft band."""
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _EDGE_PX)
    # The model's own edge reaches a little over the person: the soft band lies inside.
    alpha = np.clip(alpha * 1.6 - 0.6, 0.0, 1.0)
    return replace(layer, picture=_inside_colours(layer.picture, alpha), alpha=np.rint(alpha * 255).astype(np.uint8))


def carried_matte(layer: Layer, picture_before: Picture, alpha_before: NDArray[np.uint8]) -> Layer:
    """Return the layer with the alpha of the frame before, moved as the generated picture moved; marked as such."""
    back = flow_between(gray_of(layer.picture), gray_of(picture_before))
    return replace(layer, alpha=carried_alpha(alpha_before, back), matte_is_carried=True)


def coarsened(layer: Layer, cells: int = 24) -> Layer:
    """Return the layer in squares, ``cells`` along its height: whom the safety checker flagged; marked as such."""
    height, width = layer.picture.shape[:2]
    small_wh = (max(1, round(cells * width / height)), cells)
    assert layer.alpha is not None
    cover = layer.alpha[..., None].astype(np.float32) / 255
    # Weighed by alpha, so that what lies around the person does not run into him.
    colours = cv2.resize(layer.picture * cover, small_wh, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(cover, small_wh, interpolation=cv2.INTER_AREA)[..., None]
    squares = np.clip(colours / np.maximum(weight, 1e-6), 0, 255)
    picture = cv2.resize(np.rint(squares).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return replace(layer, picture=np.asarray(picture, np.uint8), is_coarsened=True)


def cut_out_window(
    layers: Sequence[Layer], joints: NDArray[np.float32], heights_px: NDArray[np.float64], people: PeopleBackend
) -> list[Layer | None]:
    """Return each layer with its matte, or None (see ``cut_out``); layers that have an alpha stay as they are."""
    people.reset()
    return [
        layer if layer.alpha is not None else cut_out(layer, asked, float(height), people)
        for layer, asked, height in zip(layers, joints, heights_px, strict=True)
    ]


def _inside_colours(picture: Picture, alpha: NDArray[np.float32]) -> Picture:
    """Replace colours where alpha is soft by the mean of the near inside, weighed by distance (a normalised blur)."""
    inside = (alpha > 0.95).astype(np.float32)
    spread = 3 * _EDGE_PX
    colour = cv2.GaussianBlur(picture * inside[..., None], (0, 0), spread)
    weight = cv2.GaussianBlur(inside, (0, 0), spread)
    near = colour / np.maximum(weight, 1e-4)[..., None]
    soft = ((alpha > 0) & (inside == 0) & (weight > 1e-3))[..., None]
    return np.where(soft, np.clip(np.rint(near), 0, 255), picture).astype(np.uint8)
