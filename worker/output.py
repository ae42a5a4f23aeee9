"""The answer to a caller: the schema of ``output``."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from pipeline.mode_results import CharacterReport, PeopleReport
from pipeline.result import Estimate, JobReport, Value

_PATH = re.compile(r"(?<![\w:/])/(?:[^\s'\"/]+/)+[^\s'\",;:)]*")
"""An absolute path with at least two components, as it appears in libraries' error messages."""


class ResultFiles(Value):
    """Locations of a result's files. Which fields an answer has depends on the destination."""

    video_url: str = ""
    """Location of the result; absent in the modes `frame` and `people`. In the mode `character`, the turntable
    video."""
    video_base64: str = ""
    """The result itself, if it was requested inline."""
    video_content_type: str = ""
    """MIME type of the result's container."""
    artifacts: dict[str, str | list[str]] = Field(default_factory=dict)
    """Location of each requested file by name; a list if there are several. In the mode `frame`: `frame`, the
    finished frames; in the mode `people`: `people`, a still of each person; in the mode `character`: `character`,
    stills of four sides."""
    artifacts_base64: dict[str, str] = Field(default_factory=dict)
    """The files themselves by name, if they were requested inline; several files are packed into one zip."""
    expires_s: int = 0
    """Lifetime of the links in seconds, if the result went to the worker's bucket."""


class JobAnswer(JobReport, ResultFiles):
    """The answer of a job that produced a result."""


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
    """Warnings about the clip, one sentence each."""


class ErrorAnswer(Value):
    """The answer of a job that failed."""

    error: str
    """A sentence for humans: the field, the problem, and the code in brackets, for clients that show only this."""
    error_code: str
    """The error's code, for programs."""
    field: str = ""
    """The field of the request that caused the error, if one did."""
    refresh_worker: bool = False
    """Asks the platform to replace the worker after this job."""


FileAnswer = JobAnswer | PeopleAnswer | CharacterAnswer
"""The answer of any mode that produces files."""
Answer = FileAnswer | EstimateAnswer | ErrorAnswer


def with_files(report: JobReport | PeopleReport | CharacterReport, files: ResultFiles) -> FileAnswer:
    """Return the answer of a job: its report and the locations of its files."""
    values = {**files.model_dump(exclude_unset=True), **report.model_dump(exclude_unset=True)}
    if isinstance(report, PeopleReport):
        return PeopleAnswer.model_validate(values)
    if isinstance(report, CharacterReport):
        return CharacterAnswer.model_validate(values)
    return JobAnswer.model_validate(values)


def full_sentence(message: str, code: str, field: str | None = None) -> str:
    """Return an error as one self-contained sentence; the SDK's HTTP server passes on nothing else.

    Paths of this machine are removed, since libraries put them into their messages.
    """
    text = _PATH.sub("a file of the worker", message)
    return f"{text} [{code}]" if field is None else f"{field}: {text} [{code}]"


def plain_sentence(error: str, code: str, field: str | None = None) -> str:
    """Remove field and code from a ``full_sentence``, for displays that show them separately."""
    return error.removesuffix(f" [{code}]").removeprefix(f"{field}: ")


def wire_form(answer: Value) -> dict[str, Any]:
    """Return an answer as JSON values; fields that were not set are omitted."""
    return answer.model_dump(mode="json", exclude_unset=True)


def read_answer(raw: Any) -> Answer:
    """Return a worker's JSON answer as a typed value. Raises ``ValueError`` if it is not one."""
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
