"""What a caller is answered: the schema of ``output``."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from pipeline.result import CharacterReport, Estimate, JobReport, PeopleReport, Value

_PATH = re.compile(r"(?<![\w:/])/(?:[^\s'\"/]+/)+[^\s'\",;:)]*")
"""A path of two steps at least, as libraries put it into what they raise."""


class ResultFiles(Value):
    """Where a result's files are. Which of the fields an answer has depends on where the files were to go."""

    video_url: str = ""
    """Where the result lies; not in the modes `frame` and `people`. In the mode `character`: the film."""
    video_base64: str = ""
    """The result itself, where it was asked for inline."""
    video_content_type: str = ""
    """The result's container."""
    artifacts: dict[str, str | list[str]] = Field(default_factory=dict)
    """By name, where each file asked for lies; a list where there are several. In the mode `frame`: `frame`, the
    pictures; in the mode `people`: `people`, a still of each person; in the mode `character`: `character`, stills of
    four sides."""
    artifacts_base64: dict[str, str] = Field(default_factory=dict)
    """By name, the files themselves, where they were asked for inline; several are one zip."""
    expires_s: int = 0
    """Life of the links, where the result went to the worker's bucket."""


class JobAnswer(JobReport, ResultFiles):
    """The answer of a job that made a result."""


class PeopleAnswer(PeopleReport, ResultFiles):
    """The answer in the mode ``people``."""


class CharacterAnswer(CharacterReport, ResultFiles):
    """The answer in the mode ``character``."""


class EstimateAnswer(Value):
    """The answer in the mode ``estimate``."""

    preset: str
    """The preset that would be used."""
    estimate: Estimate
    """Frames, windows, operations, and seconds and US dollars by GPU type."""
    warnings: tuple[str, ...]
    """Sentences about the clip."""


class ErrorAnswer(Value):
    """The answer of a job that failed."""

    error: str
    """A sentence for people: the field, what is wrong, and the code in brackets, for who shows nothing else of it."""
    error_code: str
    """One word for programs."""
    field: str = ""
    """The request's field that is to blame, where one is."""
    refresh_worker: bool = False
    """Asks the platform for a fresh worker after this job."""


FileAnswer = JobAnswer | PeopleAnswer | CharacterAnswer
"""Of any mode that makes files."""
Answer = FileAnswer | EstimateAnswer | ErrorAnswer


def with_files(report: JobReport | PeopleReport | CharacterReport, files: ResultFiles) -> FileAnswer:
    """Return the answer of a job: its files and what is known of them."""
    told = {**files.model_dump(exclude_unset=True), **report.model_dump(exclude_unset=True)}
    if isinstance(report, PeopleReport):
        return PeopleAnswer.model_validate(told)
    if isinstance(report, CharacterReport):
        return CharacterAnswer.model_validate(told)
    return JobAnswer.model_validate(told)


def full_sentence(message: str, code: str, field: str | None = None) -> str:
    """Return an error in one sentence that stands by itself; the SDK's HTTP server hands on nothing but this.

    Paths of this machine are left out, whatever library named them.
    """
    told = _PATH.sub("a file of the worker", message)
    return f"{told} [{code}]" if field is None else f"{field}: {told} [{code}]"


def plain_sentence(error: str, code: str, field: str | None = None) -> str:
    """Take field and code out of a ``full_sentence`` again, for who shows them beside it."""
    return error.removesuffix(f" [{code}]").removeprefix(f"{field}: ")


def wire_form(answer: Value) -> dict[str, Any]:
    """Return an answer as JSON values; what was not set is left out."""
    return answer.model_dump(mode="json", exclude_unset=True)


def read_answer(raw: Any) -> Answer:
    """Return a worker's answer as a value. Raises ``ValueError`` for what is none."""
    marks: tuple[tuple[type[Answer], str], ...] = (
        (ErrorAnswer, "error_code"),
        (EstimateAnswer, "estimate"),
        (PeopleAnswer, "people"),
        (CharacterAnswer, "outline_overlap"),
    )
    for kind, mark in marks:
        if isinstance(raw, dict) and mark in raw:
            return kind.model_validate(raw)
    return JobAnswer.model_validate(raw)
