"""One job, from a clip to the same clip with its person replaced. Read this first.

::

    SURVEY   one read     shots, camera motion, people
    PLAN     no frames    subject, contacts, camera path, segments, chunks, crop path
    PLATE    few frames   light and shadow, the clean background
    SCENE    some frames  what stands in front of the subject, what is carried, what moves, what mirrors them
    PERFORM  one read     layers of the new person, chunk by chunk
    FINISH   one read     one map, composite, encode, figures

and then the report: page, contact sheet, result fields.

The files that each pass leaves in the workspace are checkpoints: a pass (or chunk) whose file exists is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.plan import Plan
from pipeline.errors import InvalidInput
from pipeline.finish.finish import finish
from pipeline.finish.inputs import FinishInputs
from pipeline.finish.layer_pictures import LEGEND, layer_pictures
from pipeline.finish.reflections import find_reflections
from pipeline.finish.stills import finish_stills
from pipeline.job_steps import mask_store, opened_clip, timed
from pipeline.media.clip import Clip
from pipeline.media.output_format import choose_output_format
from pipeline.models.loaded import LoadedModels
from pipeline.perform.appearance import find_appearance
from pipeline.perform.perform import perform_clip
from pipeline.perform.sharing import ShareChunks, draw_all
from pipeline.plan.several import make_plans
from pipeline.plan.stills import choose_stills, plans_of_stills
from pipeline.plate.lighting import estimate_lighting
from pipeline.plate.plate import plate_clip
from pipeline.report.page import LayersShown, write_reports
from pipeline.report.result import make_report
from pipeline.request import JobRequest
from pipeline.result import JobResult, Quality
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.malloc import limit_malloc_arenas, trim_malloc
from pipeline.scene.learn import learn_scene
from pipeline.settings import Settings
from pipeline.survey.survey import survey_clip
from pipeline.workspace.layers import chunk_path, subject_folder
from pipeline.workspace.subject_masks import SubjectMasks

ShareSubjects = Callable[[int], ShareChunks]
"""Maps a subject's index to the distributor of its chunks."""


def run_job(
    request: JobRequest,
    settings: Settings,
    models: LoadedModels,
    workspace: Path,
    *,
    clip: Clip | None = None,
    check: Check = lambda: None,
    progress: Progress = lambda stage, done, total: None,
    share: ShareSubjects | None = None,
) -> JobResult:
    """Replace the person and return the result.

    ``workspace`` is the job's own folder for intermediate files; the caller removes it. ``clip`` is the
    request's video where the caller has opened it already. ``check`` is called for every frame and may raise to stop
    the job. ``share`` distributes chunks to other workers: called for each subject once all inputs of generation are in
    ``workspace``. Raises the errors of ``pipeline.errors``.
    """
    timings: dict[str, float] = {}
    with (
        opened_clip(request, settings, workspace, timings, clip, check, progress) as clip,
        _prepared(request, settings, models, workspace, timings, clip, check, progress, share=share) as (inputs, _),
    ):
        with timed(timings, "finish"):
            finished = finish(inputs, check, progress)
        warnings = (*_generator_warnings(inputs), *finished.warnings)
        plans = [each.plan for each in inputs.subjects]
        report = make_report(
            inputs.clip.info,
            plans,
            settings,
            request.seed,
            timings,
            finished.quality,
            warnings,
            finished.subjects,
        )
        reports = write_reports(
            request.output_dir,
            inputs.artifacts,
            inputs.clip,
            finished.written,
            plans,
            settings,
            report,
            finished.series,
            LayersShown(lambda frames: layer_pictures(inputs, frames), LEGEND),
        )
    return JobResult(finished.video, {**finished.artifacts, **reports}, report, timings)


def run_stills(
    request: JobRequest,
    settings: Settings,
    models: LoadedModels,
    workspace: Path,
    *,
    clip: Clip | None = None,
    check: Check = lambda: None,
    progress: Progress = lambda stage, done, total: None,
) -> JobResult:
    """As ``run_job``, for one finished frame per segment: the artifact ``frame``, and no video."""
    timings: dict[str, float] = {}
    # Chunks that are not adjacent have nothing to crossfade.
    settings = settings.model_copy(update={"composite": settings.composite.model_copy(update={"crossfade": False})})
    with (
        opened_clip(request, settings, workspace, timings, clip, check, progress) as clip,
        _prepared(request, settings, models, workspace, timings, clip, check, progress, only_stills=True) as (
            inputs,
            plan,
        ),
    ):
        stills = choose_stills(plan)
        with timed(timings, "finish"):
            pictures = finish_stills(inputs, stills, check, progress)
    quality = Quality(frames_replaced=len(stills))
    plans = [each.plan for each in inputs.subjects]
    report = make_report(inputs.clip.info, plans, settings, request.seed, timings, quality, _generator_warnings(inputs))
    return JobResult(None, {"frame": pictures}, report.model_copy(update={"stills": tuple(stills)}), timings)


