from __future__ import annotations

import numpy as np
import pytest

from conf import compose_settings
from pipeline.models.registry import make_safety
from pipeline.models.weights.folder import weight_folder


def test_the_safety_checker_flags_what_is_near_to_a_concept() -> None:
    from pipeline.models.diffusion.safety import SafetyChecker

    pictures = np.random.default_rng(1).integers(0, 255, (3, 96, 64, 3), np.uint8)
    checker = SafetyChecker(weight_folder("safety_checker"), "cpu")
    assert checker.flagged(pictures).tolist() == [False, False, False]
    # Every picture is nearer than -2 to everything.
    checker._checker.concept_embeds_weights.data.fill_(-2.0)
    assert checker.flagged(pictures).tolist() == [True, True, True]


@pytest.mark.parametrize("preset", ["fast", "balanced", "high"])
def test_the_checker_is_on_by_default_and_can_be_switched_off_by_the_operator(preset: str) -> None:
    assert make_safety(compose_settings(preset, ("generate.device=cpu",)).generate) is not None
    assert make_safety(compose_settings(preset, ("generate.device=cpu", "generate.safety=false")).generate) is None
