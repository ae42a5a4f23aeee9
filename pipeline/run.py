"""One job, from a clip to the same clip with its person replaced. Read this first.

::

    SURVEY   one read     shots, camera motion, people
    PLAN     no frames    subject, contacts, camera path, segments, chunks, crop path
    PLATE    few frames   the clean background
    PERFORM  one read     layers of the new person, chunk by chunk
    FINISH   one read     one map, composite, encode, report

What each pass leaves in the workspace is a checkpoint: a pass (or chunk) whose file is there is not done again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Chunk, Frame, Layer, Plan, Presence, Survey, Track
from pipeline.errors import SubjectLost
from pipeline.finish.finish import Finish, finish
from pipeline.finish.stills import choose_stills, finish_stills, plan_of_stills
from pipeline.media.decode import Clip, luma_of, open_clip, rgb_of
from pipeline.models.interfaces import Check, Generator, PeopleBackend
from pipeline.models.registry import make_people
from pipeline.perform.appearance import find_appearance
from pipeline.perform.backends import Plug, make_plug
from pipeline.perform.color_drift import ColourAnchor, anchor_of, hold_colours
from pipeline.perform.generate import CropReader, generate_layers
from pipeline.perform.temporal import reduce_flicker
from pipeline.perform.windows import lead_in
from pipeline.plan.contacts import find_contacts
from pipeline.plan.crop_path import follow_subject
from pipeline.plan.segments import CutDetector, cut_chunks, cut_segments
from pipeline.plan.subject import SubjectChoice, SubjectMasks, choose_subject
from pipeline.plate.plate import PlateSet, load_plates, make_plates
from pipeline.report.result import facts_of
from pipeline.runtime.malloc import settle_heap, trim_heap
from pipeline.runtime.prefetch import read_ahead
from pipeline.settings import Settings
from pipeline.survey.camera import CameraEstimator, smooth_path
from pipeline.survey.people import PeopleFollower, Seen
from pipeline.workspace.checkpoints import discard_damaged, is_sealed, is_whole, seal
from pipeline.workspace.masks import LayerReader, MaskStore, load_values, save_values, write_layers

Progress = Callable[[str, int, int], None]
"""(stage, frames done, frames in all)."""
ARTIFACTS = ("analysis", "mask", "edit_region", "plate", "layer", "report", "contact_sheet")


@dataclass(frozen=True, slots=True, eq=False)
class JobRequest:
    """What a job is asked for, with everything fetched and checked."""

    video: Path
    output_dir: Path
    artifacts: tuple[str, ...] = ()
    """Of ``ARTIFACTS``."""
    seed: int = 0
    subject: SubjectChoice = "largest"
    on_lost: Literal["warn", "error"] = "warn"
    prompt: str = ""
    negative_prompt: str = ""
    reference: NDArray[np.uint8] | None = None
    """(H, W, 3 or 4) RGB or RGBA."""
    start_s: float | None = None
    end_s: float | None = None
    mode: Literal["replace", "frame"] = "replace"
    """The whole clip, or one finished frame a segment."""


@dataclass(frozen=True, slots=True, eq=False)
class JobResult:
    """What a job made, under its output folder."""

    video: Path | None
    """None in the mode ``frame``: there the artifact ``frame`` is the result."""
    artifacts: dict[str, list[Path]]
    report: dict[str, Any]
    """Everything of the result that is no file: DESIGN section 7."""
    timings_s: dict[str, float] = field(default_factory=dict)


def run_job(
    request: JobRequest,
    settings: Settings,
    workspace: Path,
    *,
    check: Check = lambda: None,
    progress: Progress = lambda stage, done, total: None,
) -> JobResult:
    """Replace the person and return where the result lies.

    ``workspace`` is the job's own folder for what lies between the passes; the caller removes it. ``check`` is
    called for every frame and may raise to stop the job. Raises the errors of ``pipeline.errors``.
    """
    settle_heap()
    request.output_dir.mkdir(parents=True, exist_ok=True)
    workspace.mkdir(parents=True, exist_ok=True)
    timings: dict[str, float] = {}

    with _timed(timings, "open"):
        clip = open_clip(request.video, settings.limits, start_s=request.start_s, end_s=request.end_s)
        people = make_people(settings.people)
        plug = make_plug(settings, people)
        generator = plug.generator
        appearance = find_appearance(request.prompt, request.negative_prompt, request.reference, people)
    survey_path, masks_path = workspace / "survey.zip", workspace / "masks.zip"
    discard_damaged(survey_path, masks_path, workspace / "plan.zip")
    if not (survey_path.exists() and masks_path.exists()):
        # One tells of the other.
        survey_path.unlink(missing_ok=True)
        masks_path.unlink(missing_ok=True)
    store = MaskStore(masks_path, clip.info.size_wh)
    try:
        with _timed(timings, "survey"):
            survey = _survey(clip, people, store, settings, workspace, check, progress)
        with _timed(timings, "plan"):
            plan = _plan(survey, request, settings, generator, workspace)
        # Its background points are the largest thing that grows with the clip (4 kB a frame); the plan is enough now.
        del survey
        trim_heap()
        stills = choose_stills(plan) if request.mode == "frame" else []
        if request.mode == "frame":
            needs = generator.needs
            plan = plan_of_stills(plan, stills, needs.window_frames, can_be_alone=needs.conditioning_frames == 0)
            # Chunks that do not touch have nothing to be faded over.
            composite = settings.composite.model_copy(update={"crossfade": False})
            settings = settings.model_copy(update={"composite": composite})
        masks = SubjectMasks(store, plan.subject, plan.camera.world_from_source, clip.info)
        with _timed(timings, "plate"):
            plates = _plates(clip, plan, masks, settings, workspace, check, progress)
        with _timed(timings, "perform"):
            generator.prepare(appearance)
            _perform(clip, plan, masks, plates, plug, settings, request.seed, workspace, check, progress)
        trim_heap()
        job = Finish(
            clip=clip,
            plan=plan,
            masks=masks,
            plates=plates,
            chunks=[(chunk, chunk_path(workspace, chunk)) for chunk in plan.chunks],
            settings=settings,
            seed=request.seed,
            artifacts=frozenset(request.artifacts),
            output_dir=request.output_dir,
            reference_person=appearance.reference_person,
        )
        with _timed(timings, "finish"):
            if request.mode == "frame":
                pictures = finish_stills(job, stills, check, progress)
            else:
                finished = finish(job, check, progress)
    finally:
        store.close()
    if request.mode == "frame":
        facts = facts_of(clip.info, plan, settings, request.seed, timings, {"frames_replaced": len(stills)}, ())
        return JobResult(None, {"frame": pictures}, facts | {"stills": stills}, timings)
    facts = facts_of(clip.info, plan, settings, request.seed, timings, finished.quality, finished.warnings)
    artifacts = finished.write_report(facts)
    return JobResult(finished.video, artifacts, facts, timings)


def chunk_path(workspace: Path, chunk: Chunk) -> Path:
    """Return where a chunk's layers are spooled."""
    return workspace / "layers" / f"chunk_{chunk.index:04d}.zip"


