"""PERFORM runs beside the other passes: on a card that works for minutes neither it nor the processor waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from pipeline.datatypes.window import Layer, Window
from pipeline.errors import GpuError
from pipeline.finish import finish as finish_module
from pipeline.models.fakes import IdentityGenerator
from pipeline.perform import perform as perform_module
from pipeline.perform.generate import WindowSources
from pipeline.request import JobRequest
from pipeline.run import run_job
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings
from tests.support.job_runner import WALK_SMALL
from tests.support.models import models_with

_SETTINGS = Settings.model_validate(
    {"output": {"codec": "lossless"}, "segment": {"count": 1, "chunk_seconds": 0.2}, "foot_lock": {"method": "off"}}
)
_PATIENCE_SECONDS = 120.0


class WaitingGenerator(IdentityGenerator):
    """Waits for an event before its last windows, like a card that is slower than everything else."""

    def __init__(self, happened: threading.Event, windows_before: int) -> None:
        super().__init__(window_frames=12, conditioning_frames=3)
        self._happened = happened
        self._windows_before = windows_before
        self.waited = False

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        if len(self.calls) >= self._windows_before:
            assert self._happened.wait(_PATIENCE_SECONDS), "PERFORM ended before what it waits for began"
            self.waited = True
        yield from super().generate(window, seed, check)


def _result(folder: Path, generator: IdentityGenerator, **callbacks: object) -> bytes:
    request = JobRequest(WALK_SMALL, folder / "out", start_s=1.4, end_s=2.1)
    result = run_job(request, _SETTINGS, models_with(generator, _SETTINGS), folder / "work", **callbacks)  # type: ignore[arg-type]
    assert result.video is not None
    return result.video.read_bytes()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return _result(tmp_path_factory.mktemp("usual"), IdentityGenerator(window_frames=12, conditioning_frames=3))


def test_plates_are_built_while_the_first_layer_is_drawn(tmp_path: Path, usual: bytes) -> None:
    built = threading.Event()

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "scene":
            built.set()

    generator = WaitingGenerator(built, windows_before=0)
    assert _result(tmp_path, generator, progress=progress) == usual
    assert generator.waited


def test_frames_are_finished_while_later_chunks_are_drawn(
    tmp_path: Path, usual: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed = threading.Event()
    make_frame = finish_module.make_frame

    def seen(*arguments: object) -> object:
        composed.set()
        return make_frame(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(finish_module, "make_frame", seen)
    generator = WaitingGenerator(composed, windows_before=2)
    assert _result(tmp_path, generator) == usual
    assert generator.waited
    assert len(generator.calls) > 2


def test_the_next_chunks_inputs_are_read_while_the_card_works(
    tmp_path: Path, usual: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    several = threading.Event()
    window = WindowSources.window

    def seen(self: WindowSources, start: int, *arguments: object) -> Window:
        read.append(start)
        if len(read) == 2:
            several.set()
        return window(self, start, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(WindowSources, "window", seen)
    generator = WaitingGenerator(several, windows_before=0)
    assert _result(tmp_path, generator) == usual
    # A chunk is shorter than a window: the second one belongs to the next chunk.
    assert [start for start, _, _ in generator.calls] == read and len(read) > 2


class EagerGenerator(IdentityGenerator):
    """A card that says when it has drawn its third frame."""

    def __init__(self, drawn: threading.Event) -> None:
        super().__init__(window_frames=12, conditioning_frames=3)
        self._drawn = drawn

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        for position, layer in enumerate(super().generate(window, seed, check)):
            if position == 2:
                self._drawn.set()
            yield layer


def test_the_card_does_not_wait_until_a_layer_is_written(
    tmp_path: Path, usual: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = threading.Event()
    write_layers = perform_module.write_layers

    def slow(path: Path, layers: Iterator[tuple[int, Layer]]) -> None:
        first = next(layers)
        assert drawn.wait(_PATIENCE_SECONDS), "the card waits"
        write_layers(path, chain([first], layers))

    monkeypatch.setattr(perform_module, "write_layers", slow)
    assert _result(tmp_path, EagerGenerator(drawn)) == usual


class BreakingGenerator(IdentityGenerator):
    """A card that fails in its third window."""

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        if len(self.calls) == 2:
            raise GpuError("the card is gone")
        yield from super().generate(window, seed, check)


def test_a_card_that_fails_fails_the_job_and_leaves_no_result_and_no_thread(tmp_path: Path) -> None:
    with pytest.raises(GpuError, match="gone"):
        _result(tmp_path, BreakingGenerator(window_frames=12, conditioning_frames=3))
    assert not list((tmp_path / "out").iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("beside", "ahead", "map"))]


def test_a_job_that_is_stopped_in_finish_does_not_wait_for_the_card(tmp_path: Path) -> None:
    never = threading.Event()
    stopped: list[str] = []

    class StuckGenerator(IdentityGenerator):
        def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
            while len(self.calls) >= 2 and not never.wait(0.01):
                check()
            yield from super().generate(window, seed, check)

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "perform" and done > 8:
            stopped.append(stage)

    def check() -> None:
        if stopped:
            raise GpuError("stopped")

    with pytest.raises(GpuError, match="stopped"):
        _result(tmp_path, StuckGenerator(window_frames=12, conditioning_frames=3), progress=progress, check=check)
    assert not list((tmp_path / "out").iterdir())
