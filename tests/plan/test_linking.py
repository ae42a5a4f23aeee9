"""Linking of tracks into persons, on synthetic tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.survey import BODY_PARTS, COLOR_BINS, Track
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.plan.link_costs import link_cost
from pipeline.plan.linking import link_tracklets
from pipeline.plan.pieces import cut_tracks

RED, BLUE = 5, 40
HEIGHT = 200.0


def walker(
    track_id: int, frames: NDArray[np.int64], x: NDArray[np.float64], look: int | NDArray[np.int64] = RED
) -> Track:
    """A stiff body of height 200 px with its hips at ``x``, in clothes of the color bin ``look``."""
    x = np.asarray(x, np.float64)
    joints = np.zeros((len(frames), NUM_JOINTS, 3), np.float32)
    joints[..., 0] = x[:, None]
    joints[..., 2] = 0.9
    joints[:, 5:7, 1] = 200 - HEIGHT / 3.3
    joints[:, 11:13, 1] = 200
    boxes = np.column_stack([x - 30, x * 0 + 100, x + 30, x * 0 + 300])
    skeletons = np.zeros((len(frames), NUM_SKELETON, 3), np.float32)
    looks = np.zeros((len(frames), BODY_PARTS, COLOR_BINS), np.uint8)
    looks[np.arange(len(frames)), :, look] = 255
    ones = np.ones(len(frames), np.float32)
    return Track(track_id, frames, boxes, ones, joints, skeletons, looks, ones, np.full(len(frames), 4000))


def linked(*tracks: Track, shots: tuple[int, ...] = (0,), count: int = 400) -> list[dict[int, int]]:
    """Return each person as frame -> track."""
    world = np.tile(np.eye(3), (count, 1, 1))
    persons = link_tracklets(tracks, np.array(shots), np.arange(count) / 30, world)
    return [{int(f): track.track_id for track in person for f in track.frames} for person in persons]


def test_a_track_that_goes_over_to_somebody_else_is_cut_there_and_both_are_put_right() -> None:
    # One walks; where they meet the tracker gives each the other's number.
    frames = np.arange(90)
    red = 100 + 4.0 * frames
    blue = 460 - 4.0 * frames
    first = walker(0, frames, np.where(frames < 45, red, blue), np.where(frames < 45, RED, BLUE))
    second = walker(1, frames, np.where(frames < 45, blue, red), np.where(frames < 45, BLUE, RED))
    persons = linked(first, second)
    assert len(persons) == 2
    for person in persons:
        assert len(person) == 90
        assert person[20] != person[70]


@pytest.mark.parametrize(
    ("px_per_frame", "meet", "hidden", "goes_over", "found_anew"),
    [(5.0, 64, 59, (66, 76), 72), (4.0, 62, 64, (64, 72), 72), (3.0, 62, 64, (66, 76), 76)],
)
def test_a_track_that_goes_over_to_a_standing_man_in_the_same_clothes_is_cut(
    px_per_frame: float, meet: int, hidden: int, goes_over: tuple[int, int], found_anew: int
) -> None:
    # A walker hides the standing man; the walker's track slides over to him, and the walker is found anew beyond him.
    frames = np.arange(150)
    walk = 366 + px_per_frame * (frames - meet)
    share = np.clip((frames - goes_over[0]) / (goes_over[1] - goes_over[0]), 0, 1)
    stands = walker(0, frames[:hidden], np.full(hidden, 366.0))
    passes = walker(1, frames, walk * (1 - share) + 366 * share)
    beyond = walker(2, frames[found_anew:], walk[found_anew:])
    first, second = linked(stands, passes, beyond)
    assert (first[20], first[140]) == (0, 1)
    assert (second[20], second[140]) == (1, 2)


def test_a_bystander_behind_the_post_is_not_linked_to_the_walker_even_in_the_same_clothes() -> None:
    before, after = np.arange(30), np.arange(42, 80)
    walks_in = walker(0, before, 100 + 4.0 * before)
    walks_out = walker(1, after, 100 + 4.0 * after)
    # Found when the walker vanished, and nearer to where that was than the walker who comes out again.
    stands = walker(2, np.arange(31, 80), np.full(49, 228.0))
    persons = linked(walks_in, walks_out, stands)
    assert {frozenset(person.values()) for person in persons} == {frozenset({0, 1}), frozenset({2})}


def test_appearance_decides_where_motion_does_not() -> None:
    before, after = np.arange(30), np.arange(50, 80)
    red = walker(0, before, np.full(30, 200.0), RED)
    near_but_blue = walker(1, after, np.full(30, 205.0), BLUE)
    far_but_red = walker(2, after, np.full(30, 320.0), RED)
    persons = linked(red, near_but_blue, far_but_red)
    assert {frozenset(person.values()) for person in persons} == {frozenset({0, 2}), frozenset({1})}


def test_the_whole_shot_is_linked_at_once_not_the_cheapest_pair_first() -> None:
    # The second one's end is nearest to the first one's new track, but then its own track would be unlinked.
    before, after = np.arange(30), np.arange(36, 66)
    persons = linked(
        walker(0, before, np.full(30, 100.0)),
        walker(1, before, np.full(30, 130.0)),
        walker(2, after, np.full(30, 120.0)),
        walker(3, after, np.full(30, 150.0)),
    )
    assert {frozenset(person.values()) for person in persons} == {frozenset({0, 2}), frozenset({1, 3})}


def test_a_person_who_left_is_linked_by_appearance_after_a_cut_and_much_later() -> None:
    first = walker(0, np.arange(40), 300 + 8.0 * np.arange(40), RED)
    other = walker(1, np.arange(40, 250), np.full(210, 100.0), BLUE)
    again = walker(2, np.arange(200, 250), np.full(50, 400.0), RED)
    for shots in ((0,), (0, 60, 200)):
        persons = linked(first, other, again, shots=shots)
        assert {frozenset(person.values()) for person in persons} == {frozenset({0, 2}), frozenset({1})}


@pytest.mark.parametrize("count", [1, 2])
def test_short_tracks_are_persons_as_well(count: int) -> None:
    persons = linked(walker(0, np.arange(count), np.full(count, 100.0)))
    assert [len(person) for person in persons] == [count]


def test_without_tracks_there_are_no_persons() -> None:
    assert linked() == []


def test_somebody_who_jumps_beside_another_person_keeps_their_identity() -> None:
    # A jump turns around within a few frames; the other one, found now and then, looks much like the walker.
    frames = np.arange(90)
    jumper = walker(0, frames, np.full(90, 200.0), RED)
    jumper.joints[..., 1] -= (60 * np.abs(np.sin(2 * np.pi * frames / 24)))[:, None]
    parts = [walker(1 + i, np.arange(at, at + 4), np.full(4, 230.0), RED) for i, at in enumerate((10, 30, 55))]
    persons = linked(jumper, *parts)
    assert max(list(person.values()).count(0) for person in persons) == 90


def test_a_piece_without_colors_takes_those_of_its_track_just_after() -> None:
    # They are so close that both tracks are split into short pieces; a look back gave the first frames no colors.
    frames = np.arange(30)
    late = walker(0, frames, np.full(30, 200.0), RED)
    other = walker(1, frames, np.full(30, 220.0), BLUE)
    late.color_histograms[:6] = 0
    world = np.tile(np.eye(3), (30, 1, 1))
    pieces = [p for p in cut_tracks([late, other], np.array([0]), frames / 30, world) if p.track.track_id == 0]
    assert pieces[0].last < 6
    assert pieces[0].looks[:, RED].min() == 1.0


def test_a_track_that_begins_beside_somebody_is_not_cut_after_its_first_frame() -> None:
    frames = np.arange(30)
    other = walker(0, frames, np.full(30, 220.0), BLUE)
    late = walker(1, frames[10:], np.full(20, 200.0), RED)
    world = np.tile(np.eye(3), (30, 1, 1))
    pieces = [p for p in cut_tracks([other, late], np.array([0]), frames / 30, world) if p.track.track_id == 1]
    assert [piece.first for piece in pieces] == [10, 14, 18, 22, 26]


def test_a_longer_absence_makes_a_link_less_likely() -> None:
    frames = np.arange(20)
    world = np.tile(np.eye(3), (200, 1, 1))
    costs = []
    for gap in (10, 40, 80):
        tracks = [walker(0, frames, np.full(20, 200.0)), walker(1, frames + 20 + gap, np.full(20, 200.0))]
        before, after = cut_tracks(tracks, np.array([0]), np.arange(200) / 30, world)
        costs.append(link_cost([before], [after], np.arange(200) / 30))
    assert costs[0] < costs[1] - 0.1 < costs[2] - 0.2


def test_nobody_is_at_the_other_end_of_the_picture_a_moment_later() -> None:
    before = np.arange(30)
    leaves = walker(0, before, 200.0 - 6 * before)
    for gap, num_persons in ((10, 2), (75, 1)):
        after = np.arange(30 + gap, 80 + gap)
        appears = walker(1, after, np.full(50, 900.0))
        assert len(linked(leaves, appears)) == num_persons
    # After a cut they may be.
    appears = walker(1, np.arange(40, 90), np.full(50, 900.0))
    assert len(linked(leaves, appears, shots=(0, 35))) == 1


def with_looks(track: Track, rows: slice, likeness: float, other: int = BLUE) -> Track:
    """Return a track whose looks in some rows are so like red clothes, by a share of another color."""
    track.color_histograms[rows] = 0
    track.color_histograms[rows, :, RED] = round(255 * likeness)
    track.color_histograms[rows, :, other] = round(255 * np.sqrt(1 - likeness**2))
    return track


def test_somebody_half_hidden_before_a_gap_is_not_taken_over_by_a_passer_by_of_before() -> None:
    # In the last two frames before somebody walks in front, half of the subject is seen: other colors, other hips.
    frames = np.arange(99)
    x = np.full(99, 300.0)
    x[97:] += 40
    subject = with_looks(walker(0, frames, x, RED), slice(97, 99), 0.7, other=20)
    in_front = walker(7, np.arange(93, 103), 180 + 12.0 * np.arange(10), 60)
    again = walker(8, np.arange(102, 159), np.full(57, 285.0), RED)
    passer_by = with_looks(walker(1, np.arange(59, 68), 262 + 1.0 * np.arange(9)), slice(None), 0.78)
    persons = linked(subject, in_front, again, passer_by)
    assert {0, 8} in [set(person.values()) for person in persons]
    assert {1} in [set(person.values()) for person in persons]


def test_half_a_body_found_now_and_then_behind_something_is_one_person() -> None:
    # Somebody cut off by the upper edge; in the middle hips alone are seen, as a small body with a jumping place.
    before, after = np.arange(20), np.arange(44, 70)
    first = walker(0, before, 100 + 6.0 * before)
    last = walker(1, after, 100 + 6.0 * after)
    hips = walker(2, np.arange(28, 38), np.full(10, 255.0))
    hips.joints[:, 5:7, 1] = 130
    hips.joints[:, 11:13, 1] = 150
    for track in (first, last, hips):
        track.boxes_xyxy[:, 1] = 0
    hips.boxes_xyxy[:, 3] = 90
    assert [set(person.values()) for person in linked(first, last, hips)] == [{0, 1, 2}]


@pytest.mark.parametrize("shift", [40.0, 60.0])
def test_a_single_sighting_of_somebody_else_does_not_keep_a_person_from_their_own_continuation(shift: float) -> None:
    # The hips of half a body jump where a new track begins; most of a second later somebody alike is seen for a frame.
    frames = np.arange(140)
    x = 100 + 4.0 * frames
    first = walker(0, frames[:69], x[:69])
    again = walker(1, frames[69:], x[69:] + shift)
    once = with_looks(walker(2, frames[94:95], x[94:95] - 14), slice(None), 0.9)
    persons = [set(person.values()) for person in linked(first, again, once)]
    assert persons == [{0, 1}, {2}]


def test_a_body_whose_new_track_begins_before_the_old_one_is_lost_is_one_person() -> None:
    frames = np.arange(80)
    x = 100 + 3.0 * frames
    old = walker(0, frames[:42], x[:42])
    new = walker(1, frames[39:], x[39:] + 8)
    new.color_histograms[:3] = 0
    assert [len(person) for person in linked(old, new)] == [80]
    # Whoever comes out from behind somebody in other clothes who is lost at that moment is another person.
    other = walker(1, frames[39:], x[39:] + 8, BLUE)
    assert [len(person) for person in linked(old, other)] == [42, 41]


def test_a_body_found_twice_for_a_moment_is_one_person_and_one_who_passes_is_another() -> None:
    frames = np.arange(60)
    long = walker(0, frames, np.full(60, 200.0))
    twice = walker(1, np.arange(30, 34), np.full(4, 203.0))
    passer_by = walker(2, np.arange(10, 14), np.full(4, 205.0), BLUE)
    persons = [set(person.values()) for person in linked(long, twice, passer_by)]
    assert persons == [{0}, {2}]


def test_a_track_is_one_person_while_a_veil_of_light_hides_the_colors() -> None:
    frames = np.arange(60)
    look = np.where((frames >= 20) & (frames < 40), BLUE, RED)
    track = walker(0, frames, 100 + 2.0 * frames, look)
    assert len(linked(track)) == 2
    lit = track.color_histograms.copy()
    lit[20:40] = 0
    assert len(linked(replace(track, lit_histograms=lit))) == 1


def test_people_are_compared_across_a_cut_in_the_light_that_is_the_same_in_both_shots() -> None:
    # A leak lay over the second shot's first frame: in its light he is blue.
    first, second = walker(0, np.arange(30), np.full(30, 100.0)), walker(1, np.arange(30, 60), np.full(30, 300.0))
    blue = walker(1, np.arange(30, 60), np.full(30, 300.0), BLUE).color_histograms
    lit = replace(first, lit_histograms=first.color_histograms), replace(second, lit_histograms=blue)
    assert len(linked(*lit, shots=(0, 30))) == 1
