"""The request of a job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PointChoice:
    """The person at a point of the upright source picture at a time from the clip's start."""

    x: float
    y: float
    at_s: float


NamedChoice = Literal["largest", "leftmost", "rightmost", "centre"]
NAMED_CHOICES: tuple[NamedChoice, ...] = get_args(NamedChoice)
SubjectChoice = NamedChoice | int | PointChoice | tuple[PointChoice, ...]
"""Several points, in any order: each selects the person around its time."""


def points_of(choice: SubjectChoice) -> tuple[PointChoice, ...]:
    """Return the points by which a person is chosen; none where they are chosen otherwise."""
    if isinstance(choice, PointChoice):
        return (choice,)
    return choice if isinstance(choice, tuple) else ()


@dataclass(frozen=True, slots=True, eq=False)
class FurtherSubject:
    """One more person to replace in the same job, with their new person; the fields are those of ``JobRequest``."""

    subject: SubjectChoice
    seed: int = 0
    prompt: str = ""
    reference: NDArray[np.uint8] | None = None
    more_references: tuple[NDArray[np.uint8], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class JobRequest:
    """The request of a job, with everything fetched and validated."""

    video: Path
    output_dir: Path
    artifacts: tuple[str, ...] = ()
    """Names of the files to write besides the video."""
    seed: int = 0
    subject: SubjectChoice = "largest"
    on_lost: Literal["warn", "error"] = "warn"
    prompt: str = ""
    negative_prompt: str = ""
    reference: NDArray[np.uint8] | None = None
    """(H, W, 3 or 4) RGB or RGBA."""
    more_references: tuple[NDArray[np.uint8], ...] = ()
    """The same person from other sides."""
    start_s: float | None = None
    end_s: float | None = None
    further_subjects: tuple[FurtherSubject, ...] = ()
    """Further people to replace, each a different one."""

    def for_each_subject(self) -> tuple[JobRequest, ...]:
        """Return a request of one subject for each person: the request's own fields first, then the further ones."""
        if not self.further_subjects:
            return (self,)
        own = replace(self, further_subjects=())
        further = [
            replace(
                own,
                subject=each.subject,
                seed=each.seed,
                prompt=each.prompt,
                reference=each.reference,
                more_references=each.more_references,
            )
            for each in self.further_subjects
        ]
        return (own, *further)
