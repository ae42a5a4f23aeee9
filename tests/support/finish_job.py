"""Inputs of FINISH for the job of ``report_job``, without plates, scene or stored masks."""

from __future__ import annotations

from pathlib import Path

from pipeline.datatypes.light import CastShadows
from pipeline.finish.inputs import FinishInputs
from pipeline.media.decode import open_clip
from pipeline.settings import Settings
from tests.support.report_job import T, made_job, made_plan


def made_finish_inputs(folder: Path, settings: Settings) -> FinishInputs:
    """Write the clips into a folder and return the inputs of their only subject."""
    made_job(folder)
    return FinishInputs(
        clip=open_clip(folder / "source.mp4"),
        plan=made_plan(),
        masks=None,  # type: ignore[arg-type]
        plates=None,
        scene=None,
        shadows=CastShadows.none(T),
        chunks=[],
        settings=settings,
        seed=0,
        artifacts=frozenset(),
        output_dir=folder,
        reference_person=None,
    )
