"""What shares the chunks learns at once that drawing has failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.datatypes.window import Layer, Window
from pipeline.errors import GpuError
from pipeline.models.fakes import IdentityGenerator
from pipeline.perform.sharing import ChunkOffer
from pipeline.perform.windows import ChunkSpan
from pipeline.request import JobRequest
from pipeline.run import run_job
from pipeline.runtime.callbacks import Check, Progress
from pipeline.settings import Settings
from tests.support.job_runner import WALK_SMALL
from tests.support.models import models_with


class BrokenGenerator(IdentityGenerator):
    """A card that is gone."""

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        raise GpuError("the card is gone")
        yield


def test_chunks_of_others_are_taken_back_while_the_error_is_still_held(tmp_path: Path) -> None:
    ended: list[int] = []

    def share(offer: ChunkOffer, check: Check, progress: Progress) -> Iterator[ChunkSpan]:
        try:
            yield from offer.spans
        finally:
            ended.append(1)

    settings = Settings.model_validate({"output": {"codec": "lossless"}})
    request = JobRequest(WALK_SMALL, tmp_path / "out", start_s=1.4, end_s=1.8)
    with pytest.raises(GpuError) as held:
        run_job(
            request, settings, models_with(BrokenGenerator(), settings), tmp_path / "work", share=lambda subject: share
        )
    assert held.value.__traceback__ is not None
    assert ended == [1]
