"""Who is in the clip, without replacing anybody: ``mode: people``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from pipeline.job_steps import mask_store, opened_clip, timed
from pipeline.media.clip import Clip
from pipeline.mode_results import PeopleReport, PeopleResult
from pipeline.models.interfaces import PeopleBackend
from pipeline.plan.cross_fades import with_cross_fades
from pipeline.plan.jump_cuts import find_jump_cuts
from pipeline.plan.people import describe_people
from pipeline.plan.subject import find_persons
from pipeline.report.people_stills import write_people_stills
from pipeline.request import JobRequest
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.process import prepare_process
from pipeline.settings import Settings
from pipeline.survey.survey import survey_clip


def find_people(
    request: JobRequest,
    settings: Settings,
    people: PeopleBackend,
    workspace: Path,
    *,
    clip: Clip | None = None,
    check: Check = lambda: None,
    progress: Progress = lambda stage, done, total: None,
) -> PeopleResult:
    """List the people of the clip, with a still of each: SURVEY alone. An empty list is a valid result.

    ``people`` are numbered as by ``run_job`` for the same part of the clip with the same settings. Everything else is
    as there.
    """
    timings: dict[str, float] = {}
    prepare_process()
    workspace.mkdir(parents=True, exist_ok=True)
    with opened_clip(request, settings, workspace, timings, clip, check, progress) as clip:
        info = clip.info
        with timed(timings, "survey"), closing(mask_store(clip, workspace)) as store:
            survey = survey_clip(
                clip,
                people,
                store,
                settings,
                workspace,
                check,
                # There is only this one pass; split screens are read twice.
                lambda _, done, total: progress("people", done, total),
            )
        with timed(timings, "plan"):
            shots = with_cross_fades(find_jump_cuts(survey), survey.blend_weights)
            persons = find_persons(survey.tracks, info, shots, survey.motion.world_from_source)
            found = describe_people(persons, info) if persons else ()
            stills = write_people_stills(request.output_dir, clip, found, check)
    warnings = info.warnings
    if len(persons) > len(found):
        warnings = (*warnings, f"{len(persons)} people were found; the first {len(found)} are told")
    report = PeopleReport(
        preset=settings.preset,
        people=found,
        frames=info.num_frames,
        duration_s=round(float(info.pts_seconds[-1]) + int(info.durations[-1]) * float(info.time_base), 6),
        width=info.size_wh[0],
        height=info.size_wh[1],
        timings_s={stage: round(value, 3) for stage, value in timings.items()},
        warnings=warnings,
    )
    return PeopleResult({"people": stills} if stills else {}, report)
