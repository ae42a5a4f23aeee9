"""Convert the page's fields to the ``input`` of a job, and the settings' schema to advanced settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, Literal

from conf import CALLER_KEYS, apply_caller_overrides
from pipeline.errors import InvalidInput
from pipeline.settings import Settings, class_with
from worker.input import JobInput, parse_request

POINT = "point"
SUBJECTS = (
    ("the largest", "largest"),
    ("the leftmost", "leftmost"),
    ("the rightmost", "rightmost"),
    ("the one in the center", "centre"),
    ("the one I click in the frame", POINT),
)
"""(label, value) of the choices."""
IN_FRONT = ("plate.method", "segment.count")
"""Settings outside the advanced section; all others of ``CALLER_KEYS`` are advanced."""
FIELDS = (
    "video_url",
    "reference_image_urls",
    "prompt",
    "subjects",
    "preset",
    "subject",
    "range",
    "seed",
    "overrides",
    "artifacts",
)
"""Fields that can show an error, in the page's order."""
_PLACES = {
    "negative_prompt": "prompt",
    "reference_image_url": "reference_image_urls",
    "on_lost": "subject",
    "start_s": "range",
    "end_s": "range",
    "artifact_upload_urls": "artifacts",
}
"""Request fields whose errors are shown at another field of the page."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as described by the schema."""

    key: str
    kind: Literal["choice", "switch", "whole", "number"]
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    meaning: str = ""
    """Description of its effect."""

    @property
    def label(self) -> str:
        return self.key.replace(".", ": ").replace("_", " ")


def setting_of(settings: Settings, key: str) -> Setting:
    """Return the type and range of a setting, ``group.name``."""
    name = key.partition(".")[2]
    schema = class_with(settings, key).model_json_schema()["properties"][name]
    meaning = str(schema["description"]).replace("``", "")
    if "enum" in schema:
        return Setting(key, "choice", choices=tuple(schema["enum"]), meaning=meaning)
    if schema["type"] == "boolean":
        return Setting(key, "switch", meaning=meaning)
    kind: Literal["whole", "number"] = "whole" if schema["type"] == "integer" else "number"
    return Setting(key, kind, minimum=schema.get("minimum"), maximum=schema.get("maximum"), meaning=meaning)


def advanced_settings(settings: Settings, locked: Sequence[str] = ()) -> list[Setting]:
    """Return the settings that a caller may change, except locked ones and those of ``IN_FRONT``."""
    return [setting_of(settings, key) for key in CALLER_KEYS if key not in (*IN_FRONT, *locked)]


def value_of(settings: Settings, key: str) -> Any:
    """Return the value of a setting, ``group.name``; for a setting of another generator its default."""
    group, name = key.split(".")
    kind = class_with(settings, key)
    chosen = getattr(settings, group)
    return getattr(chosen if isinstance(chosen, kind) else kind(), name)


@dataclass(frozen=True, slots=True)
class FurtherPerson:
    """The fields of one more person to replace."""

    number: str | None = ""
    """Number on the person's card; "" or None: nobody. Fields that were never displayed are None."""
    prompt: str | None = ""
    reference_files: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """The contents of the page's fields."""

    video_file: str | None = None
    video_url: str = ""
    reference_files: Sequence[str] | None = None
    reference_urls: str = ""
    """One per line."""
    prompt: str = ""
    negative_prompt: str = ""
    preset: str | None = None
    subject: str = "largest"
    x: float | None = None
    """None or 0, as for ``y``: no person was clicked."""
    y: float | None = None
    at_s: float = 0.0
    """Time of the displayed frame, from the start of the file."""
    points: str = ""
    """More points on the same person, one per line: x, y, seconds from the start of the file."""
    on_lost: str = "warn"
    start_s: float | None = None
    """None or 0: from the start."""
    end_s: float | None = None
    """None or 0: to the end."""
    seed: float | None = 0
    artifacts: Sequence[str] = ()
    further: Sequence[FurtherPerson] = ()
    """More people to replace."""


_OF_FURTHER = ("number", "prompt", "reference_files")
FURTHER = (2, 3, 4)
"""Positions of further people on the page."""
INPUTS = (
    *(each.name for each in dataclass_fields(Fields) if each.name != "further"),
    *(f"{name}_{position}" for position in FURTHER for name in _OF_FURTHER),
)
"""Names of the page's inputs."""


def read_fields(values: Mapping[str, Any]) -> Fields:
    """Return the fields from the values of ``INPUTS``."""
    further = [FurtherPerson(**{name: values[f"{name}_{position}"] for name in _OF_FURTHER}) for position in FURTHER]
    own = {name: values[name] for name in INPUTS if name in Fields.__dataclass_fields__}
    return Fields(**own, further=further)


