"""The subject's mask where they are not detected, and where their track is somebody else's for a while."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.plan import MovedMasks, Presence, Subject
from pipeline.datatypes.survey import Overlays
from pipeline.workspace.subject_masks import SubjectMasks
from tests.support.clip_info import video_info
from tests.support.graphics import one_graphic

SIZE_WH = (64, 48)


class Store:
    def __init__(self, masks: Mapping[int, Mapping[int, Mask]]) -> None:
        self._masks = masks

    def get(self, frame: int) -> Mapping[int, Mask]:
        return self._masks.get(frame, {})


def column(x: int) -> Mask:
    mask = np.zeros((48, 64), np.bool_)
    mask[8:40, x : x + 8] = True
    return mask


def masks_of(
    store: Store,
    presence: list[int],
    tracks: list[int],
    x: list[float],
    overlays: Overlays | None = None,
    visible: list[float] | None = None,
    moved: MovedMasks | None = None,
) -> SubjectMasks:
    count = len(presence)
    joints = np.zeros((count, 21, 3), np.float32)
    joints[:, 11:13, 0] = np.array(x)[:, None]
    joints[:, 11:13, 1] = 24
    subject = Subject(
        np.array(tracks), np.array(presence, np.uint8), np.zeros((count, 4)), joints,
        np.zeros((count, 23, 3), np.float32), np.full(count, 32.0),
        None if visible is None else np.array(visible, np.float32), others_moved=moved,
    )  # fmt: skip
    return SubjectMasks(store, subject, np.tile(np.eye(3), (count, 1, 1)), video_info(count, SIZE_WH), overlays)


def test_a_track_is_the_subjects_only_in_the_frames_that_use_it() -> None:
    store = Store({0: {0: column(4), 1: column(40)}, 1: {0: column(40), 1: column(4)}})
    masks = masks_of(store, [Presence.FOUND] * 2, [0, 1], [8, 8])
    for frame in (0, 1):
        np.testing.assert_array_equal(masks.subject_mask(frame), column(4))
        np.testing.assert_array_equal(masks.others_mask(frame), column(40))


def test_a_nearer_person_in_the_subjects_place_is_in_front_of_them() -> None:
    nearer = column(14)
    nearer[40:44, 14:22] = True
    for in_place, is_hidden in ((nearer, True), (column(14), False)):
        store = Store({0: {0: column(10)}, 1: {1: in_place}})
        filled = masks_of(store, [Presence.FOUND, Presence.UNCERTAIN], [0, -1], [14, 14]).subject_mask(1)
        assert filled[20, 11]
        assert (filled & column(14)).any() != is_hidden


def test_pixels_under_a_graphic_belong_to_nobody_and_hide_the_background() -> None:
    graphic = np.zeros((48, 64), np.bool_)
    graphic[20:30] = True
    overlays = one_graphic(graphic, 0, 0)
    plain = masks_of(Store({0: {0: column(4), 1: column(40)}, 1: {0: column(5)}}), [2, 2], [0, 0], [8.0, 9.0])
    masks = masks_of(Store({0: {0: column(4), 1: column(40)}, 1: {0: column(5)}}), [2, 2], [0, 0], [8.0, 9.0], overlays)
    np.testing.assert_array_equal(masks.overlay_mask(0), graphic)
    np.testing.assert_array_equal(masks.subject_mask(0), column(4) & ~graphic)
    np.testing.assert_array_equal(masks.others_mask(0), column(40) & ~graphic)
    np.testing.assert_array_equal(masks.hidden_mask(0), column(4) | column(40) | graphic)
    assert masks.overlay_mask(1) is None
    np.testing.assert_array_equal(masks.hidden_mask(1), plain.people_mask(1))


def test_a_mask_is_filled_in_from_a_frame_that_shows_the_whole_subject() -> None:
    sliver = column(12)
    sliver[:, 14:] = False
    store = Store({0: {0: column(10)}, 1: {0: sliver}})
    presence = [Presence.FOUND, Presence.FOUND, Presence.UNCERTAIN]
    for visible, is_whole in (([1.0, 0.2, 0.0], True), ([0.5, 0.2, 0.0], False)):
        filled = masks_of(store, presence, [0, 0, -1], [14, 16, 18], visible=visible).subject_mask(2)
        assert (filled & column(14)).sum() == column(14).sum() if is_whole else filled.sum() < column(14).sum()


def test_people_who_are_not_found_are_about_where_their_moved_masks_are() -> None:
    store = Store({0: {0: column(4), 1: column(20)}, 2: {0: column(4), 2: column(30)}})
    masks = masks_of(store, [Presence.FOUND] * 3, [0, 0, 0], [8, 8, 8])
    assert masks.unfound_others_mask(1) is None
    offsets = np.array([[4.6, 0], [-5, 0], [0, 0]], np.float64)
    # The last one lost its mask.
    moved = MovedMasks(np.array([1, 1, 1]), np.array([0, 2, 2]), np.array([1, 2, 7]), offsets)
    masks = masks_of(store, [Presence.FOUND] * 3, [0, 0, 0], [8, 8, 8], moved=moved)
    found = masks.unfound_others_mask(1)
    assert found is not None
    np.testing.assert_array_equal(found, column(25))
    assert masks.unfound_others_mask(0) is None


def test_what_is_hidden_on_one_side_of_a_gap_is_filled_in_from_the_other() -> None:
    upper, lower = column(10), column(18)
    upper[24:] = False
    lower[:24] = False
    presence = [Presence.FOUND, Presence.UNCERTAIN, Presence.FOUND]
    filled = masks_of(Store({0: {0: upper}, 2: {0: lower}}), presence, [0, -1, 0], [14, 18, 22]).subject_mask(1)
    assert filled[column(14)].all()
    assert not filled[:, :8].any()


def test_a_gap_in_the_mask_of_somebody_in_front_is_not_the_subjects() -> None:
    nearer = column(12)
    nearer[40:44, 12:20] = True
    with_gap = nearer.copy()
    with_gap[20:22, 15:17] = False
    store = Store({0: {0: column(10)}, 1: {1: with_gap}})
    masks = masks_of(store, [Presence.FOUND, Presence.UNCERTAIN], [0, -1], [14, 16])
    assert masks.subject_mask(1).any()
    assert not (masks.subject_mask(1) & nearer).any()
    np.testing.assert_array_equal(masks.others_mask(1), nearer)