def _survey(
    clip: Clip,
    people: PeopleBackend,
    store: MaskStore,
    settings: Settings,
    workspace: Path,
    check: Check,
    progress: Progress,
) -> Survey:
    path = workspace / "survey.zip"
    if path.exists():
        return load_values(path, Survey)
    info = clip.info
    cuts = CutDetector(info, settings.segment)
    follower = PeopleFollower(info, settings.people, people, store)
    camera = CameraEstimator(info, settings.stabilize)
    shot_starts = [0]

    def looked_at() -> Iterator[tuple[Frame, bool, Seen]]:
        for frames in _batches(read_ahead(clip.frames()), follower.batch_frames):
            pictures = [rgb_of(frame) for frame in frames]
            follower.look_ahead(pictures)
            for frame, picture in zip(frames, pictures, strict=True):
                is_cut = cuts.push(picture, frame.index) and frame.index > 0
                yield frame, is_cut, follower.push(frame.index, picture, is_cut)

    # The camera of one frame is measured while the people of the next are looked for.
    with closing(read_ahead(looked_at())) as ahead:
        for frame, is_cut, seen in ahead:
            check()
            if is_cut:
                shot_starts.append(frame.index)
            camera.push(luma_of(frame), seen.everyone, seen.feet_px, is_cut)
            progress("survey", frame.index + 1, info.num_frames)
    tracks: tuple[Track, ...] = follower.finish()
    store.close()
    survey = Survey(info, np.array(shot_starts, np.int64), camera.finish(), tracks)
    save_values(path, survey)
    return survey


