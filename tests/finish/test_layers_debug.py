"""The artifact that shows the pixel labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from conf import compose_settings
from pipeline.media.decode import open_clip
from pipeline.media.ffv1 import read_artifact
from pipeline.media.pixels import rgb_of
from pipeline.request import JobRequest
from pipeline.run import run_job
from tests.support.job_runner import WALK_SMALL
from tests.support.models import real_models


def test_the_subject_is_tinted_red_and_the_rest_is_the_source(tmp_path: Path) -> None:
    settings = compose_settings("preview")
    part = {"start_s": 2.0, "end_s": 2.2}
    request = JobRequest(WALK_SMALL, tmp_path / "out", artifacts=("mask", "layers_debug", "report"), **part)
    result = run_job(request, settings, real_models(settings), tmp_path / "work")
    tinted, masks = (read_artifact(result.artifacts[name][0]) for name in ("layers_debug", "mask"))
    frames = open_clip(WALK_SMALL, **part).frames()
    for frame, picture, mask in zip(frames, tinted, masks, strict=True):
        source = rgb_of(frame)
        subject = mask > 0
        assert subject.sum() > 750
        np.testing.assert_array_equal(picture[subject], source[subject] // 2 + np.array([127, 0, 0], np.uint8))
        assert (picture == source).all(axis=-1)[~subject].mean() > 0.98
    page = result.artifacts["report"][0].read_text(encoding="utf-8")
    assert page.count('alt="Layers at') >= 2 and "burnt-in graphics" in page
