"""The passes together, on a real clip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.plan import Plan
from pipeline.datatypes.window import Layer, Window
from pipeline.errors import Cancelled, SubjectLost
from pipeline.media.decode import open_clip
from pipeline.media.ffv1 import read_artifact
from pipeline.media.pixels import rgb_of
from pipeline.models.fakes import IdentityGenerator
from pipeline.models.interfaces import Generator, Needs
from pipeline.models.people.blazepose import BlazePosePeople
from pipeline.request import JobRequest
from pipeline.result import JobResult
from pipeline.run import run_job
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings
from pipeline.workspace.values import load_values
from tests.support.job_runner import WALK, WALK_SMALL
from tests.support.models import models_with, real_models

_PART = {"start_s": 1.4, "end_s": 2.1}
_LOSSLESS = {"output": {"codec": "lossless"}, "segment": {"count": 3, "chunk_seconds": 0.3}}


def _job(
    folder: Path, settings: Settings, *artifacts: str, generator: Generator | None = None, **more: object
) -> JobResult:
    request = JobRequest(WALK_SMALL, folder / "out", artifacts=artifacts, **{**_PART, **more})  # type: ignore[arg-type]
    models = real_models(settings) if generator is None else models_with(generator, settings)
    return run_job(request, settings, models, folder / "work")


@pytest.fixture
def identity() -> IdentityGenerator:
    return IdentityGenerator(window_frames=8, conditioning_frames=3)


def test_putting_the_subject_back_gives_the_source(
    tmp_path: Path, identity: IdentityGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate({**_LOSSLESS, "foot_lock": {"method": "off"}})
    rested: list[BlazePosePeople] = []
    monkeypatch.setattr(BlazePosePeople, "rest", lambda people: rested.append(people))
    result = _job(tmp_path, settings, "edit_region", "mask", generator=identity)
    source = open_clip(WALK_SMALL, **_PART)  # type: ignore[arg-type]
    made = open_clip(result.video)
    assert made.info.num_frames == source.info.num_frames == 21
    assert np.array_equal(made.info.durations, source.info.durations)
    regions = list(read_artifact(result.artifacts["edit_region"][0]))
    masks = list(read_artifact(result.artifacts["mask"][0]))
    errors = []
    for a, b, region, mask in zip(source.frames(), made.frames(), regions, masks, strict=True):
        assert np.array_equal(a.planes[0][region == 0], b.planes[0][region == 0])
        assert region[mask > 0].min() == 255
        inside = np.asarray(mask > 0)
        errors.append(np.mean((rgb_of(a)[inside].astype(float) - rgb_of(b)[inside]) ** 2))
    # Two resamples of the man, put back through crop, reshake and composite: a shift of a pixel gives 24 dB.
    assert 10 * np.log10(255**2 / np.mean(errors)) > 30.0
    assert result.report.quality.changed_outside == 0
    assert result.report.quality.plate_fit is not None and result.report.quality.plate_fit > 0.85
    assert result.report.segments[0].kind in ("approach", "part")
    # The people's models are not needed after the survey.
    assert len(rested) == 1
    # Windows of one chunk take up what the window before has finished.
    assert any(finished == 3 for _, _, finished in identity.calls)


def test_a_stopped_job_resumes_from_its_last_chunk_to_the_same_bytes(
    tmp_path: Path, identity: IdentityGenerator
) -> None:
    settings = Settings.model_validate(_LOSSLESS)
    models = models_with(identity, settings)
    whole = _job(tmp_path / "whole", settings, generator=identity).video.read_bytes()
    calls = len(identity.calls)
    identity.calls.clear()

    def stop_late(stage: str, done: int, total: int) -> None:
        if stage == "perform" and done >= 14:
            raise Cancelled("enough")

    request = JobRequest(WALK_SMALL, tmp_path / "b" / "out", **_PART)  # type: ignore[arg-type]
    with pytest.raises(Cancelled):
        run_job(request, settings, models, tmp_path / "b" / "work", progress=stop_late)
    assert not list((tmp_path / "b" / "out").glob("result*"))
    seen: list[str] = []
    again = run_job(
        request, settings, models, tmp_path / "b" / "work", progress=lambda stage, done, total: seen.append(stage)
    )
    assert again.video.read_bytes() == whole
    # The plates are built beside the layers: they may not have been finished.
    assert "survey" not in seen
    plan = load_values(tmp_path / "b" / "work" / "plan.zip", Plan)
    done_twice = len(identity.calls) - calls
    assert 0 <= done_twice <= max(1, calls // len(plan.chunks) + 1)


def test_the_number_of_cores_does_not_change_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = []
    for number in (1, 3):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, number=number: set(range(number)))
        videos.append(_job(tmp_path / str(number), Settings.model_validate(_LOSSLESS), end_s=1.8).video.read_bytes())
    assert videos[0] == videos[1]


def test_every_switch_can_be_turned(tmp_path: Path) -> None:
    part = {"start_s": 1.4, "end_s": 1.7}
    base = _job(tmp_path / "base", Settings(), **part).video.read_bytes()
    changes: dict[str, dict[str, object]] = {
        "plate": {"method": "off"},
        "temporal": {"method": "flow"},
        "composite": {"light": "daylight", "crossfade": False},
        "foot_lock": {"method": "off"},
    }
    for group, values in changes.items():
        result = _job(tmp_path / group, Settings.model_validate({group: values}), **part)
        assert result.report.quality.changed_outside == 0
        assert result.report.frames_replaced == 9
        # What is switched must show: the flow needs flicker to do something, which a mannequin does not have much of.
        assert group == "temporal" or result.video.read_bytes() != base


class _Color:
    """A generator whose color is the number of the call: it shows where windows and chunks meet."""

    needs = Needs(crop_size_wh=(128, 192), window_frames=64)

    def __init__(self) -> None:
        self.calls = 0

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        self.calls = 0
        return ()

    def use_less_memory(self) -> bool:
        return False

    def rest(self) -> None:
        pass

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        self.calls += 1
        width, height = window.size_wh
        for joints in window.joints:
            picture = np.full((height, width, 3), 40 * self.calls, np.uint8)
            yield Layer(picture, np.full((height, width), 255, np.uint8), joints)


def test_segments_are_crossfaded_over_five_frames(tmp_path: Path) -> None:
    settings = Settings.model_validate({"segment": {"count": 3}, "foot_lock": {"method": "off"}})
    result = _job(tmp_path, settings, "layer", generator=_Color())
    borders = [part.start_frame for part in result.report.segments][1:]
    levels = [picture[picture[..., 3] == 255][:, 0].mean() for picture in read_artifact(result.artifacts["layer"][0])]
    for number, border in enumerate(borders, start=1):
        before, after = 40.0 * number, 40.0 * (number + 1)
        ramp = levels[border - 5 : border]
        wanted = [before + (after - before) * step / 6 for step in range(1, 6)]
        assert np.abs(np.array(ramp) - wanted).max() <= 1.0
        assert abs(levels[border] - after) <= 0.5 and abs(levels[border - 6] - before) <= 0.5


def test_the_subject_can_be_required(tmp_path: Path) -> None:
    source = tmp_path / "hidden.mp4"
    hidden = range(14, 18)
    empty = list(open_clip(WALK.with_name("plate.mp4")).frames(hidden.start, hidden.stop))
    with av.open(str(source), "w") as output:
        stream = output.add_stream("libx264", rate=30)
        stream.width = 640
        stream.height = 360
        stream.pix_fmt = "yuv420p"
        for frame in open_clip(WALK).frames(0, 30):
            shown = empty[frame.index - hidden.start] if frame.index in hidden else frame
            output.mux(stream.encode(av.VideoFrame.from_ndarray(rgb_of(shown), format="rgb24")))
        output.mux(stream.encode(None))
    with pytest.raises(SubjectLost, match="4 frames"):
        run_job(
            JobRequest(source, tmp_path / "out", on_lost="error"),
            Settings(),
            real_models(Settings()),
            tmp_path / "work",
        )
