"""HTML parts of the page: an error beside its field, a job's progress, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.estimate import estimate_lines
from pipeline.report.verdicts import telling_figures
from pipeline.result import Estimate, PersonPoint, Quality
from webpage.desk import JobStatus
from worker.output import CharacterAnswer, PeopleAnswer
from worker.progress import character_lines, people_lines, person_line

STAGES = {
    "waiting": "starting",
    "fetch": "getting the clip",
    "uploading": "sending the clip",
    "in queue": "waiting for a worker",
    "in progress": "a worker has begun",
    "survey": "looking at the clip",
    "people": "looking for people",
    "character": "drawing the new person from all sides",
    "plate": "making the background",
    "perform": "drawing the new person",
    "finish": "putting it together",
    "deliver": "saving the result",
    "saving": "loading the result",
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
    """Return an error's sentence; screen readers say it at once."""
    # A field's own name stays as callers write it.
    text = message if message.partition(" ")[0].endswith(":") else message[:1].upper() + message[1:]
    return _HTML.from_string('<p class="error" role="alert">{{ text }}</p>').render(text=text)


def job_status(moment: JobStatus) -> str:
    """Return how far the job is: a bar, the stage in words, the time left; or how it ended."""
    state = "under way"
    if moment.number == 0:
        state = "none"
    elif moment.answer is not None:
        code = moment.answer.get("error_code")
        state = {None: "done", "CANCELLED": "cancelled"}.get(code, "failed")
    return _HTML.get_template("status.html.jinja").render(
        moment=moment, state=state, stage=STAGES.get(moment.stage, moment.stage)
    )


def job_result(moment: JobStatus, source_address: str | None, reference_address: str | None = None) -> str:
    """Return the result beside its source, what is to be known of it, its report and its files; "" without a result.

    An estimate is a result, too: its sentences.

    Files are named as ``/results/<folder>/<file>``. ``source_address`` is where the page finds the source,
    ``reference_address`` the reference picture.
    """
    answer, folder = moment.answer, moment.folder
    if answer is None or "error_code" in answer:
        return ""
    if "estimate" in answer:
        told = {"preset": answer["preset"], "lines": estimate_lines(Estimate.model_validate(answer["estimate"]))}
        return _HTML.get_template("estimate.html.jinja").render(**told, warnings=list(answer.get("warnings", ())))
    if folder is None or not folder.is_dir():
        return ""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if "people" in answer:
        told_people = PeopleAnswer.model_validate(answer)
        return _HTML.get_template("people.html.jinja").render(
            lines=people_lines(told_people), warnings=list(told_people.warnings), found=bool(told_people.people)
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
    """Return the new person turning, beside the picture that they come from."""
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
    """Somebody whom the mode ``people`` found, to be clicked."""

    still: Path
    caption: str
    point: PersonPoint | None
    """Seconds from the start of the analyzed part."""


def person_cards(moment: JobStatus) -> list[PersonCard]:
    """Return a card for each person that the last job found; none where it was another kind of job."""
    answer, folder = moment.answer, moment.folder
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
