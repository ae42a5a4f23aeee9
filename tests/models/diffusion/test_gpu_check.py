"""The GPU check as a dry run: real classes at tiny sizes, and the instrumentation around them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, ControlNetModel

from benchmarks import gpu_check
from benchmarks.gpu_watch import Busyness, RehearsedPeople, provoke_out_of_memory, standing_person
from benchmarks.random_weights import (
    adapter_state,
    autoencoder,
    image_encoder,
    motion_adapter,
    safety_checker,
    text_encoder,
    unet,
)
from benchmarks.stable_diffusion_sizes import PUBLISHED
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Layer, Window
from pipeline.errors import OutOfMemory
from pipeline.models.fakes import IdentityGenerator
from pipeline.perform.backends import empty_window
from pipeline.runtime.callbacks import Check


def test_the_published_sizes_have_the_published_numbers_of_parameters() -> None:
    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    with torch.device("meta"):
        network = unet(PUBLISHED)
        controlnet = ControlNetModel.from_unet(network, PUBLISHED.hint_widths, load_weights_from_unet=False)
        assert count(network) == 859_520_964
        assert count(controlnet) == 361_279_120
        assert count(autoencoder(PUBLISHED)) == 83_653_863
        assert count(AutoencoderTiny(**PUBLISHED.tiny_autoencoder)) == 2_445_063
        assert count(text_encoder(PUBLISHED)) == 123_060_480
        assert count(image_encoder(PUBLISHED)) == 632_076_800
        # Files of 908, 98.2 and 608 MB in half precision.
        assert count(motion_adapter(PUBLISHED)) * 2 == pytest.approx(908e6, rel=0.01)
        assert count(safety_checker(PUBLISHED)) * 2 == pytest.approx(608e6, rel=0.01)
        adapter = adapter_state(network, PUBLISHED)
        assert sum(tensor.numel() for tensor in adapter.values()) * 2 == pytest.approx(98.2e6, rel=0.001)


def test_a_dry_run_with_random_weights_on_what_another_machine_prepared(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = ["--part", "1.4", "1.5"]
    prepared = tmp_path / "prepared"
    told = tmp_path / "told.json"
    assert gpu_check.main([*part, "--tiny", "--prepare", str(prepared)]) == 0
    assert (prepared / "plan.zip").is_file() and not (prepared / "layers").exists()

    def missing(settings: object) -> None:
        raise AssertionError("nobody is looked for: the library may not be there")

    monkeypatch.setattr(gpu_check, "make_people", missing)
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tiny_weights))
    options = ["--random-weights", str(tiny_weights), "--tiny", "--preset", "high", "--workspace", str(prepared)]
    sheets = ["--sheets", str(tmp_path / "sheets"), "--json", str(told)]
    assert gpu_check.main([*part, *options, *sheets]) == 0
    (run,) = json.loads(told.read_text())
    assert run["weights"] == "random" and run["generation_s"] > 0 and run["tflop_estimated"] > 0
    # The requested person is always found, so no window is generated twice and no matte is propagated.
    assert run["quality"]["mattes_propagated"] == 0 and run["quality"]["frames_replaced"] == 3
    assert run["provoked_out_of_memory"]["outcome"] == "did not run out"
    assert sorted(run["carried_masks_s_a_frame"]) == ["1", "2"]
    sheet = cv2.imread(run["sheets"][0])
    # Three frames: source, plate, start, three guides, mask, picture, matte.
    assert sheet.shape == (3 * 256, 9 * 128, 3)


class _Hungry(IdentityGenerator):
    """Runs out of memory while it is limited, until asked to use less."""

    def __init__(self, can_use_less: bool) -> None:
        super().__init__()
        self.is_short = False
        self._can_use_less = can_use_less
        self._uses_less = False

    def use_less_memory(self) -> bool:
        self._uses_less = self._can_use_less
        return self._can_use_less

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        if self.is_short and not self._uses_less:
            raise OutOfMemory("short")
        yield from super().generate(window, seed, check)


@pytest.mark.parametrize(
    ("can_use_less", "outcome"), [(True, "finished 16 frames with less memory"), (False, "OUT_OF_MEMORY: there")]
)
def test_a_provoked_out_of_memory_is_reported_with_its_outcome(can_use_less: bool, outcome: str) -> None:
    generator = _Hungry(can_use_less)

    @contextmanager
    def short() -> Iterator[None]:
        generator.is_short = True
        yield
        generator.is_short = False

    window = empty_window(replace(generator.needs, crop_size_wh=(64, 64)))
    assert provoke_out_of_memory(generator, window, short)["outcome"].startswith(outcome)


def test_the_idle_share_is_what_the_utilization_leaves() -> None:
    busyness = Busyness(lambda: 0.75)
    busyness.start()
    while not busyness._samples:
        pass
    busyness.stop()
    assert busyness.idle_share == pytest.approx(0.25)
    assert Busyness(None).idle_share is None


def test_rehearsed_people_are_returned_while_the_real_backend_runs() -> None:
    person = standing_person(np.full((8, 8, 3), 200, np.uint8))
    asked = deque([person, person])
    seen = []

    class Load:
        def find_batch(self, pictures: list[np.ndarray]) -> list[list[Person]]:
            seen.extend(pictures)
            return [[] for _ in pictures]

    people = RehearsedPeople(None, Load(), asked)  # type: ignore[arg-type]
    painted = [np.zeros((8, 8, 3), np.uint8)] * 2
    assert people.find_batch(painted) == [[person], [person]] and len(seen) == 2


def test_the_reference_of_a_machine_without_a_finder_has_head_and_outline() -> None:
    picture = np.full((100, 60, 3), 128, np.uint8)
    picture[10:90, 20:40] = 30
    person = standing_person(picture)
    assert person.box_xyxy.tolist() == [20, 10, 40, 90] and person.mask.sum() == 80 * 20
    assert 10 < person.joints[0, 1] < 25
