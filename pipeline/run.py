"""One job, from a clip to the same clip with its person replaced. Read this first.

::

    SURVEY   one read     shots, camera motion, people
    PLAN     no frames    subject, contacts, camera path, segments, chunks, crop path
    PLATE    few frames   light and shadow, the clean background
    SCENE    some frames  what stands in front of the subject, what is carried, what moves, what mirrors them
    PERFORM  one read     layers of the new person, chunk by chunk
    FINISH   one read     one map, composite, encode, figures

and then the report: page, contact sheet, result fields. PERFORM runs beside PLATE, SCENE and FINISH: it starts as soon
as its inputs are there, and FINISH follows it chunk by chunk, so that neither a card nor the processor waits.

The files that each pass leaves in the workspace are checkpoints: a pass (or chunk) whose file exists is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.light import CastShadows, SceneLight
from pipeline.datatypes.plan import Plan
from pipeline.errors import InvalidInput
from pipeline.finish.finish import finish
from pipeline.finish.inputs import FinishInputs
from pipeline.finish.layer_pictures import LEGEND, layer_pictures
from pipeline.finish.reflections import find_reflections
from pipeline.finish.stills import finish_stills
from pipeline.job_steps import clip_without_panels, mask_store, opened_clip, subject_masks, timed
from pipeline.media.clip import Clip
from pipeline.media.output_format import choose_output_format
from pipeline.models.interfaces import RestingPeopleBackend
from pipeline.models.loaded import LoadedModels
from pipeline.perform.appearance import find_appearance
from pipeline.perform.backends import prepare_models
from pipeline.perform.inputs import PerformInputs
from pipeline.perform.perform import perform_clip
from pipeline.perform.sharing import ShareChunks, draw_all
from pipeline.plan.several import make_plans
from pipeline.plan.stills import choose_stills, plans_of_stills
from pipeline.plate.lighting import estimate_lighting
from pipeline.plate.plate import plate_clip
from pipeline.plate.plate_set import PlateSet
from pipeline.report.page import LayersShown, ReportInputs, write_reports
from pipeline.report.result import JobFacts, make_report
from pipeline.request import JobRequest, points_of
from pipeline.result import JobResult, Quality
from pipeline.runtime.beside import Beside
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.malloc import trim_malloc
from pipeline.runtime.process import prepare_process
from pipeline.scene.learn import learn_scene
from pipeline.settings import Settings
from pipeline.subjects import PlannedSubject, Surroundings, finish_inputs, generator_warnings
from pipeline.survey.survey import survey_clip
from pipeline.workspace.layers import subject_folder
from pipeline.workspace.masks import MaskStore

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
    the job; it and ``progress`` are called from several threads, ``progress`` from one at a time. ``share`` distributes
    chunks to other workers: called for each subject once all inputs of generation are in ``workspace``. Raises the
    errors of ``pipeline.errors``.
    """
    job = _Job(request, settings, models, workspace, check, progress)
    with (
        opened_clip(request, settings, workspace, job.timings, clip, check, progress) as clip,
        _prepared(job, clip, share=share) as inputs,
    ):
        with timed(job.timings, "finish"):
            finished = finish(inputs, job.check_both, job.finish_progress)
        job.drawing.wait()
        warnings = (*generator_warnings(job.notes), *finished.warnings)
        report = make_report(job.facts(inputs), finished.quality, warnings, finished.subjects)
        reports = write_reports(
            request.output_dir,
            inputs.artifacts,
            ReportInputs(
                source=inputs.clip,
                written=finished.written,
                plans=[each.plan for each in inputs.subjects],
                settings=settings,
                facts=report,
                series=finished.series,
                layers=LayersShown(lambda frames: layer_pictures(inputs, frames), LEGEND),
            ),
        )
    return JobResult(finished.video, {**finished.artifacts, **reports}, report, job.timings)


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
    # Chunks that are not adjacent have nothing to crossfade.
    settings = settings.model_copy(update={"composite": settings.composite.model_copy(update={"crossfade": False})})
    job = _Job(request, settings, models, workspace, check, progress)
    with (
        opened_clip(request, settings, workspace, job.timings, clip, check, progress) as clip,
        _prepared(job, clip, only_stills=True) as inputs,
    ):
        stills = choose_stills(inputs.plan)
        with timed(job.timings, "finish"):
            pictures = finish_stills(inputs, stills, job.check_both, job.finish_progress)
        job.drawing.wait()
    quality = Quality(frames_replaced=len(stills))
    report = make_report(job.facts(inputs), quality, generator_warnings(job.notes))
    return JobResult(None, {"frame": pictures}, report.model_copy(update={"stills": tuple(stills)}), job.timings)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A job while it runs: what is asked, what it is done with, and how long each stage took."""

    request: JobRequest
    settings: Settings
    models: LoadedModels
    workspace: Path
    check: Check
    progress: Progress
    timings: dict[str, float] = field(default_factory=dict)
    """PERFORM's contains the time in which other passes ran beside it."""
    notes: list[tuple[str, ...]] = field(default_factory=list)
    """What the generator could not adopt, for each subject; complete once everybody is drawn."""
    drawing: Beside = field(default_factory=Beside)
    """PERFORM, which runs beside the other passes."""
    _telling: Lock = field(default_factory=Lock)

    def check_both(self) -> None:
        """Check, for the passes beside which PERFORM runs: they end when it fails."""
        self.drawing.raise_if_failed()
        self.check()

    def check_drawing(self) -> None:
        """Check, for PERFORM: it ends when the others fail."""
        self.drawing.check()
        self.check()

    def tell(self, stage: str, done: int, total: int) -> None:
        """Report progress, one thread at a time."""
        with self._telling:
            self.progress(stage, done, total)

    def finish_progress(self, stage: str, done: int, total: int) -> None:
        """Report FINISH's progress once PERFORM has ended: until then it follows it, and the job is as far as that."""
        if self.drawing.is_done or done == total:
            self.tell(stage, done, total)

    def facts(self, inputs: FinishInputs) -> JobFacts:
        """Return what the report says besides the metrics."""
        plans = tuple(each.plan for each in inputs.subjects)
        return JobFacts(inputs.clip.info, plans, self.settings.preset, self.request.seed, self.timings)


