"""Plans for several people replaced in one job: each subject has its own, made from the one survey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.datatypes.plan import Plan, Presence, Subject
from pipeline.datatypes.survey import Person, Survey
from pipeline.errors import InvalidInput, SubjectError
from pipeline.models.interfaces import Needs
from pipeline.plan.plan import make_plan
from pipeline.request import JobRequest
from pipeline.settings import Settings
from pipeline.workspace.checkpoints import keep_if_intact

_SAME_SHARE = 0.1
"""Two subjects that share a track in more than this fraction of one's frames are one person."""


def make_plans(
    survey: Survey,
    requests: Sequence[JobRequest],
    settings: Settings,
    needs: Needs,
    folders: Sequence[Path],
    references: Sequence[Person | None] = (),
) -> tuple[Plan, ...]:
    """Return a plan per subject request, each stored in its own folder. See ``make_plan``.

    ``references`` are the people in the reference pictures, one per request; None where there is no picture.

    Also raises ``InvalidInput`` where two requests select the same person.
    """
    plans: list[Plan] = []
    for number, (request, folder) in enumerate(zip(requests, folders, strict=True)):
        folder.mkdir(parents=True, exist_ok=True)
        keep_if_intact(folder, folder / "plan.zip")
        try:
            plan = make_plan(survey, request, settings, needs, folder, references[number] if references else None)
        except (InvalidInput, SubjectError) as error:
            if len(requests) > 1 and error.field in (None, "subject"):
                error.field = f"subjects.{number}.subject"
            raise
        for earlier, other in enumerate(plans):
            if share_of_same(plan.subject, other.subject) > _SAME_SHARE:
                raise InvalidInput(
                    f"this is the person of subjects.{earlier}: each must be somebody else",
                    field=f"subjects.{number}.subject",
                )
        plans.append(plan)
    if len(plans) == 1:
        return (plans[0],)
    return tuple(_with_named_warnings(plan, number) for number, plan in enumerate(plans))


def share_of_same(one: Subject, other: Subject) -> float:
    """Return the fraction of the less visible subject's frames in which both have the same track."""
    found = (one.presence == Presence.FOUND), (other.presence == Presence.FOUND)
    least = min(int(each.sum()) for each in found)
    same = found[0] & found[1] & (one.track_of_frame == other.track_of_frame)
    return int(np.count_nonzero(same)) / least if least else 0.0


def _with_named_warnings(plan: Plan, number: int) -> Plan:
    return replace(plan, warnings=tuple(f"subject {number}: {warning}" for warning in plan.warnings))
