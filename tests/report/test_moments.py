"""Which frames a report shows, and their pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.report.moments import Moment, choose_moments, read_moments
from pipeline.report.page import ReportInputs
from tests.support.report_job import (
    T,
    info_of,
    made_plan,
    made_series,
    result_level,
    source_level,
)


def test_moments_are_chosen_by_rule() -> None:
    chosen = {
        (moment.frame, moment.view): moment.reasons
        for moment in choose_moments([made_plan()], info_of(T), made_series())
    }
    assert chosen == {
        (10, "whole"): ("the subject comes in",),
        (19, "whole"): ("middle of segment 1 (approach)",),
        (25, "feet"): ("a planted foot slides most",),
        (33, "person"): ("strongest seam",),
        (37, "feet"): ("longest contact of the right foot",),
        (42, "person"): ("the subject is not clearly visible",),
        (44, "whole"): ("middle of segment 2 (hold)",),
        (56, "person"): ("strongest flicker",),
        (59, "feet"): ("longest contact of the left foot",),
        (66, "person"): ("background that fits least",),
        (69, "whole"): ("middle of segment 3 (exit)",),
        (79, "whole"): ("the subject leaves",),
    }


def test_unknown_values_choose_no_moment() -> None:
    plan = made_plan()
    series = made_series()
    nobody = replace(plan.subject, presence=np.zeros(T, np.uint8))
    feetless = replace(plan.contacts, plant_id=np.full((T, 2), -1))
    unknown = {name: np.full_like(values, np.nan) for name, values in series.items()} | {"frame": series["frame"]}
    moments = choose_moments([replace(plan, subject=nobody, contacts=feetless)], info_of(T), unknown)
    assert [moment.frame for moment in moments] == [14, 44, 74]
    assert moments[0].reasons == ("middle of segment 1 (approach), without the subject",)
    empty = {name: values[:0] for name, values in series.items()}
    assert len(choose_moments([replace(plan, subject=nobody, contacts=feetless)], info_of(T), empty)) == 3


def test_pictures_are_those_of_their_frames_in_both_files(job: ReportInputs) -> None:
    moments = [Moment(70, "feet", ()), Moment(12, "whole", ()), Moment(12, "person", ())]
    pictures = read_moments(job.source, job.written, job.plans, moments)
    assert [picture.moment for picture in pictures] == moments
    for picture in pictures:
        assert abs(float(picture.source.mean()) - source_level(picture.moment.frame)) <= 1.5
        assert abs(float(picture.result.mean()) - result_level(picture.moment.frame)) <= 1.5
        assert picture.source.shape == picture.result.shape
    # The person's box is 30 x 60 px with a pad of 7.2 px; the feet's is a point.
    assert pictures[2].source.shape == (74, 56, 3)
    assert pictures[0].source.shape[0] < 20 < pictures[0].source.shape[1]


@pytest.mark.parametrize("middle", [(0.0, 0.0), (160.0, 120.0), (-500.0, 60.0), (80.0, 900.0)])
def test_a_close_up_at_the_border_stays_in_the_picture(job: ReportInputs, middle: tuple[float, float]) -> None:
    x, y = middle
    boxes = np.tile([x - 15, y - 30, x + 15, y + 30], (T, 1))
    plan = replace(job.plans[0], subject=replace(job.plans[0].subject, boxes_xyxy=boxes))
    (picture,) = read_moments(job.source, job.written, [plan], [Moment(30, "person", ())])
    assert picture.source.shape == (74, 56, 3)


def test_close_moments_of_one_kind_are_merged() -> None:
    series = made_series()
    series["warping_error_result"][35] = 0.02
    series["warping_error_result"][56] = 0.01
    series["plate_fit"][:] = 0.9
    close = [moment for moment in choose_moments([made_plan()], info_of(T), series) if moment.view == "person"]
    assert [(moment.frame, moment.reasons) for moment in close] == [
        (33, ("strongest seam", "strongest flicker")),
        (42, ("the subject is not clearly visible",)),
    ]