@contextmanager
def _prepared(
    job: _Job, clip: Clip, *, only_stills: bool = False, share: ShareSubjects | None = None
) -> Iterator[FinishInputs]:
    """Run SURVEY to PERFORM; yield the inputs of FINISH, while the masks are open."""
    prepare_process()
    job.request.output_dir.mkdir(parents=True, exist_ok=True)
    job.workspace.mkdir(parents=True, exist_ok=True)
    requests = job.request.for_each_subject()
    with timed(job.timings, "open"):
        if not only_stills:
            # Detect an encoder that refuses now, not after the work.
            choose_output_format(clip.info, job.settings.output)
        appearances = [_appearance(each, job.models, number, len(requests)) for number, each in enumerate(requests)]
    with closing(mask_store(clip, job.workspace)) as store:
        plans, folders = _survey_and_plan(job, clip, store, requests, appearances, only_stills=only_stills)
        subjects = [
            PlannedSubject(
                number, requests[number], appearances[number], plan, subject_masks(store, plan, clip), folder
            )
            for number, (plan, folder) in enumerate(zip(plans, folders, strict=True))
        ]
        # What a panel lies over is seen; only SURVEY and the frames that are written have it.
        scene = clip_without_panels(clip, plans[0])
        lights = _lighting(job, scene, subjects)
        with job.drawing:
            # Layers that need no plates are drawn beside them.
            is_early = "plates" not in job.models.generator.needs.inputs
            if is_early:
                job.drawing.start(partial(_perform, job, scene, subjects, lights, None, share))
            plates = _plates(job, scene, subjects, lights)
            if not is_early:
                job.drawing.start(partial(_perform, job, scene, subjects, lights, plates, share))
            surroundings = _scenes(job, scene, subjects, lights, plates)
            inputs = [
                finish_inputs(clip, subject, around, job.settings, job.request, job.drawing)
                for subject, around in zip(subjects, surroundings, strict=True)
            ]
            yield replace(inputs[0], further=tuple(inputs[1:]))


