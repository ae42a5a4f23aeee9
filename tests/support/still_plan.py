"""A plan with a static camera, for a given subject."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.plan import CameraPath, Chunk, Contacts, CropPath, Plan, Segment, Subject


def still_plan(
    size_wh: tuple[int, int],
    presence: NDArray[np.uint8],
    boxes_xyxy: NDArray[np.float64],
    joints: NDArray[np.float32],
    body_height_px: float,
    plant_id: NDArray[np.int64],
    anchors: NDArray[np.float64],
    *,
    cuts: tuple[int, ...] = (0,),
    segments: tuple[Segment, ...] = (),
) -> Plan:
    """Make a plan of one chunk in which all spaces are the source's; without ``segments`` it is one segment."""
    count = len(presence)
    still = np.tile(np.eye(3), (count, 1, 1))
    return Plan(
        shot_starts=np.array(cuts),
        segments=segments or (Segment(0, 0, count, "whole"),),
        chunks=(Chunk(0, 0, 0, 0, count),),
        camera=CameraPath(still, still),
        subject=Subject(
            np.ones(count, np.int64),
            presence,
            boxes_xyxy,
            joints,
            np.zeros((count, 23, 3), np.float32),
            np.full(count, body_height_px),
        ),
        contacts=Contacts(plant_id >= 0, plant_id, anchors, np.zeros((count, 2))),
        crop=CropPath(still, size_wh),
    )
