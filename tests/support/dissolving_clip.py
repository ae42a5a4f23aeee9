"""A clip of two people in two places with a cross-fade, and its frames as they are made for one shot alone."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.plan import Plan, Presence
from pipeline.finish.composite import EditedFrame, EditWeights
from pipeline.finish.reshake import PlacedLayer
from pipeline.joints import NUM_JOINTS
from pipeline.media.pixels import planes_from_rgb, rgb_of
from tests.support.clip_info import video_info
from tests.support.still_plan import still_plan

WH = (160, 96)
FIRST, STOP, CUT, COUNT = 10, 17, 14, 27
INFO = video_info(COUNT, WH, pix_fmt="yuv444p", chroma_log2_wh=(0, 0))
WEIGHTS = (np.arange(STOP - FIRST) + 1) / (STOP - FIRST + 1)
OLD = np.array([250, 20, 20])
NEW = 30.0
LEFT, RIGHT, STEP = 24, 100, 1
"""Columns of the people in the clear frames, and px by which they move with each frame."""


def wall(seed: int) -> Picture:
    noise = np.random.default_rng(seed).normal(0, 1, (*WH[::-1], 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.asarray(np.clip(140 + 30 * smooth / smooth.std(), 60, 220), np.uint8)


WALLS = wall(1), wall(2)


def at(x: int) -> Mask:
    mask = np.zeros(WH[::-1], np.bool_)
    mask[30:70, x : x + 20] = True
    return mask


def shown(number: int) -> tuple[Picture, Mask, Mask]:
    """Return a frame of the clip and its two original people."""
    weight = float(np.interp(number, [FIRST - 1, STOP], [0, 1]))
    people = at(LEFT + STEP * (number - FIRST + 1)), at(RIGHT + STEP * (number - STOP))
    pictures = [np.where(mask[..., None], OLD, each) for mask, each in zip(people, WALLS, strict=True)]
    return np.asarray(np.rint((1 - weight) * pictures[0] + weight * pictures[1]), np.uint8), *people


def frame_of(number: int) -> Frame:
    planes = tuple(np.asarray(np.rint(plane), np.uint8) for plane in planes_from_rgb(shown(number)[0], INFO))
    return Frame(number, number, 1, planes, INFO)


def edited(number: int) -> EditedFrame:
    """A frame as it is made for one shot alone."""
    frame = frame_of(number)
    side = int(number >= CUT)
    _, *people = shown(number)
    mask = people[side]
    height, width = mask.shape
    hole = cv2.dilate(mask.view(np.uint8), np.ones((5, 5))).astype(np.float32)
    weights = EditWeights((0, 0, width, height), hole, 1 - hole, hole > 0)
    columns = np.flatnonzero(mask.any(axis=0))
    box = (int(columns[0]), 30, int(columns[-1]) + 1, 70)
    layer = PlacedLayer(box, np.full((40, 20, 3), NEW, np.float32), np.ones((40, 20), np.float32))
    return EditedFrame(frame, frame, rgb_of(frame), rgb_of(frame), mask, weights, layer, WALLS[side])


def plan() -> Plan:
    presence = np.full(COUNT, Presence.FOUND, np.uint8)
    joints = np.zeros((COUNT, NUM_JOINTS, 3), np.float32)
    joints[:, :, 0] = STEP * np.arange(COUNT)[:, None]
    nowhere = np.full((COUNT, 2), -1)
    made = still_plan(
        WH, presence, np.tile([0.0, 30, 20, 70], (COUNT, 1)), joints, 40.0, nowhere, np.full((COUNT, 2, 2), np.nan),
        cuts=(0, CUT),
    )  # fmt: skip
    blend_weights = np.full(COUNT, np.nan, np.float32)
    blend_weights[FIRST:STOP] = WEIGHTS
    return replace(made, blend_weights=blend_weights)


def clip() -> Any:
    return SimpleNamespace(info=INFO, frames_at=lambda numbers: map(frame_of, numbers))