def _survey_and_plan(
    job: _Job,
    clip: Clip,
    store: MaskStore,
    requests: Sequence[JobRequest],
    appearances: Sequence[Appearance],
    *,
    only_stills: bool,
) -> tuple[Sequence[Plan], list[Path]]:
    """Return the plan of each subject, and the folder of its files."""
    needs = job.models.generator.needs
    folders = [subject_folder(job.workspace, number) for number in range(len(requests))]
    with timed(job.timings, "survey"):
        survey = survey_clip(
            clip, job.models.people, store, job.settings, job.workspace, job.check, job.progress,
            points_of(requests[0].subject),
        )  # fmt: skip
    with timed(job.timings, "plan"):
        plans = make_plans(
            survey, requests, job.settings, needs, folders, [each.reference_person for each in appearances]
        )
    # Its background points are the largest data that grow with the clip (4 kB per frame); from here on the plan
    # suffices.
    del survey
    if isinstance(job.models.people, RestingPeopleBackend):
        job.models.people.rest()
    trim_malloc()
    if only_stills:
        plans = plans_of_stills(plans, needs.window_frames, can_be_alone=needs.conditioning_frames == 0)
    return plans, folders


def _lighting(job: _Job, clip: FrameSource, subjects: Sequence[PlannedSubject]) -> list[tuple[SceneLight, CastShadows]]:
    with timed(job.timings, "plate"):
        return [
            estimate_lighting(clip, each.plan, each.masks, job.settings, each.folder, job.check) for each in subjects
        ]


def _plates(
    job: _Job, clip: FrameSource, subjects: Sequence[PlannedSubject], lights: Sequence[tuple[SceneLight, CastShadows]]
) -> PlateSet | None:
    """Return the plates, which are the same for all subjects."""
    plans = [each.plan for each in subjects]
    masks = [each.masks for each in subjects]
    shadows = [thrown for _, thrown in lights]
    with timed(job.timings, "plate"):
        return plate_clip(clip, plans, masks, shadows, job.settings, job.workspace, job.check_both, job.tell)


def _scenes(
    job: _Job,
    clip: FrameSource,
    subjects: Sequence[PlannedSubject],
    lights: Sequence[tuple[SceneLight, CastShadows]],
    plates: PlateSet | None,
) -> list[Surroundings]:
    """Return the surroundings of each subject."""
    check = job.check_both
    method = job.settings.composite.shadows
    found = []
    with timed(job.timings, "scene"):
        for each, (light, thrown) in zip(subjects, lights, strict=True):
            scene = learn_scene(clip, each.plan, each.masks, plates, each.folder, check, job.tell)
            reflections = find_reflections(clip, each.plan, each.masks, plates, method, check)
            found.append(Surroundings(plates, light, thrown, scene, reflections))
    return found


def _perform(
    job: _Job,
    clip: FrameSource,
    subjects: Sequence[PlannedSubject],
    lights: Sequence[tuple[SceneLight, CastShadows]],
    plates: PlateSet | None,
    share: ShareSubjects | None,
) -> None:
    """Generate the layers of all subjects, one after the other."""
    with timed(job.timings, "perform"):
        if share is not None:
            # Other workers get the fitted people of all subjects with the first one's chunks.
            for subject in subjects[1:]:
                prepare_models(job.models, subject.appearance, subject.folder)
        for subject, (light, _) in zip(subjects, lights, strict=True):
            job.notes.append(prepare_models(job.models, subject.appearance, subject.folder))
            perform_clip(
                PerformInputs(clip, subject.plan, subject.masks, plates, light, subject.request.seed, subject.folder),
                job.models,
                job.settings,
                job.check_drawing,
                _part_of(job.tell, subject.number, len(subjects)),
                draw_all if share is None else share(subject.number),
                job.drawing.announce,
            )
    trim_malloc()


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
