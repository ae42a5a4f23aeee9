"""Boxes of points and their unions."""

from __future__ import annotations

import numpy as np

from pipeline.maths.boxes import box_corners, box_of_points, box_union


def test_boxes_ignore_nan() -> None:
    points = np.array([[[1.0, 5.0], [np.nan, np.nan], [3.0, 2.0]], [[np.nan] * 2] * 3])
    boxes = box_of_points(points)
    np.testing.assert_array_equal(boxes[0], [1, 2, 3, 5])
    assert np.isnan(boxes[1]).all()
    np.testing.assert_array_equal(box_union(boxes, np.array([[0, 0, 2, 9.0]] * 2))[1], [0, 0, 2, 9])
    np.testing.assert_array_equal(box_of_points(box_corners(boxes[0])), boxes[0])