def _batches(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    while some := list(islice(frames, size)):
        yield some


def _plan(survey: Survey, request: JobRequest, settings: Settings, generator: Generator, workspace: Path) -> Plan:
    path = workspace / "plan.zip"
    if path.exists():
        return load_values(path, Plan)
    info, motion, shots = survey.info, survey.motion, survey.shot_starts
    seconds = info.pts_seconds
    camera = smooth_path(motion, shots, seconds, info.size_wh, settings.stabilize)
    subject, warnings = choose_subject(
        survey.tracks, info, shots, motion.world_from_source, settings.people, request.subject
    )
    uncertain = np.flatnonzero(subject.presence == Presence.UNCERTAIN)
    if len(uncertain) and request.on_lost == "error":
        raise SubjectLost(f"the subject is not clearly seen in {len(uncertain)} frames, first in frame {uncertain[0]}")
    segments = cut_segments(subject, motion.world_from_source, shots, seconds, settings.segment)
    held = int(np.count_nonzero(~motion.reliable))
    if held:
        warnings = (*warnings, f"the camera's motion could not be measured in {held} frames and was held")
    plan = Plan(
        shot_starts=shots,
        segments=segments,
        chunks=cut_chunks(segments, seconds, settings.segment),
        camera=camera,
        subject=subject,
        contacts=find_contacts(subject, motion, shots, seconds, settings.foot_lock),
        crop=follow_subject(
            subject, camera, shots, info, generator.needs.crop_size_wh, settings.generate.crop_height_px
        ),
        warnings=warnings,
    )
    save_values(path, plan)
    return plan


def _plates(
    clip: Clip,
    plan: Plan,
    masks: SubjectMasks,
    settings: Settings,
    workspace: Path,
    check: Check,
    progress: Progress,
) -> PlateSet | None:
    if settings.plate.method == "off":
        return None
    folder = workspace / "plates"
    if is_sealed(folder):
        return load_plates(folder)
    shutil.rmtree(folder, ignore_errors=True)
    plates = make_plates(
        clip,
        plan.camera,
        plan.shot_starts,
        _needs_plates(plan),
        masks.everyone,
        plan.subject.body_height_px,
        settings.plate,
        folder,
        check,
        lambda done, total: progress("plate", done, total),
    )
    seal(folder)
    return plates


def _needs_plates(plan: Plan) -> NDArray[np.bool_]:
    """Return (T,): the frames that are made, and show the subject."""
    needed = np.zeros(len(plan.subject.presence), np.bool_)
    for chunk in plan.chunks:
        needed[chunk.start : chunk.stop] = True
    return np.asarray(needed & (plan.subject.presence > Presence.ABSENT), np.bool_)


def _perform(
    clip: Clip,
    plan: Plan,
    masks: SubjectMasks,
    plates: PlateSet | None,
    plug: Plug,
    settings: Settings,
    seed: int,
    workspace: Path,
    check: Check,
    progress: Progress,
) -> None:
    generator, needs = plug.generator, plug.generator.needs
    crops = CropReader(clip, plan, masks.old, plates)
    overlap = settings.segment.overlap_frames if settings.composite.crossfade else 0
    restarts = frozenset(segment.start for segment in plan.segments)
    todo = [not is_whole(chunk_path(workspace, chunk)) for chunk in plan.chunks]
    controls = plug.controls(lambda: crops.samples(plan)) if any(todo) else None
    anchor: ColourAnchor | None = None
    earlier: Chunk | None = None
    for chunk, is_open in zip(plan.chunks, todo, strict=True):
        path = chunk_path(workspace, chunk)
        start = chunk.start - lead_in(chunk, earlier, overlap)
        goes_on = earlier is not None and earlier.segment == chunk.segment and earlier.stop == chunk.start
        before = _finished(workspace, earlier, start, needs.conditioning_frames) if goes_on and is_open else ()
        earlier = chunk
        if is_open:
            layers = generate_layers(
                plan,
                start,
                chunk.stop,
                generator,
                seed=seed,
                overlap_frames=overlap,
                pts_seconds=clip.info.pts_seconds,
                crops=crops,
                check=check,
                controls=controls,
                cutter=plug.cutter(),
                before=before,
            )
            if not needs.gives_alpha:
                layers = hold_colours(layers, anchor)
            if settings.temporal.method == "flow":
                layers = reduce_flicker(crops.beside(layers), restarts, settings.temporal)
            write_layers(path, _counted(layers, clip.info.num_frames, progress))
            generator.rest()
        if anchor is None and not needs.gives_alpha:
            # From the spool, not from memory: a job that goes on after a kill finds the same.
            anchor = _anchor(path, needs.window_frames)


def _finished(workspace: Path, chunk: Chunk | None, start: int, most: int) -> tuple[Layer, ...]:
    """Return the layers from ``start`` on that the chunk before has made."""
    if chunk is None or most == 0:
        return ()
    with closing(LayerReader(chunk_path(workspace, chunk))) as reader:
        return tuple(reader.read(frame) for frame in range(start, min(start + most, chunk.stop)))


def _anchor(path: Path, most: int) -> ColourAnchor | None:
    with closing(LayerReader(path)) as reader:
        return anchor_of(reader.read(frame) for frame in islice(reader.frames(), most))


def _counted(layers: Iterator[tuple[int, Any]], total: int, progress: Progress) -> Iterator[tuple[int, Any]]:
    for frame, layer in layers:
        yield frame, layer
        progress("perform", frame + 1, total)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - begin
