"""Limbs of the fitted figure are as long as those of people with known joints."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import Figure, load_figure
from pipeline.models.mannequin.proportions import measure_proportions
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.weights.folder import weight_path

HEIGHT = 400.0


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def test_landmarks_make_arms_longer_than_they_are_and_slide_elbows_along_them(figure: Figure) -> None:
    """Where on a straight arm the elbow is found must not make one half of it longer than the other."""
    skeleton = relaxed_skeleton(figure) * HEIGHT
    for side in ("left", "right"):
        shoulder, elbow, wrist = (skeleton[JOINT[f"{side}_{part}"]] for part in ("shoulder", "elbow", "wrist"))
        upper, fore = 1.08 * (elbow - shoulder), 1.08 * (wrist - elbow)
        slide = 0.015 * HEIGHT * upper / np.linalg.norm(upper)
        skeleton[JOINT[f"{side}_elbow"]] = shoulder + upper + slide
        # The forearm is bent a little: it shortens by as much.
        skeleton[JOINT[f"{side}_wrist"]] = (
            shoulder + upper + slide + fore * (1 - np.linalg.norm(slide) / np.linalg.norm(fore))
        )
    found = measure_proportions(figure, skeleton, HEIGHT)
    assert found.upperarm == pytest.approx(1, abs=0.01) and found.forearm == pytest.approx(1, abs=0.01)


def test_a_leg_is_as_long_as_landmarks_of_three_people_showed_it(figure: Figure) -> None:
    skeleton = relaxed_skeleton(figure) * HEIGHT
    for side in ("left", "right"):
        for start, stop in (("hip", "knee"), ("knee", "ankle")):
            first, second = JOINT[f"{side}_{start}"], JOINT[f"{side}_{stop}"]
            below = [JOINT[f"{side}_{part}"] for part in ("knee", "ankle")][("knee", "ankle").index(stop) :]
            # Hips and ankles of landmarks lie nearer together than a rig's.
            skeleton[below] -= 0.024 * (skeleton[second] - skeleton[first])
    found = measure_proportions(figure, skeleton, HEIGHT)
    assert found.thigh == pytest.approx(1, abs=0.005) and found.shin == pytest.approx(1, abs=0.005)
