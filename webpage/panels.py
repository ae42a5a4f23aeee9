"""HTML fragments of the page: an error beside its field, a job's progress, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.estimate import estimate_lines
from pipeline.mode_results import PersonPoint
from pipeline.report.verdicts import telling_figures
from pipeline.result import Estimate, Quality
from webpage.job_runner import JobStatus
from worker.output import CharacterAnswer, PeopleAnswer
from worker.progress import character_lines, people_lines, person_line

STAGES = {
    "waiting": "starting",
    "fetch": "downloading the clip",
    "uploading": "uploading the clip",
    "in queue": "waiting for a worker",
    "in progress": "a worker has started",
    "open": "opening the clip",
    "survey": "analyzing the clip",
    "split_screen": "analyzing a part of the picture",
    "people": "finding people",
    "character": "rendering the new person from all sides",
    "plate": "reconstructing the background",
    "scene": "separating occluders and carried objects",
    "perform": "generating the new person",
    "finish": "compositing and encoding",
    "deliver": "saving the result",
    "saving": "downloading the result",
}
_PICTURES = frozenset({".png", ".jpg", ".webp"})
_VIDEOS = frozenset({".mp4", ".mov", ".mkv"})
_HTML = Environment(
    loader=PackageLoader("webpage", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def error_beside(message: str) -> str:
    """Return an error message that screen readers announce immediately."""
    # The name of a field keeps its spelling.
    text = message if message.partition(" ")[0].endswith(":") else message[:1].upper() + message[1:]
    return _HTML.from_string('<p class="error" role="alert">{{ text }}</p>').render(text=text)


def job_status(status: JobStatus) -> str:
    """Return the job's progress (bar, stage, time left) or its outcome."""
    state = "running"
    if status.number == 0:
        state = "none"
    elif status.answer is not None:
        code = status.answer.get("error_code")
        state = {None: "done", "CANCELLED": "cancelled"}.get(code, "failed")
    return _HTML.get_template("status.html.jinja").render(
        status=status, state=state, stage=STAGES.get(status.stage, status.stage)
    )


def job_result(status: JobStatus, source_address: str | None, reference_address: str | None = None) -> str:
    """Return the result next to its source, with metrics, warnings, report and files; "" without a result.

    An estimate is shown as sentences. Files have addresses of the form ``/results/<folder>/<file>``;
    ``source_address`` is the address of the source, ``reference_address`` that of the reference picture.
    """
    answer = status.answer
    folder = status.folder
    if answer is None or "error_code" in answer:
        return ""
    if "estimate" in answer:
        values = {"preset": answer["preset"], "lines": estimate_lines(Estimate.model_validate(answer["estimate"]))}
        return _HTML.get_template("estimate.html.jinja").render(**values, warnings=list(answer.get("warnings", ())))
    if folder is None or not folder.is_dir():
        return ""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if "people" in answer:
        people = PeopleAnswer.model_validate(answer)
        return _HTML.get_template("people.html.jinja").render(
            lines=people_lines(people), warnings=list(people.warnings), found=bool(people.people)
        )
    if "outline_overlap" in answer:
        return _character(CharacterAnswer.model_validate(answer), files, reference_address)
    videos = [path for path in files if path.stem == "result" and path.suffix in _VIDEOS]
    return _HTML.get_template("result.html.jinja").render(
        source=source_address,
        video=_address(videos[0]) if videos else None,
        pictures=[(path.name, _address(path)) for path in files if _is_still(path)] if not videos else [],
        report=_address(folder / "report.html") if (folder / "report.html") in files else None,
        files=[(path.name, _address(path), _size(path)) for path in files],
        figures=telling_figures(Quality.model_validate(answer["quality"])) if videos and "quality" in answer else [],
        warnings=list(answer.get("warnings", ())),
        answer=answer,
    )


def _character(answer: CharacterAnswer, files: list[Path], reference_address: str | None) -> str:
    """Return the turntable video of the new person next to the reference picture."""
    films = [path for path in files if path.suffix in _VIDEOS]
    return _HTML.get_template("character.html.jinja").render(
        reference=reference_address,
        film=_address(films[0]) if films else None,
        lines=character_lines(answer),
        warnings=list(answer.warnings),
        files=[(path.name, _address(path), _size(path)) for path in files if path.suffix != ".json"],
    )


@dataclass(frozen=True, slots=True)
class PersonCard:
    """A clickable card of a person found by the mode ``people``."""

    still: Path
    caption: str
    point: PersonPoint | None
    """Seconds from the start of the analyzed part."""


def person_cards(status: JobStatus) -> list[PersonCard]:
    """Return a card for each person that the last job found; none if it had another mode."""
    answer = status.answer
    folder = status.folder
    if answer is None or folder is None or "people" not in answer:
        return []
    cards = []
    for person in PeopleAnswer.model_validate(answer).people:
        still = folder / f"person_{person.number:02d}.png"
        if still.is_file():
            cards.append(PersonCard(still, f"{person.number}: {person_line(person)}", person.point))
    return cards


def _is_still(path: Path) -> bool:
    return path.suffix in _PICTURES and path.stem.startswith("frame")


def _address(path: Path) -> str:
    return f"/results/{quote(path.parent.name)}/{quote(path.name)}"


def _size(path: Path) -> str:
    size: Any = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"
