"""What a caller may ask for: the schema of ``input``."""

from __future__ import annotations

import string
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from conf import apply_caller_overrides, compose_settings
from conf.sentences import sentence_of
from pipeline.errors import InvalidInput

Artifact = Literal["analysis", "mask", "edit_region", "plate", "layer", "layers_debug", "report", "contact_sheet"]


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


def _each_once(names: list[Artifact]) -> list[Artifact]:
    if len(set(names)) < len(names):
        raise ValueError("must list each artifact only once")
    return names


def _without_pasted_blanks(text: str) -> str:
    """Drop what comes along when a URL is copied out of a page or a mail; a path may end with a blank."""
    return text.strip(_PASTED) if "://" in text else text


_PASTED = string.whitespace + "\u00a0\u200b\u200c\u200d\u2060\ufeff"
_Url = Annotated[
    str, Field(min_length=1, max_length=4096), AfterValidator(_without_nul), AfterValidator(_without_pasted_blanks)
]
_Prompt = Annotated[str, Field(max_length=2000), AfterValidator(_without_nul)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SubjectPoint(_Strict):
    """A person, by a point of the upright picture at a time."""

    x: Annotated[float, Field(ge=0, description="px from the left")]
    y: Annotated[float, Field(ge=0, description="px from the top")]
    at_s: Annotated[float, Field(ge=0, description="seconds from the clip's start")]


SubjectWords = (
    Literal["largest", "leftmost", "rightmost", "centre"]
    | Annotated[int, Field(ge=0, le=63)]
    | SubjectPoint
    | Annotated[list[SubjectPoint], Field(min_length=1, max_length=32)]
)
_Seed = Annotated[int, Field(ge=0, lt=2**32)]


class SubjectInput(_Strict):
    """One of several people to replace, and who comes in for them."""

    subject: Annotated[SubjectWords, Field(description="whom to replace, as in the top-level field of that name")]
    reference_image_urls: Annotated[
        list[_Url], Field(max_length=4, description="one to four pictures of the new person, front first")
    ] = []
    prompt: Annotated[_Prompt, Field(description="the new person, in words")] = ""
    seed: Annotated[_Seed | None, Field(description="default: the job's")] = None


class JobInput(_Strict):
    """The ``input`` of a job."""

    video_url: Annotated[
        _Url | None,
        Field(description="the clip: an http(s) URL; locally also a path; needed but in the mode `character`"),
    ] = None
    prompt: Annotated[
        _Prompt,
        Field(
            description="the new person, in words; the mannequin takes clothes and colors from them, without a picture"
        ),
    ] = ""
    negative_prompt: Annotated[_Prompt, Field(description="what the result must not show")] = ""
    reference_image_url: Annotated[
        _Url | None,
        Field(description="a picture of the new person, showing exactly one person; URL, locally also a path"),
    ] = None
    reference_image_urls: Annotated[
        list[_Url],
        Field(max_length=4, description="instead: one to four pictures of that person, front first, then other sides"),
    ] = []
    preset: Annotated[str | None, Field(max_length=64, description="quality preset; default: the worker's")] = None
    overrides: Annotated[
        dict[str, bool | int | float | str], Field(description="single settings, such as {'segment.count': 3}")
    ] = {}
    seed: Annotated[int, Field(ge=0, lt=2**32, description="same seed, same bytes (on a CPU)")] = 0
    subject: Annotated[
        SubjectWords, Field(description="whom to replace; a number counts people in order of appearance")
    ] = "largest"
    subjects: Annotated[
        list[SubjectInput],
        Field(
            max_length=4,
            description="up to four people to replace, each with who comes in; "
            "instead of subject, prompt and references",
        ),
    ] = []
    on_lost: Annotated[
        Literal["warn", "error"], Field(description="what to do if the subject is not clearly visible in some frames")
    ] = "warn"
    start_s: Annotated[float | None, Field(ge=0, description="start of the part to use, in seconds")] = None
    end_s: Annotated[float | None, Field(gt=0, description="end of the part to use, in seconds (exclusive)")] = None
    artifacts: Annotated[
        list[Artifact],
        Field(max_length=len(get_args(Artifact))),
        AfterValidator(_each_once),
        Field(description="files to make beside the result"),
    ] = []
    mode: Annotated[
        Literal["replace", "frame", "people", "character", "estimate"],
        Field(
            description="replace: the whole clip; frame: one finished frame per segment, as PNG; "
            "people: who is in the clip, with a still of each, to choose a subject; "
            "character: the new person alone, turning, without a clip; "
            "estimate: time and cost, without doing it"
        ),
    ] = "replace"
    upload_url: Annotated[
        _Url | None, Field(description="a presigned URL to PUT the result to; default: the worker's bucket")
    ] = None
    artifact_upload_urls: Annotated[
        dict[Artifact, _Url], Field(description="with upload_url: a presigned URL for each artifact asked for")
    ] = {}
    upload_headers: Annotated[
        dict[str, Annotated[str, Field(max_length=1024)]],
        Field(description="headers that your store wants with each PUT, such as {'x-amz-acl': 'private'}"),
    ] = {}
    fan_out: Annotated[
        int,
        Field(ge=1, le=16, description="how many of the endpoint's workers draw the clip's chunks at once"),
    ] = 1
    inline: Annotated[bool, Field(description="return a small result inside the answer, as base64")] = False


def _check_together(request: JobInput) -> None:
    """Raise ``InvalidInput`` for fields that do not go together."""
    if request.video_url is None and request.mode != "character":
        raise InvalidInput("is needed", field="video_url")
    if request.video_url is not None and request.mode == "character":
        raise InvalidInput("is not used in the mode character: leave it out", field="video_url")
    if request.subjects and request.mode == "character":
        raise InvalidInput("show one person at a time: the mode character takes no list", field="subjects")
    if request.start_s is not None and request.end_s is not None and request.end_s <= request.start_s:
        raise InvalidInput("must be after start_s", field="end_s")
    if request.reference_image_url is not None and request.reference_image_urls:
        raise InvalidInput("name pictures here or in reference_image_url, not in both", field="reference_image_urls")
    if request.subjects:
        for name in ("subject", "prompt", "reference_image_url", "reference_image_urls"):
            if name in request.model_fields_set:
                raise InvalidInput("belongs in each of subjects where these are given", field=name)
    if request.fan_out > 1 and request.mode not in ("replace", "estimate"):
        raise InvalidInput(f"is for whole clips: leave it out with mode {request.mode}", field="fan_out")
    if request.mode != "replace" and request.artifacts:
        raise InvalidInput(f"are only made for whole clips: leave them out with mode {request.mode}", field="artifacts")


def parse_request(raw: Any) -> JobInput:
    """Check a job's ``input``. Raises ``InvalidInput`` that names the field and does not repeat the value."""
    if not isinstance(raw, dict) or not raw:
        raise InvalidInput("must be an object with at least a video_url", field="input")
    try:
        request = JobInput.model_validate(raw)
    except ValidationError as error:
        location, told = sentence_of(error.errors(include_url=False))
        _ask_the_setting(location, raw)
        raise InvalidInput(told, field=_field_of(location)) from None
    _check_together(request)
    return request


def _ask_the_setting(location: tuple[str | int, ...], raw: dict[str, Any]) -> None:
    """Raise ``InvalidInput`` in the words of the setting that an override was meant for: it knows what it wants."""
    if location[:1] == ("overrides",) and len(location) > 1 and isinstance(location[1], str):
        apply_caller_overrides(compose_settings(), {location[1]: raw["overrides"][location[1]]})


def _field_of(location: tuple[str | int, ...]) -> str:
    """Name what is wrong in the caller's own words, cut to a sane length; ``input`` for a key without a name.

    Members of a union are part of pydantic's location, behind the field: the caller does not know them.
    """
    parts = location[:2]
    if location[:1] == ("subject",):
        parts = (*location[:1], *location[2:3])
    if location[:1] == ("subjects",):
        parts = location[:3]
    return ".".join(map(str, parts))[:100] or "input"
