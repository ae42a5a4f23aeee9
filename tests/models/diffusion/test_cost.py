from __future__ import annotations

import json

import pytest

from benchmarks.generation_cost import clip_info, count_calls, count_parts, count_safety, naive_tflop
from conf import compose_settings
from pipeline.estimate import PART_COSTS, counted_frames, estimate, planned_chunks


def test_the_kept_table_is_what_the_networks_cost() -> None:
    kept = json.loads(PART_COSTS.read_text())
    counted = count_parts()
    assert kept["tflop"] == pytest.approx(counted, rel=1e-3)
    assert kept["beside"]["safety"] == pytest.approx(count_safety(), rel=1e-2)
    # Published counts for 25 steps with guidance and three ControlNets at this size.
    assert naive_tflop(counted) == pytest.approx(139.4, rel=0.01)


@pytest.mark.parametrize("preset", ["fast", "balanced", "high"])
def test_the_estimate_counts_what_the_generators_do(preset: str) -> None:
    settings = compose_settings(preset)
    calls, windows = count_calls(settings)
    counted = counted_frames(planned_chunks(clip_info(300), settings.segment), settings)
    assert counted.pop("windows") == windows
    assert {name: number / 300 for name, number in counted.items()} == pytest.approx(calls)
    told = estimate(clip_info(300), settings)
    assert list(told.seconds["H100"]) == sorted(told.seconds["H100"])
    assert told.seconds["A40"][0] > told.seconds["H100"][0] and set(told.cost_usd) == {"A40", "L40S", "H100"}
