"""Two people replaced in one job, from the request to the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.constructed import duet
from conf import compose_settings
from pipeline.errors import Cancelled
from pipeline.media.decode import open_clip
from pipeline.media.ffv1 import read_artifact
from pipeline.media.pixels import rgb_of
from pipeline.request import FurtherSubject, JobRequest, PointChoice
from pipeline.run import run_job
from tests.support.models import real_models

START = 42
COUNT = 10
GREEN = "a man in a green shirt and black trousers"
WHITE = "a man in a white shirt and white trousers"


def test_both_are_replaced_each_by_their_own_and_a_resumed_job_gives_the_same_bytes(tmp_path: Path) -> None:
    truths = duet(tmp_path / "clip.mp4")
    choices = []
    for truth in truths:
        rows, columns = np.nonzero(truth.subject[START + 1])
        choices.append(PointChoice(float(np.median(columns)), float(np.median(rows)), 1 / 30))
    settings = compose_settings("preview", ("output=lossless",))

    def request(name: str) -> JobRequest:
        return JobRequest(
            tmp_path / "clip.mp4", tmp_path / name, ("mask",), subject=choices[0], prompt=GREEN,
            further_subjects=(FurtherSubject(choices[1], prompt=WHITE),),
            start_s=START / 30, end_s=(START + COUNT) / 30,
        )  # fmt: skip

    def stop_late(stage: str, done: int, total: int) -> None:
        # Half of all layers are the first one's.
        if stage == "perform" and done > total // 2:
            raise Cancelled("enough")

    models = real_models(settings)
    with pytest.raises(Cancelled):
        run_job(request("stopped"), settings, models, tmp_path / "passes", progress=stop_late)
    assert (tmp_path / "passes" / "subject_1" / "plan.zip").is_file()
    seen: list[str] = []
    again = run_job(
        request("again"), settings, models, tmp_path / "passes", progress=lambda stage, *_: seen.append(stage)
    )
    whole = run_job(request("whole"), settings, models, tmp_path / "fresh")
    assert again.video.read_bytes() == whole.video.read_bytes() and "survey" not in seen

    report = whole.report
    assert [each.frames_replaced for each in report.subjects] == [COUNT, COUNT] and report.frames_replaced == COUNT
    assert report.quality.changed_outside == 0
    masks = [np.asarray(mask > 0) for mask in read_artifact(whole.artifacts["mask"][0])]
    results = [rgb_of(frame) for frame in open_clip(whole.video).frames()]
    for t, (mask, result) in enumerate(zip(masks, results, strict=True)):
        both = truths[0].subject[START + t] | truths[1].subject[START + t]
        assert (mask & both).sum() > 0.9 * both.sum()
        # The trousers: black on the one, white on the other.
        bright = [float(np.median(result[truth.subject[START + t]].max(axis=1))) for truth in truths]
        assert bright[0] < bright[1] - 30, (t, bright)
