"""Report a job's progress: on a terminal, in a log, or through the platform."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from pipeline.estimate import estimate_lines
from pipeline.mode_results import PersonReport
from pipeline.report.verdicts import telling_figures
from worker.output import CharacterAnswer, EstimateAnswer, FileAnswer, PeopleAnswer

STAGE_SHARE = {"survey": 0.15, "split_screen": 0.02, "plate": 0.30, "scene": 0.10, "perform": 0.15, "finish": 0.28}
"""Fraction of a preview job's time per stage, measured on walk_a, where PERFORM ran beside PLATE; used only to
estimate the time left. Only split screens and half bodies in blurred copies are read a second time."""
_BEFORE = {
    "survey": (),
    "split_screen": ("survey",),
    "plate": ("survey", "split_screen"),
    "scene": ("survey", "split_screen", "plate"),
    # It may run beside the plate and the scene.
    "perform": ("survey", "split_screen"),
    "finish": ("survey", "split_screen", "plate", "scene", "perform"),
}
"""Stages that have ended once a stage reports; those that are resumed report nothing themselves."""
_ONLY_STAGES = ("people", "character")
"""Stages that are the whole job in the modes of that name."""
_LINE_SECONDS = 5.0
_UPDATE_SECONDS = 2.0
"""Minimum interval between updates: each one is an HTTP request."""


class JobPercent:
    """The percentage of a whole job that is done, from the progress of its stages, which may overlap.

    ``generation_share`` is the additional fraction of the job's time, 0..1, that a diffusion generator takes.
    """

    def __init__(self, generation_share: float = 0.0) -> None:
        self._shares = {name: share * (1.0 - generation_share) for name, share in STAGE_SHARE.items()}
        self._shares["perform"] += generation_share
        self._done: dict[str, float] = {}
        self._percent = 0.0

    def update(self, stage: str, done: int, total: int) -> float:
        """Return the percentage, 0..100, which never falls; other stages than those of a job change nothing."""
        fraction = min(1.0, done / max(total, 1))
        if stage in _ONLY_STAGES:
            self._percent = max(self._percent, 100.0 * fraction)
        if stage in self._shares:
            self._done |= dict.fromkeys(_BEFORE[stage], 1.0) | {stage: fraction}
            percent = 100.0 * sum(self._shares[name] * part for name, part in self._done.items())
            self._percent = max(self._percent, min(percent, 100.0))
        return self._percent


class ConsoleProgress:
    """A progress bar per stage on a terminal, else a line every few seconds. A context manager and a ``Progress``."""

    def __init__(self, generation_share: float = 0.0, console: Console | None = None) -> None:
        self._percent = JobPercent(generation_share)
        self._console = console or Console(file=sys.stderr)
        self._bars = Bars(
            TextColumn("{task.description:>8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("frames"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, object] = {}
        self._begin = time.monotonic()
        self._said = self._begin

    def __call__(self, stage: str, done: int, total: int) -> None:
        if self._console.is_terminal:
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(stage, total=total)
            self._bars.update(self._tasks[stage], completed=done, total=total)  # type: ignore[arg-type]
            return
        now = time.monotonic()
        percent = self._percent.update(stage, done, total)
        first_of_stage = stage not in self._tasks
        self._tasks[stage] = None
        if first_of_stage or now - self._said >= _LINE_SECONDS:
            self._said = now
            left = seconds_left(now - self._begin, percent)
            about = f", about {left:.0f} s left" if left is not None else ""
            self._console.print(f"{stage}: {done}/{total} frames{about}", highlight=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


class PlatformProgress:
    """Throttled updates for a platform, ``{"stage", "percent", "eta_s"}``; never decreasing. A context manager."""

    def __init__(self, send: Callable[[dict[str, object]], None], generation_share: float = 0.0) -> None:
        """If ``send`` is a context manager itself, it is entered and exited with this one."""
        self._send = send
        self._percent = JobPercent(generation_share)
        self._begin = time.monotonic()
        self._sent = -_UPDATE_SECONDS

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic() - self._begin
        percent = self._percent.update(stage, done, total)
        if now - self._sent < _UPDATE_SECONDS:
            return
        self._sent = now
        left = seconds_left(now, percent)
        self._send({"stage": stage, "percent": round(percent, 1), "eta_s": None if left is None else round(left)})

    def __enter__(self) -> Self:
        self._held = ExitStack()
        if isinstance(self._send, AbstractContextManager):
            self._held.enter_context(self._send)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()


def seconds_left(elapsed_seconds: float, percent: float) -> float | None:
    """Return the seconds left, extrapolated from the speed so far; None in the first percent."""
    return None if percent < 1.0 else elapsed_seconds * (100.0 - percent) / percent


def local_summary(answer: FileAnswer | EstimateAnswer) -> str:
    """Return the summary of a local job: warnings, the most informative metrics, and the result's location."""
    lines = [f"Warning: {warning}" for warning in answer.warnings]
    if isinstance(answer, EstimateAnswer):
        return "\n".join([*lines, f"Preset: {answer.preset}", *estimate_lines(answer.estimate)])
    if isinstance(answer, PeopleAnswer):
        # Without people there are no stills.
        stills = _result_lines(answer.artifacts.get("people")) if answer.people else []
        return "\n".join([*lines, *people_lines(answer), *stills])
    if isinstance(answer, CharacterAnswer):
        return "\n".join([*lines, *character_lines(answer), *_result_lines(answer.video_url)])
    lines.append(f"{answer.frames_replaced} of {answer.frames} frames replaced")
    lines += telling_figures(answer.quality)
    lines += _result_lines(answer.video_url or answer.artifacts.get("frame"))
    return "\n".join(lines)


def people_lines(answer: PeopleAnswer) -> list[str]:
    """Return one line for each person in a clip."""
    if not answer.people:
        return ["No people were found in the clip"]
    return [f"subject {person.number}: {person_line(person)}" for person in answer.people]


def character_lines(answer: CharacterAnswer) -> list[str]:
    """Return a description of what the new person's figure was made from."""
    if not answer.views:
        return ["The figure wears the clothes named in the prompt"]
    sides = ", ".join(answer.views)
    overlap = 100 * (answer.outline_overlap or 0.0)
    return [
        f"The figure was fitted to: {sides}; its outline overlaps the person in the picture by {overlap:.0f} % (IoU)"
    ]


def person_line(person: PersonReport) -> str:
    """Return when a person is visible and how large, in words."""
    named = f" ({', '.join(person.chosen_by)})" if person.chosen_by else ""
    return (
        f"visible for {person.seen_s:.1f} s between {person.first_s:.1f} s and {person.last_s:.1f} s, "
        f"{person.height_percent:.0f} % of the picture's height{named}"
    )


def _result_lines(locations: str | list[str] | None) -> list[str]:
    if not locations:
        locations = "in the answer above, as base64"
    return [f"Result: {_location(each)}" for each in ([locations] if isinstance(locations, str) else locations)]


def _location(place: str) -> str:
    """Return an existing path as an absolute one, anything else (a link, a note) unchanged."""
    return str(Path(place).resolve()) if "://" not in place and Path(place).exists() else place
