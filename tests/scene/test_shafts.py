"""A thin straight thing in a hand is seen as a line, also where its pieces have the colors of what is around them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.scene.layers import Label, labels_of
from pipeline.scene.near_layer import NearLayers
from pipeline.scene.samples import eroded
from pipeline.scene.scene_model import SceneModel, shafts_path
from pipeline.scene.shaft_track import ShaftTracks
from pipeline.scene.shafts import ANY_DEG, Shaft, aimed, shaft_pixels, shafts_in
from tests.support.scene_labels import NOTHING, PATH, learned, share
from tests.support.scene_truth import HEIGHT_PX, Mask, Shot, disc, man_at, shot_at, wall

TAN = (160, 140, 110)
NO_CUTS = np.zeros(0, np.int64)
LEFT = 0


def stick_at(x: float) -> Mask:
    """A stick through the left hand, from beside the body across the trunk."""
    ends = (round(x + 85), 150), (round(x - 15), 83)
    return cv2.line(np.zeros(NOTHING.shape, np.uint8), *ends, 1, 3) > 0


def fist_at(x: float) -> Mask:
    rows, columns = np.indices(NOTHING.shape)
    return np.asarray(np.hypot(columns - x - 49, rows - 126) < 7)


def with_stick(x: float) -> Shot:
    shot = shot_at(x, wall())
    picture = shot.picture.copy()
    picture[stick_at(x) & ~fist_at(x)] = TAN
    return replace(shot, picture=picture)


def seen_at(angle_deg: float) -> Shaft:
    return Shaft(LEFT, angle_deg, 4 / HEIGHT_PX, np.array([150, 130, 140], np.float32))


def test_the_visible_piece_of_a_stick_tells_its_line_its_width_and_its_color() -> None:
    shot = with_stick(150)
    beside = stick_at(150) & ~man_at(150)[0]
    (shaft,) = [each for each in shafts_in(beside, shot.sample()) if each.side == LEFT]
    assert shaft.angle_deg == pytest.approx(np.rad2deg(np.arctan2(67, 100)), abs=2)
    assert shaft.width_bh == pytest.approx(4 / HEIGHT_PX, abs=1.5 / HEIGHT_PX)
    color = cv2.cvtColor(np.full((1, 1, 3), TAN, np.uint8), cv2.COLOR_RGB2LAB)[0, 0]
    assert shaft.lab == pytest.approx(color, abs=3)


def test_what_is_wide_or_away_from_the_hands_is_no_shaft() -> None:
    sample = with_stick(150).sample()
    bag = NOTHING.copy()
    bag[130:165, 185:215] = True
    far = cv2.line(np.zeros(NOTHING.shape, np.uint8), (20, 20), (60, 60), 1, 5) > 0
    assert shafts_in(bag, sample) == []
    assert shafts_in(far, sample) == []


def test_a_stick_is_found_along_its_line_before_trunk_and_background() -> None:
    shot = with_stick(150)
    stick = stick_at(150) & ~fist_at(150)
    shaft = replace(seen_at(38.0), lab=shafts_in(stick & ~man_at(150)[0], shot.sample())[0].lab)
    found = shaft_pixels(shaft, 10.0, shot.sample())
    assert share(found, stick) > 0.85
    assert share(found, man_at(150)[0] & ~stick) < 0.01


def test_nothing_is_found_where_no_stick_is() -> None:
    assert not shaft_pixels(seen_at(34.0), 10.0, shot_at(150, wall()).sample()).any()


def test_shafts_make_whole_what_the_colors_of_a_frame_leave_in_pieces() -> None:
    shots = [with_stick(x) for x in PATH[::2]]
    # The trunk's own colors were never told from those of the stick.
    row = replace(learned(shots), foreign=np.full_like(learned(shots).foreign, 1e-6))
    row = replace(row, is_held=np.zeros_like(row.is_held), in_hand=np.zeros_like(row.in_hand))
    shot = with_stick(150)
    stick = stick_at(150) & ~fist_at(150)
    places = row.front, row.wrong
    shaft = shafts_in(stick & ~man_at(150)[0], shot.sample())[0]
    without = labels_of(shot.sample(), row, places, is_completed=True)
    whole = labels_of(shot.sample(), row, places, is_completed=True, shafts=[(shaft, 8.0)])
    assert share(without == Label.CARRIED, stick) < 0.7
    assert share(whole == Label.CARRIED, stick) > 0.85


def with_racket(x: float) -> tuple[Shot, Mask, Mask]:
    """Return the man with a stick in his left hand that has a bright head, the stick, and the head."""
    shot = with_stick(x)
    head = disc(x + 92, 155, 12)
    picture = shot.picture.copy()
    picture[head] = (240, 210, 60)
    return replace(shot, picture=picture), stick_at(x) & ~fist_at(x) & ~head, head


def test_a_shaft_points_at_the_head_of_the_racket_where_its_angle_is_not_known() -> None:
    shot, _, head = with_racket(150)
    true_deg = float(np.rad2deg(np.arctan2(67, 100)))
    found = aimed(seen_at(120.0), ANY_DEG, head, shot.sample())
    assert found is not None
    shaft, tolerance = found
    assert abs(shaft.angle_deg - true_deg) < tolerance < 20
    assert aimed(seen_at(120.0), ANY_DEG, NOTHING, shot.sample()) is None
    # Neither away from where it can be, nor where it is known better.
    for known in ((seen_at(120.0), 40.0), (seen_at(45.0), 8.0)):
        assert aimed(*known, head, shot.sample()) == known


def test_a_racket_seen_only_later_has_its_shaft_from_the_start() -> None:
    later = [(frame, seen_at(120.0)) for frame in (40, 42, 44, 46)]
    racket, stick, head = with_racket(150)
    row = learned([with_racket(x)[0] for x in PATH[::2]])
    color = shafts_in(stick & ~man_at(150)[0], racket.sample())[0].lab
    tracks = ShaftTracks.of([(frame, replace(shaft, lab=color)) for frame, shaft in later], NO_CUTS, 30.0)
    places = row.front, row.wrong
    foreign = np.zeros_like(row.foreign)
    foreign[np.unique(racket.sample().bins[eroded(head, 4)])] = 0.2
    # Only the head has a color of its own.
    row = replace(row, foreign=foreign, is_held=foreign > 0, in_hand=np.zeros_like(row.in_hand))

    def carried(frame: int) -> Mask:
        labels = labels_of(racket.sample(), row, places, is_completed=True, shafts=tracks.expected(frame))
        return np.asarray(labels == Label.CARRIED, np.bool_)

    on_body = stick & man_at(150)[0]
    assert share(carried(150), on_body) < 0.3
    assert share(carried(0), on_body) > 0.8


def test_between_two_sightings_the_angle_turns_the_shorter_way() -> None:
    before = [(frame, seen_at(170.0 + frame)) for frame in (0, 2, 4, 6)]
    after = [(frame, seen_at(frame - 14.0)) for frame in (18, 20, 22, 24)]
    tracks = ShaftTracks.of([*before, *after], NO_CUTS, 30.0)
    ((shaft, tolerance),) = tracks.expected(12)
    assert shaft.angle_deg == pytest.approx(0.0, abs=0.1)
    ((_, surer),) = tracks.expected(18)
    assert surer < tolerance


def test_a_sighting_that_none_confirms_is_no_shaft() -> None:
    assert ShaftTracks.of([(0, seen_at(40.0)), (90, seen_at(41.0))], NO_CUTS, 30.0).expected(0) == []
    four = [(frame, seen_at(40.0)) for frame in (0, 2, 4, 6)]
    tracks = ShaftTracks.of([*four[:2], (3, seen_at(120.0)), *four[2:]], NO_CUTS, 30.0)
    assert tracks.angles_deg.tolist() == [40.0] * 4
    assert [tolerance for _, tolerance in tracks.expected(60)] == [ANY_DEG]
    assert tracks.expected(110) == []


def test_a_shaft_is_not_expected_in_another_shot() -> None:
    tracks = ShaftTracks.of([(frame, seen_at(40.0)) for frame in (0, 2, 4, 6)], np.array([8]), 30.0)
    assert len(tracks.expected(7)) == 1
    assert tracks.expected(8) == []


def test_shafts_are_read_as_they_were_written(tmp_path: Path) -> None:
    model = SceneModel(tmp_path, 1.0, 1.0, NearLayers(tmp_path))
    assert model.shafts.expected(0) == []
    tracks = ShaftTracks.of([(frame, seen_at(40.0 + frame)) for frame in (0, 2, 4, 6)], np.array([8]), 30.0)
    tracks.save(shafts_path(tmp_path))
    read = SceneModel(tmp_path, 1.0, 1.0, NearLayers(tmp_path)).shafts.expected(5)
    assert [(shaft.angle_deg, tolerance) for shaft, tolerance in read] == [
        (shaft.angle_deg, tolerance) for shaft, tolerance in tracks.expected(5)
    ]