def job_input(
    fields: Fields, changed: Mapping[str, Any], settings: Settings, mode: str, shown: Settings | None = None
) -> dict[str, Any]:
    """Return a job's ``input``, including those of ``changed`` (settings by key) that the user has changed.

    ``settings`` are the preset's. ``shown`` are those that the controls last displayed: another preset's if the user
    chose a preset and clicked on before the page had updated.

    Raises ``InvalidInput`` for everything that a worker would reject without looking at the clip.
    """
    if mode == "character":
        # The fields of the clip and its processing do not apply.
        fields = Fields(
            reference_files=fields.reference_files,
            reference_urls=fields.reference_urls,
            prompt=fields.prompt,
            preset=fields.preset,
        )
    request: dict[str, Any] = {
        "video_url": None if mode == "character" else _source(fields.video_file, fields.video_url, "video_url"),
        "negative_prompt": fields.negative_prompt,
        "preset": fields.preset,
        "overrides": _overrides(changed, shown or settings),
        "seed": _whole(fields.seed, "seed"),
        "on_lost": fields.on_lost,
        "start_s": fields.start_s or None,
        "end_s": fields.end_s or None,
        "mode": mode,
    }
    first = {"subject": _subject(fields), "prompt": fields.prompt, "reference_image_urls": _references(fields)}
    further = _further(fields.further) if mode not in ("people", "character") else []
    request |= {"subjects": [_given(first), *further]} if further else first
    if mode == "replace":
        request["artifacts"] = list(fields.artifacts)
    request = _given(request)
    parse_request(request)
    apply_caller_overrides(settings, request.get("overrides", {}))
    return request


def place_of(field: str | None) -> str | None:
    """Return the one of ``FIELDS`` at which an error is shown, or None."""
    first = (field or "").partition(".")[0]
    place = _PLACES.get(first, first)
    return place if place in FIELDS else None


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are given, without empty ones."""
    return {name: value for name, value in values.items() if value not in (None, "", {}, [])}


def _references(fields: Fields) -> list[str]:
    files = list(fields.reference_files or ())
    urls = [line.strip() for line in fields.reference_urls.splitlines() if line.strip()]
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise InvalidInput("a URL starts with https:// or http://", field="reference_image_urls")
    return [*files, *urls]


def _further(people: Sequence[FurtherPerson]) -> list[dict[str, Any]]:
    """Return the entries of ``subjects`` after the first."""
    entries = []
    for position, person in enumerate(people, start=2):
        references = list(person.reference_files or ())
        number = (person.number or "").strip()
        prompt = person.prompt or ""
        if not number:
            if prompt.strip() or references:
                raise InvalidInput(f"give the number of person {position}", field="subjects")
            continue
        if not number.isdecimal():
            raise InvalidInput(f"the number of person {position} must be an integer", field="subjects")
        entries.append(_given({"subject": int(number), "prompt": prompt, "reference_image_urls": references}))
    return entries


def _source(file: str | None, url: str, field: str) -> str:
    url = url.strip()
    if file and url:
        raise InvalidInput("give a file or a URL, not both", field=field)
    if file:
        return file
    if not url:
        raise InvalidInput("choose a file or give a URL", field=field)
    if not url.startswith(("http://", "https://")):
        raise InvalidInput("a URL starts with https:// or http://", field=field)
    return url


def _subject(fields: Fields) -> Any:
    if fields.subject != POINT:
        return fields.subject
    points = _points(fields.points)
    if fields.x and fields.y and (fields.x, fields.y, fields.at_s) not in points:
        points.append((float(fields.x), float(fields.y), fields.at_s))
    if not points:
        raise InvalidInput("click the person in the frame", field="subject")
    chosen = []
    for x, y, at_s in points:
        if at_s < (fields.start_s or 0.0) or (fields.end_s and at_s >= fields.end_s):
            raise InvalidInput("the clicked frame is outside the selected range", field="subject")
        # A worker counts time from the start of the range.
        chosen.append({"x": x, "y": y, "at_s": at_s - (fields.start_s or 0.0)})
    return chosen if len(chosen) > 1 else chosen[0]


def with_point(points: str, x: float | None, y: float | None, at_s: float) -> str:
    """Return the lines of ``Fields.points`` with the clicked point added."""
    lines = [line for line in points.splitlines() if line.strip()]
    if x and y:
        lines.append(f"{x:g}, {y:g}, {at_s:g}")
    return "\n".join(dict.fromkeys(lines))


def _points(lines: str) -> list[tuple[float, float, float]]:
    points = []
    for line in lines.splitlines():
        if not line.strip():
            continue
        try:
            x, y, at_s = (float(part) for part in line.split(","))
        except ValueError:
            raise InvalidInput("each line of the points must be: x, y, seconds", field="subject") from None
        points.append((x, y, at_s))
    return points


def _overrides(changed: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    for key, value in changed.items():
        if value is None:
            raise InvalidInput("has no value", field=f"overrides.{key}")
        if value == value_of(settings, key):
            continue
        kind = setting_of(settings, key).kind
        overrides[key] = _whole(value, f"overrides.{key}") if kind == "whole" else value
    return overrides


def _whole(value: float | None, field: str) -> int:
    if value is None or value != int(value):
        raise InvalidInput("must be an integer", field=field)
    return int(value)


def artifact_names() -> list[str]:
    """Return the names of the artifacts that a job can produce."""
    return list(JobInput.model_json_schema()["properties"]["artifacts"]["items"]["enum"])
