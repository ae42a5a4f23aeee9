import cv2
import numpy as np
import pytest

from pipeline.maths.regions import areas_of, boxes_of, counts_in, extents_of, square_sums_in, sums_in, those_of


@pytest.fixture
def labeled() -> tuple[int, np.ndarray]:
    mask = np.random.default_rng(0).random((71, 91)) > 0.6
    mask[:30, 5:] = False
    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    assert count > 20
    return count, labels


def test_pixels_are_counted_by_region(labeled: tuple[int, np.ndarray]) -> None:
    count, labels = labeled
    where = np.random.default_rng(1).random((142, 91))[::2] > 0.5
    where[40:60] = False
    assert areas_of(labels, count).tolist() == np.bincount(labels.ravel(), minlength=count).tolist()
    assert counts_in(labels, where, count).tolist() == np.bincount(labels[where], minlength=count).tolist()


def test_values_are_added_up_by_region(labeled: tuple[int, np.ndarray]) -> None:
    count, labels = labeled
    values = np.random.default_rng(2).random(labels.shape).astype(np.float32)
    sums = sums_in(labels, values, count)
    means = sums / areas_of(labels, count)
    squares = square_sums_in(labels, values, means, count)
    for label in range(1, count):
        of_region = values[labels == label].astype(np.float64)
        assert sums[label] == pytest.approx(of_region.sum())
        assert squares[label] == pytest.approx(((of_region - of_region.mean()) ** 2).sum(), abs=1e-12)
    assert sums[0] == squares[0] == 0


def test_chosen_regions_become_a_mask(labeled: tuple[int, np.ndarray]) -> None:
    count, labels = labeled
    is_chosen = np.arange(count) % 3 == 1
    assert np.array_equal(those_of(labels, is_chosen), is_chosen[labels])


def test_regions_have_boxes(labeled: tuple[int, np.ndarray]) -> None:
    count, labels = labeled
    boxes = boxes_of(labels, count)
    for label in range(1, count):
        rows, columns = np.nonzero(labels == label)
        assert boxes[label].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert extents_of(labels, count)[label] == max(np.ptp(columns), np.ptp(rows)) + 1
    assert not boxes[0].any()
