"""Which of two people is in front: decided once per encounter, by feet and by occlusion."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.plan import Presence, Subject
from pipeline.finish.depth_order import depth_order, encounters
from pipeline.joints import ANKLES, NUM_JOINTS, NUM_SKELETON
from tests.support.clip_info import video_info

COUNT = 60
HEIGHT = 200.0
INFO = video_info(COUNT)
ONE_SHOT = np.array([0])


def stiff(x: NDArray[np.float64], feet_y: NDArray[np.float64] | float, feet_confidence: float = 0.9) -> Subject:
    """Somebody 200 px high and 60 px wide whose ankles are at ``feet_y``."""
    feet = np.broadcast_to(np.asarray(feet_y, np.float64), x.shape)
    joints = np.zeros((COUNT, NUM_JOINTS, 3), np.float32)
    joints[..., 0] = x[:, None]
    joints[..., 1] = feet[:, None] - np.linspace(HEIGHT, 20, NUM_JOINTS)
    joints[..., 2] = 0.9
    joints[:, ANKLES, 1] = feet[:, None]
    joints[:, ANKLES, 2] = feet_confidence
    return Subject(
        track_of_frame=np.zeros(COUNT, np.int64),
        presence=np.full(COUNT, Presence.FOUND, np.uint8),
        boxes_xyxy=np.column_stack([x - 30, feet - HEIGHT, x + 30, feet]),
        joints=joints,
        skeletons=np.zeros((COUNT, NUM_SKELETON, 3), np.float32),
        body_height_px=np.full(COUNT, HEIGHT),
    )


def mask_of(subject: Subject, frame: int) -> NDArray[np.bool_]:
    mask = np.zeros(INFO.size_wh[::-1], np.bool_)
    x0, y0, x1, y1 = np.clip(subject.boxes_xyxy[frame].astype(int), 0, None)
    mask[y0:y1, x0:x1] = True
    return mask


def order_of(a: Subject, b: Subject, in_front: Subject) -> NDArray[np.int64]:
    """The order by feet and by masks of which ``in_front``'s covers the other's."""
    behind = b if in_front is a else a

    def seen(subject: Subject, frame: int) -> NDArray[np.bool_]:
        mask = mask_of(subject, frame)
        return mask & ~mask_of(in_front, frame) if subject is behind else mask

    return depth_order([a, b], [lambda t: seen(a, t), lambda t: seen(b, t)], INFO, ONE_SHOT)


RIGHT, LEFT = 200 + 4.0 * np.arange(COUNT), 440 - 4.0 * np.arange(COUNT)


@pytest.mark.parametrize("is_first", [True, False])
def test_lower_feet_are_nearer(is_first: bool) -> None:
    a, b = stiff(RIGHT, 320.0 if is_first else 300.0), stiff(LEFT, 300.0 if is_first else 320.0)
    order = order_of(a, b, a if is_first else b)
    assert (order == ([1, 0] if is_first else [0, 1])).all()


@pytest.mark.parametrize("is_first", [True, False])
def test_occlusion_decides_where_feet_are_not_visible(is_first: bool) -> None:
    a, b = stiff(RIGHT, 310.0, feet_confidence=0.0), stiff(LEFT, 310.0)
    order = order_of(a, b, a if is_first else b)
    [(start, stop)] = encounters(a, b, INFO, ONE_SHOT)
    assert (order[start:stop] == ([1, 0] if is_first else [0, 1])).all()


def test_the_depth_order_is_constant_while_two_overlap() -> None:
    """Ankles of walking people go up and down by more than the two are apart."""
    swing = 12 * np.sin(np.arange(COUNT) * 1.3)
    a, b = stiff(RIGHT, 306.0 + swing), stiff(LEFT, 300.0 - swing)
    [(start, stop)] = encounters(a, b, INFO, ONE_SHOT)
    assert 0 < start < stop < COUNT
    order = order_of(a, b, a)[start:stop]
    assert (order == order[0]).all() and order[0].tolist() == [1, 0]


def test_a_cut_parts_an_encounter() -> None:
    still = np.full(COUNT, 300.0)
    a, b = stiff(still, 310.0), stiff(still + 20, 300.0)
    assert encounters(a, b, INFO, np.array([0, 25])) == [(0, 25), (25, COUNT)]
    assert encounters(a, stiff(still + 200, 300.0), INFO, ONE_SHOT) == []
