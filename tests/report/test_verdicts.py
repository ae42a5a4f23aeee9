"""Verdicts on the metrics of a report."""

from __future__ import annotations

import pytest

from pipeline.report.verdicts import judge_figures, telling_figures
from pipeline.result import Quality


@pytest.mark.parametrize(
    ("quality", "verdict"),
    [
        ({"changed_outside": 0}, "good"),
        ({"changed_outside": 1}, "poor"),
        ({"psnr_outside_db": 42.0}, "good"),
        ({"psnr_outside_db": 40.0}, "fair"),
        ({"psnr_outside_db": 30.0}, "poor"),
        ({"source_left_percent": 0.6}, "fair"),
        ({"new_to_subject_scale": 0.85}, "fair"),
        ({"new_to_subject_scale": 1.3}, "poor"),
        ({"warping_error_result": 0.012, "warping_error_source": 0.011}, "fair"),
        ({"warping_error_result": 0.012, "warping_error_source": None}, "not known"),
        ({"foot_slide_percent": None}, "not known"),
        ({"frames_uncertain": 3, "frames_replaced": 100}, "fair"),
        ({"foot_slide_unlocked_percent": 9.0}, "note"),
    ],
)
def test_figures_are_judged_by_their_aims(quality: dict[str, float | int | None], verdict: str) -> None:
    (judged,) = [
        figure for figure in judge_figures(Quality.model_validate(quality)) if figure.name == next(iter(quality))
    ]
    assert judged.verdict == verdict


def test_every_figure_has_a_rule_and_a_meaning() -> None:
    judged = judge_figures(Quality.model_validate(dict.fromkeys(Quality.model_fields)))
    assert {figure.name for figure in judged} == set(Quality.model_fields)
    assert all(figure.meaning for figure in judged)


def test_the_most_telling_figures_are_those_that_miss_their_aim() -> None:
    quality = Quality(foot_slide_percent=0.1, changed_outside=3, psnr_outside_db=40.0, seam_gradient_ratio=1.0)
    assert telling_figures(quality) == [
        "Changed outside the edit region: 3 samples (poor; aim: 0)",
        "PSNR outside the edit region: 40.0 dB (fair; aim: at least 42 dB)",
        "Foot slide: 0.10 % of body height (good)",
    ]
    assert telling_figures(Quality(foot_slide_percent=None)) == []
