"""The table of costs per function."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from benchmarks.functions import FunctionCost, Profiler
from pipeline.maths import boxes
from pipeline.plate.warp import Warp


def test_calls_times_and_bytes_are_counted_in_all_threads() -> None:
    mask = np.zeros((64, 80), bool)
    mask[20:30, 20:30] = True
    profiler = Profiler()
    profiler.start()
    boxes.box_of_mask(mask)
    other = threading.Thread(target=lambda: [boxes.box_of_mask(mask) for _ in range(3)])
    other.start()
    other.join()
    boxes.grown((0, 0, 4, 4), 1)
    profiler.stop()
    boxes.box_of_mask(mask)
    costs = {cost.name: cost for cost in profiler.costs()}
    assert set(costs) == {"maths/boxes.box_of_mask", "maths/boxes.grown"}
    boxed = costs["maths/boxes.box_of_mask"]
    assert boxed.calls == 4 and boxed.own_seconds == boxed.total_seconds > 0
    assert boxed.bytes_touched >= 4 * mask.nbytes and costs["maths/boxes.grown"].bytes_touched == 0


def test_callees_do_not_count_towards_a_functions_own_time() -> None:
    warp = Warp(np.eye(3), np.zeros((4, 4, 2), np.float32), 0)
    profiler = Profiler()
    profiler.start()
    warp.coordinates((0, 0, 300, 200), (640, 360))
    profiler.stop()
    costs = {cost.name.rsplit(".", 1)[1]: cost for cost in profiler.costs()}
    outer = costs["coordinates"]
    inner = costs["coordinates_at"]
    assert outer.total_seconds >= inner.total_seconds >= inner.own_seconds > 0
    assert outer.own_seconds == pytest.approx(outer.total_seconds - inner.total_seconds)


def test_a_function_belongs_to_its_folder() -> None:
    rooms = [FunctionCost(name, 1, 0, 0, 0).room for name in ("maths/masks.grow", "run.run_job", "run.<module>")]
    assert rooms == ["maths", "pipeline", "imports"]
