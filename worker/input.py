"""The request of a caller: the schema of ``input``."""

from __future__ import annotations

import string
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from conf import apply_caller_overrides, compose_settings
from conf.sentences import nearest, sentence_of
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
    """Strip white space and invisible characters that are copied along with a URL; paths are left unchanged."""
    return text.strip(_PASTED) if "://" in text else text


_PASTED = string.whitespace + "\u00a0\u200b\u200c\u200d\u2060\ufeff"
_Url = Annotated[
    str, Field(min_length=1, max_length=4096), AfterValidator(_without_nul), AfterValidator(_without_pasted_blanks)
]
_Prompt = Annotated[str, Field(max_length=2000), AfterValidator(_without_nul)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SubjectPoint(_Strict):
    """A point on a person, in the upright picture at a given time."""

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
    """One of several people to replace, and the person who replaces them."""

    subject: Annotated[SubjectWords, Field(description="whom to replace, as in the top-level field of that name")]
    reference_image_urls: Annotated[
        list[_Url], Field(max_length=4, description="one to four pictures of the new person, front first")
    ] = []
    prompt: Annotated[_Prompt, Field(description="description of the new person")] = ""
    seed: Annotated[_Seed | None, Field(description="default: the job's seed")] = None


class JobInput(_Strict):
    """The ``input`` of a job."""

    video_url: Annotated[
        _Url | None,
        Field(description="the clip: an http(s) URL, locally also a path; required except in the mode `character`"),
    ] = None
    prompt: Annotated[
        _Prompt,
        Field(
            description="description of the new person; "
            "the mannequin takes clothes and colors from it if there is no picture"
        ),
    ] = ""
    negative_prompt: Annotated[_Prompt, Field(description="what the result must not show")] = ""
    reference_image_url: Annotated[
        _Url | None,
        Field(description="a picture of the new person, alone or by far the largest in it; a URL, locally also a path"),
    ] = None
    reference_image_urls: Annotated[
        list[_Url],
        Field(
            max_length=4, description="alternatively one to four pictures of that person: front first, then other sides"
        ),
    ] = []
    preset: Annotated[str | None, Field(max_length=64, description="quality preset; default: the worker's")] = None
    overrides: Annotated[
        dict[str, bool | int | float | str], Field(description="individual settings, such as {'segment.count': 3}")
    ] = {}
    seed: Annotated[
        int, Field(ge=0, lt=2**32, description="random seed; on a CPU the same seed gives the same bytes")
    ] = 0
    subject: Annotated[
        SubjectWords, Field(description="whom to replace; numbers count people in order of appearance, from 0")
    ] = "largest"
    subjects: Annotated[
        list[SubjectInput],
        Field(
            max_length=4,
            description="up to four people to replace, each by a person of their own; "
            "replaces subject, prompt and the reference fields",
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
        Field(description="additional files to produce"),
    ] = []
    mode: Annotated[
        Literal["replace", "frame", "people", "character", "estimate"],
        Field(
            description="replace: the whole clip; frame: one finished frame per segment, as PNG; "
            "people: the people in the clip, with a still of each, to choose a subject from; "
            "character: a turntable video of the new person, without a clip; "
            "estimate: time and cost, without doing the work"
        ),
    ] = "replace"
    upload_url: Annotated[
        _Url | None, Field(description="presigned URL to PUT the result to; default: the worker's bucket")
    ] = None
    artifact_upload_urls: Annotated[
        dict[Artifact, _Url], Field(description="with upload_url: a presigned URL for each requested artifact")
    ] = {}
    upload_headers: Annotated[
        dict[str, Annotated[str, Field(max_length=1024)]],
        Field(description="headers that your store requires with each PUT, such as {'x-amz-acl': 'private'}"),
    ] = {}
    fan_out: Annotated[
        int,
        Field(ge=1, le=16, description="number of the endpoint's workers that generate the clip's chunks in parallel"),
    ] = 1
    inline: Annotated[bool, Field(description="return a small result inside the answer, as base64")] = False


def _check_together(request: JobInput) -> None:
    """Raise ``InvalidInput`` for fields that contradict each other."""
    if request.video_url is None and request.mode != "character":
        raise InvalidInput("is required", field="video_url")
    if request.video_url is not None and request.mode == "character":
        raise InvalidInput("is not used in the mode character: omit it", field="video_url")
    if request.subjects and request.mode == "character":
        raise InvalidInput("the mode character shows one person at a time: omit this list", field="subjects")
    if request.start_s is not None and request.end_s is not None and request.end_s <= request.start_s:
        raise InvalidInput("must be after start_s", field="end_s")
    if request.reference_image_url is not None and request.reference_image_urls:
        raise InvalidInput("give pictures here or in reference_image_url, not in both", field="reference_image_urls")
    if request.subjects:
        for name in ("subject", "prompt", "reference_image_url", "reference_image_urls"):
            if name in request.model_fields_set:
                raise InvalidInput("belongs in each entry of subjects if that list is given", field=name)
    if request.fan_out > 1 and request.mode not in ("replace", "estimate"):
        raise InvalidInput(f"applies to whole clips only: omit it in the mode {request.mode}", field="fan_out")
    if request.mode != "replace" and request.artifacts:
        raise InvalidInput(f"are made for whole clips only: omit them in the mode {request.mode}", field="artifacts")


def parse_request(raw: Any) -> JobInput:
    """Validate a job's ``input``. Raises ``InvalidInput`` that names the field and does not repeat its value."""
    if not isinstance(raw, dict) or not raw:
        raise InvalidInput("must be an object with at least a video_url", field="input")
    try:
        request = JobInput.model_validate(raw)
    except ValidationError as error:
        location, message = sentence_of(error.errors(include_url=False))
        _ask_the_setting(location, raw)
        message += _similar_field(location)
        raise InvalidInput(message, field=_field_of(location)) from None
    _check_together(request)
    return request


def _ask_the_setting(location: tuple[str | int, ...], raw: dict[str, Any]) -> None:
    """Raise the ``InvalidInput`` of the setting that an override addresses: it states the expected type and range."""
    if location[:1] == ("overrides",) and len(location) > 1 and isinstance(location[1], str):
        apply_caller_overrides(compose_settings(), {location[1]: raw["overrides"][location[1]]})


def _similar_field(location: tuple[str | int, ...]) -> str:
    """Return a suggestion for the field of the request, or of an entry of ``subjects``, that may have been meant."""
    if len(location) == 1:
        fields = JobInput.model_fields
    elif len(location) == 3 and location[0] == "subjects":
        fields = SubjectInput.model_fields
    else:
        return ""
    name = location[-1]
    return "" if name in fields else nearest(str(name), fields)


def _field_of(location: tuple[str | int, ...]) -> str:
    """Return the offending field as the caller wrote it, truncated; ``input`` if it has no name.

    pydantic's location also has the member of a union after the field, which means nothing to the caller.
    """
    parts = location[:2]
    if location[:1] == ("subject",):
        parts = (*location[:1], *location[2:3])
    if location[:1] == ("subjects",):
        parts = location[:3]
    return ".".join(map(str, parts))[:100] or "input"
