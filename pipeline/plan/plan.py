"""PLAN: every decision that needs no frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datatypes.plan import Plan, Presence
from pipeline.datatypes.survey import Person, Survey
from pipeline.errors import SubjectLost
from pipeline.models.interfaces import Needs
from pipeline.plan.body_scale import choose_body_scale
from pipeline.plan.camera_path import smooth_path
from pipeline.plan.contacts import find_contacts
from pipeline.plan.copies_around import copies_told
from pipeline.plan.crop_path import plan_crop_path
from pipeline.plan.cross_fades import cross_fades_told, pushes_told, with_cross_fades
from pipeline.plan.jump_cuts import find_jump_cuts
from pipeline.plan.segments import cut_chunks, cut_segments
from pipeline.plan.split_screens import split_screens_told
from pipeline.plan.subject import choose_subject
from pipeline.request import JobRequest
from pipeline.settings import Settings
from pipeline.workspace.checkpoints import write_checksum
from pipeline.workspace.values import load_values, save_values


def make_plan(
    survey: Survey,
    request: JobRequest,
    settings: Settings,
    needs: Needs,
    workspace: Path,
    reference: Person | None = None,
) -> Plan:
    """Decide everything that needs no frames: whom to replace, the camera path, contacts, segments, the crop path.

    The crop is as large as the generator ``needs`` it, with room for the person of the ``reference`` picture. The
    result is kept as ``plan.zip`` in ``workspace`` and read from there where it exists. Raises ``NoPerson``,
    ``SubjectLost`` and ``InvalidInput``.
    """
    path = workspace / "plan.zip"
    if path.exists():
        return load_values(path, Plan)
    info = survey.info
    motion = survey.motion
    panels = None if survey.overlays is None else survey.overlays.panels
    shots = with_cross_fades(find_jump_cuts(survey), survey.blend_weights)
    seconds = info.pts_seconds
    camera = smooth_path(motion, shots, seconds, info.size_wh, settings.stabilize.window_seconds)
    subject, warnings = choose_subject(
        survey.tracks, info, shots, motion.world_from_source, settings.people.max_gap_seconds, request.subject,
        None if panels is None else panels.whole_frames(info.num_frames, info.size_wh),
    )  # fmt: skip
    uncertain = np.flatnonzero(subject.presence == Presence.UNCERTAIN)
    if len(uncertain) and request.on_lost == "error":
        raise SubjectLost(
            f"the subject is not clearly visible in {len(uncertain)} frames, first in frame {uncertain[0]}"
        )
    segments = cut_segments(subject, motion.world_from_source, shots, seconds, settings.segment)
    held = int(np.count_nonzero(~motion.reliable))
    if held:
        told = f"the camera's motion could not be measured in {held} frames and was estimated from those beside them"
        warnings = (*warnings, told)
    body_scale, unknown = choose_body_scale(settings.generate.body_scale, subject, reference)
    plan = Plan(
        shot_starts=shots,
        segments=segments,
        chunks=cut_chunks(segments, seconds, settings.segment.chunk_seconds),
        camera=camera,
        subject=subject,
        contacts=find_contacts(subject, motion, shots, seconds, settings.foot_lock),
        crop=plan_crop_path(subject, camera, shots, info, needs.crop_size_wh, needs.max_crop_height_px, body_scale),
        warnings=(
            *warnings,
            *cross_fades_told(survey.blend_weights, info),
            *pushes_told(survey.pushes, info),
            *split_screens_told(survey.split_screens, info),
            *copies_told(survey.overlays, info),
            *unknown,
        ),
        overlays=survey.overlays,
        body_scale=body_scale,
        blend_weights=survey.blend_weights,
        light_steps=survey.light_steps,
    )
    save_values(path, plan)
    write_checksum(workspace, path)
    return plan