@contextmanager
def _prepared(
    request: JobRequest,
    settings: Settings,
    models: LoadedModels,
    workspace: Path,
    timings: dict[str, float],
    clip: Clip,
    check: Check,
    progress: Progress,
    *,
    only_stills: bool = False,
    share: ShareSubjects | None = None,
) -> Iterator[tuple[FinishInputs, Plan]]:
    """Run SURVEY to PERFORM; yield the inputs of FINISH, while the masks are open, and the plan."""
    limit_malloc_arenas()
    request.output_dir.mkdir(parents=True, exist_ok=True)
    workspace.mkdir(parents=True, exist_ok=True)
    needs = models.generator.needs

    requests = request.for_each_subject()
    with timed(timings, "open"):
        if not only_stills:
            # Detect an encoder that refuses now, not after the work.
            choose_output_format(clip.info, settings.output)
        appearances = [_appearance(each, models, number, len(requests)) for number, each in enumerate(requests)]
    store = mask_store(clip, workspace)
    folders = [subject_folder(workspace, number) for number in range(len(requests))]
    try:
        with timed(timings, "survey"):
            survey = survey_clip(clip, models.people, store, settings, workspace, check, progress)
        with timed(timings, "plan"):
            plans = make_plans(survey, requests, settings, needs, folders)
        # Its background points are the largest data that grow with the clip (4 kB per frame); from here on the plan
        # suffices.
        del survey
        trim_malloc()
        if only_stills:
            plans = plans_of_stills(plans, needs.window_frames, can_be_alone=needs.conditioning_frames == 0)
        masks = [
            SubjectMasks(store, plan.subject, plan.camera.world_from_source, clip.info, plan.overlays) for plan in plans
        ]
        of_each = list(zip(plans, masks, folders, strict=True))
        with timed(timings, "plate"):
            lighting = [estimate_lighting(clip, plan, of_one, settings, own, check) for plan, of_one, own in of_each]
            shadows = [thrown for _, thrown in lighting]
            plates = plate_clip(clip, plans, masks, shadows, settings, workspace, check, progress)
        with timed(timings, "scene"):
            scenes = [learn_scene(clip, plan, of_one, plates, own, check, progress) for plan, of_one, own in of_each]
            reflections = [
                find_reflections(clip, plan, of_one, plates, settings.composite.shadows, check)
                for plan, of_one, _ in of_each
            ]
        notes: list[tuple[str, ...]] = []
        with timed(timings, "perform"):
            for number, (plan, of_one, own) in enumerate(of_each):
                notes.append(models.generator.prepare(appearances[number]))
                if models.figure is not None:
                    # What it cannot adopt is left to the generator.
                    models.figure.prepare(appearances[number])
                perform_clip(
                    clip,
                    plan,
                    of_one,
                    plates,
                    lighting[number][0],
                    models,
                    settings,
                    requests[number].seed,
                    own,
                    check,
                    _part_of(progress, number, len(requests)),
                    draw_all if share is None else share(number),
                )
        trim_malloc()
        inputs = [
            FinishInputs(
                clip=clip,
                plan=plans[number],
                masks=masks[number],
                plates=plates,
                scene=scenes[number],
                shadows=shadows[number],
                reflections=reflections[number],
                chunks=[(chunk, chunk_path(folders[number], chunk)) for chunk in plans[number].chunks],
                settings=settings,
                seed=request.seed,
                artifacts=frozenset(request.artifacts),
                output_dir=request.output_dir,
                reference_person=appearances[number].reference_person,
                generator_warnings=notes[number],
            )
            for number in range(len(requests))
        ]
        yield replace(inputs[0], further=tuple(inputs[1:])), plans[0]
    finally:
        store.close()


def _generator_warnings(inputs: FinishInputs) -> tuple[str, ...]:
    """Return what the generator could not adopt, naming the subject where there are several."""
    if not inputs.further:
        return inputs.generator_warnings
    return tuple(
        f"subject {number}: {warning}"
        for number, each in enumerate(inputs.subjects)
        for warning in each.generator_warnings
    )


def _appearance(request: JobRequest, models: LoadedModels, number: int, count: int) -> Appearance:
    """Return the new person for one subject; with several, an error names the reference that caused it."""
    try:
        return find_appearance(
            request.prompt, request.negative_prompt, request.reference, models.people, request.more_references
        )
    except InvalidInput as error:
        if count > 1 and error.field is not None:
            single = error.field.replace("reference_image_urls.", "").replace("reference_image_url", "0")
            error.field = f"subjects.{number}.reference_image_urls.{single}"
        raise


def _part_of(progress: Progress, number: int, count: int) -> Progress:
    """Return the progress of one of several subjects, who are generated one after the other."""
    if count == 1:
        return progress
    return lambda stage, done, total: progress(stage, number * total + done, count * total)
