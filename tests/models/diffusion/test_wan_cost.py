"""The counted cost of Wan's models."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.generation_cost import clip_info
from benchmarks.random_wan import PUBLISHED_WAN, vace_transformer
from benchmarks.wan_cost import step_call
from conf import compose_settings
from pipeline.estimate import PART_COSTS, estimate, planned_chunks
from pipeline.models.diffusion.wan_cost import num_tokens, padded_frames, window_tflop


def test_a_steps_polynomial_is_what_is_counted_at_another_size() -> None:
    """The kept one was made at other lengths and another size of picture."""
    table = json.loads(PART_COSTS.read_text())["wan"]
    with torch.device("meta"), torch.inference_mode():
        transformer = vace_transformer(PUBLISHED_WAN)
        with FlopCounterMode(display=False) as counter:
            step_call("vace", transformer, 49, (384, 576))()
    tokens = num_tokens(49, (384, 576))
    kept = table["vace"]
    told = kept["constant"] + kept["linear"] * tokens + kept["quadratic"] * tokens**2
    assert told == pytest.approx(counter.get_total_flops() / 1e12, rel=1e-6)


@pytest.mark.parametrize("preset", ["wan", "ultra"])
def test_the_estimate_counts_windows_steps_and_guidance(preset: str) -> None:
    settings = compose_settings(preset)
    told = estimate(clip_info(300), settings)
    assert told.windows >= 5 and told.generator_calls > 300 * settings.generate.steps  # type: ignore[union-attr]
    half = settings.model_copy(update={"generate": settings.generate.model_copy(update={"steps": 10})})
    assert 0.5 < estimate(clip_info(300), half).tflop / told.tflop < 0.55
    assert planned_chunks(clip_info(300), settings.segment)
    costs = json.loads(PART_COSTS.read_text())["wan"]
    # Attention makes a window of twice as many frames cost more than twice as much.
    generate: Any = settings.generate
    assert window_tflop(49, generate, costs) > 2 * window_tflop(25, generate, costs) * 0.98


def test_padded_lengths() -> None:
    assert [padded_frames(n) for n in (1, 2, 5, 6, 49, 50)] == [1, 5, 5, 9, 49, 53]
    assert padded_frames(2, 5) == 5
