"""Boxes of points and their unions."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.maths.boxes import box_corners, box_iou, box_of_points, box_union


def test_boxes_ignore_nan() -> None:
    points = np.array([[[1.0, 5.0], [np.nan, np.nan], [3.0, 2.0]], [[np.nan] * 2] * 3])
    boxes = box_of_points(points)
    np.testing.assert_array_equal(boxes[0], [1, 2, 3, 5])
    assert np.isnan(boxes[1]).all()
    np.testing.assert_array_equal(box_union(boxes, np.array([[0, 0, 2, 9.0]] * 2))[1], [0, 0, 2, 9])
    np.testing.assert_array_equal(box_of_points(box_corners(boxes[0])), boxes[0])


def test_the_overlap_of_two_boxes_is_that_of_both_over_that_of_either() -> None:
    box = np.array([0.0, 0.0, 4.0, 2.0])
    assert box_iou(box, box) == 1.0
    assert box_iou(box, box + np.array([2, 0, 2, 0])) == pytest.approx(1 / 3)
    assert box_iou(box, box + 9) == 0.0
    assert box_iou(np.zeros(4), np.zeros(4)) == 0.0
