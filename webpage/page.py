"""The page: its fields and event handlers. Besides ``app.py``, only this module uses Gradio."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from conf import preset_names
from pipeline.errors import InvalidInput, UnderstudyError
from pipeline.settings import Settings
from webpage.form import (
    FIELDS,
    IN_FRONT,
    POINT,
    SUBJECTS,
    Fields,
    Setting,
    advanced_settings,
    artifact_names,
    job_input,
    place_of,
    setting_of,
    value_of,
    with_point,
)
from webpage.frames import frame_at, last_second, marked, picture_at
from webpage.job_runner import Busy, JobRunner, JobStatus
from webpage.panels import error_beside, job_result, job_status, person_cards
from worker.source.fetch import fetch

_CLIPS = [".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi"]
_PICTURES = [".png", ".jpg", ".jpeg", ".webp"]
_LOOK_SECONDS = 1.0
_GLANCE_SECONDS = 10.0
"""How long to wait for a cancelled character preview; its longest step, fitting, takes one or two seconds."""
_DAY = 24 * 3600
_QUIET = {"show_progress": "hidden", "api_visibility": "private"}
Update = Any
"""A component's new value, or ``gr.update`` of it."""


@dataclass(frozen=True, slots=True)
class PageConfig:
    """Configuration of the page."""

    desk: JobRunner
    folder: Path
    """The page's folder: clips downloaded from a URL go to ``uploads`` in it."""
    settings_of: Callable[[str], Settings]
    """Maps a preset to its settings, with the operator's overrides."""
    preset: str
    locked: Sequence[str] = ()
    private_hosts: frozenset[str] = frozenset()
    where: str = "on this machine"


def build_page(config: PageConfig) -> gr.Blocks:
    """Return the page."""
    with gr.Blocks(title="Understudy", analytics_enabled=False, delete_cache=(3600, _DAY)) as page:
        gr.HTML(
            "<h1>Understudy</h1>"
            f"<p>Replaces the person in a video and keeps everything else. Jobs run {config.where}.</p>"
        )
        places: dict[str, gr.HTML] = {}
        with gr.Row():
            with gr.Column(min_width=300):
                clip = _clip_fields(config, places)
            with gr.Column(min_width=300):
                more, changed, shown_preset, advanced = _other_fields(config, places)
        with gr.Row():
            judge = gr.Button("Estimate time and cost", elem_id="estimate")
            people = gr.Button("Find the people in the clip", elem_id="who")
            person = gr.Button("Preview the new person", elem_id="person")
            look = gr.Button("Preview single frames", elem_id="look")
            start = gr.Button("Replace the person", variant="primary", elem_id="start")
            cancel = gr.Button("Cancel", variant="stop", interactive=False, elem_id="cancel")
        status = gr.HTML(job_status(JobStatus()), elem_id="status")
        result = gr.HTML(elem_id="result")
        cards = gr.Gallery(
            label="Click the person to replace", visible=False, interactive=False, allow_preview=False, columns=3,
            height="auto", object_fit="contain", format="jpeg", buttons=[], elem_id="people",
        )  # fmt: skip
        seen = gr.State(None)
        timer = gr.Timer(_LOOK_SECONDS)

        inputs = clip | more
        assert set(inputs) == {each.name for each in fields(Fields)}
        errors = [places[name] for name in FIELDS]
        shown = [seen, status, result, cards, judge, people, person, look, start, cancel, *errors, advanced]

        def begin(mode: str, *values: Any) -> list[Update]:
            told = Fields(**dict(zip(inputs, values[: len(inputs)], strict=True)))
            *controls, of_preset = values[len(inputs) :]
            settings = dict(zip(changed, controls, strict=True))
            wanted = config.settings_of(told.preset or config.preset)
            shown_now = config.settings_of(of_preset)
            _make_way(config.desk)
            try:
                config.desk.start(job_input(told, settings, wanted, mode, shown_now))
            except InvalidInput as error:
                place = place_of(error.field)
                message = f"{error.field}: {error.message}" if place in (None, "overrides", "range") else error.message
                summary = "" if place is not None else error_beside(message)
                return [gr.skip(), summary, *[gr.skip()] * 8, *_beside(place, message)]
            except Busy as error:
                return [gr.skip(), error_beside(str(error)), *[gr.skip()] * (len(shown) - 2)]
            return _shown(config.desk.now())

        def follow(known: Any) -> list[Update]:
            """Return updates if the job's state has changed; otherwise a playing result is not disturbed."""
            moment = config.desk.now()
            if known == _fingerprint(moment):
                return [gr.skip()] * len(shown)
            return _shown(moment)

        def choose(event: gr.SelectData) -> list[Update]:
            """Make the person on the clicked card the subject, as a point, which is valid for every preset."""
            moment = config.desk.now()
            found = person_cards(moment)
            point = found[event.index].point if event.index < len(found) else None
            if point is None:
                return [gr.skip()] * 4
            at_s = point.at_s + float(moment.asked.get("start_s", 0.0))
            return [POINT, None, None, with_point("", point.x, point.y, at_s)]

        def stop() -> str:
            config.desk.cancel()
            return job_status(config.desk.now())

        everything = [*inputs.values(), *changed.values(), shown_preset]
        modes = ((judge, "estimate"), (people, "people"), (person, "character"), (look, "frame"), (start, "replace"))
        for button, mode in modes:
            button.click(
                lambda *values, mode=mode: begin(mode, *values), everything, shown, trigger_mode="once", **_QUIET
            )
        more["reference_file"].upload(
            lambda *values: begin("character", *values), everything, shown, trigger_mode="once", **_QUIET
        )
        cards.select(choose, None, [clip[name] for name in ("subject", "x", "y", "points")], **_QUIET)
        cancel.click(stop, None, status, **_QUIET)
        timer.tick(follow, seen, shown, **_QUIET)
        # A reloaded page shows the running job.
        page.load(lambda: _shown(config.desk.now()), None, shown, **_QUIET)
    return page


def _is_glance(moment: JobStatus) -> bool:
    """Whether a job is a character preview, which also starts by itself and must not block other jobs."""
    return moment.asked.get("mode") == "character"


def _make_way(desk: JobRunner) -> None:
    """Cancel a running character preview and wait for its end."""
    if desk.now().is_under_way and _is_glance(desk.now()):
        desk.cancel()
        desk.wait(_GLANCE_SECONDS)


def _fingerprint(moment: JobStatus) -> Any:
    """Return the parts of a job's status that the page displays, to detect a change."""
    left = None if moment.left_seconds is None else round(moment.left_seconds)
    return [moment.number, moment.stage, round(moment.percent), left, moment.is_cancelled, moment.answer is not None]


def _shown(moment: JobStatus) -> list[Update]:
    answer = moment.answer or {}
    place = place_of(answer.get("field"))
    is_busy = moment.is_under_way and not _is_glance(moment)
    return [
        _fingerprint(moment),
        job_status(moment),
        job_result(moment, _address(moment), _reference_address(moment)),
        _gallery(moment),
        *[gr.update(interactive=not is_busy)] * 5,
        gr.update(interactive=is_busy),
        *_beside(place if "error_code" in answer else None, str(answer.get("error", ""))),
    ]


def _gallery(moment: JobStatus) -> Update:
    """Return the cards of the detected people; hidden after any other job."""
    found = person_cards(moment)
    # Pictures instead of paths, since Gradio itself does not serve the results folder.
    pictures = [(picture_at(card.still), card.caption) for card in found]
    return gr.update(value=pictures, visible=bool(pictures))


def _beside(place: str | None, message: str) -> list[Update]:
    """Return updates of all error fields and of the advanced section, which is opened if the error concerns it."""
    values = [gr.update(value=error_beside(message) if place == each else "", visible=place == each) for each in FIELDS]
    return [*values, gr.update(open=True) if place == "overrides" else gr.skip()]


def _address(moment: JobStatus) -> str | None:
    """Return the address of the used part of the source: its URL, or Gradio's address of the upload."""
    source = str(moment.asked.get("video_url", ""))
    if not source:
        return None
    part = f"#t={moment.asked.get('start_s', 0):g},{moment.asked.get('end_s', '')}".rstrip(",")
    return (source.partition("#")[0] if "://" in source else f"/gradio_api/file={quote(source)}") + part


def _reference_address(moment: JobStatus) -> str | None:
    """Return the address of an uploaded reference picture; None for a URL, which the page's policy blocks."""
    source = str(moment.asked.get("reference_image_url", ""))
    return None if not source or "://" in source else f"/gradio_api/file={quote(source)}"


def _place(places: dict[str, gr.HTML], field: str) -> None:
    places[field] = gr.HTML(visible=False, elem_id=f"error-{field}")


def _clip_fields(config: PageConfig, places: dict[str, gr.HTML]) -> dict[str, Any]:
    gr.HTML("<h2>Clip</h2>")
    file = gr.File(label="Clip", file_types=_CLIPS, elem_id="video_file", height=120)
    url = gr.Textbox(label="or its URL", placeholder="https://", max_length=4096, elem_id="video_url")
    load = gr.Button("Show the frames of the URL", size="sm", elem_id="load")
    _place(places, "video_url")
    source = gr.State(None)
    at = gr.Slider(0, 1, 0, step=0.04, label="Frame at (seconds)", visible=False, elem_id="at")
    frame = gr.Image(
        label="Click the person to replace", type="numpy", format="jpeg", interactive=False, visible=False,
        buttons=[], alt_text="A frame of the clip in which to click a person", elem_id="frame",
    )  # fmt: skip
    subject = gr.Dropdown(list(SUBJECTS), value="largest", label="Person to replace", elem_id="subject")
    with gr.Row():
        x = gr.Number(label="x (px from the left)", minimum=0, min_width=120, elem_id="x")
        y = gr.Number(label="y (px from the top)", minimum=0, min_width=120, elem_id="y")
    points = gr.Textbox(
        label="More points on the same person (x, y, seconds; one per line)", lines=2, elem_id="points",
        info="If the wrong person was replaced, click the right one at that time and keep the point.",
    )  # fmt: skip
    keep = gr.Button("Keep this point", size="sm", elem_id="keep")
    on_lost = gr.Dropdown(
        [("warn and continue", "warn"), ("fail with an error", "error")],
        value="warn", label="When the person is not clearly visible", elem_id="on_lost",
    )  # fmt: skip
    _place(places, "subject")
    with gr.Row():
        start_s = gr.Number(label="From (seconds)", minimum=0, min_width=120, step=0.1, elem_id="start_s")
        end_s = gr.Number(label="To (seconds; 0: the end)", minimum=0, min_width=120, step=0.1, elem_id="end_s")
    _place(places, "range")

    def show(path: str | None) -> list[Update]:
        hidden = gr.update(visible=False)
        if path is None:
            return [None, hidden, gr.update(value=None, visible=False), *_video_error(""), None, None]
        limits = config.settings_of(config.preset).limits
        try:
            last = last_second(Path(path), limits)
            picture, _ = frame_at(Path(path), 0.0, limits)
        except UnderstudyError as error:
            return [None, hidden, gr.update(value=None, visible=False), *_video_error(error.message), None, None]
        slider = gr.update(maximum=max(round(last, 2), 0.04), value=0, visible=True)
        return [path, slider, gr.update(value=picture, visible=True), *_video_error(""), None, None]

    def show_url(address: str) -> list[Update]:
        limits = config.settings_of(config.preset).limits
        try:
            if not address.strip().startswith(("http://", "https://")):
                raise InvalidInput("a URL starts with https:// or http://")
            target = config.folder / "uploads" / hashlib.sha256(address.strip().encode()).hexdigest()[:32]
            fetch(
                address.strip(), target, field="video_url", max_bytes=limits.max_bytes, seconds=limits.fetch_seconds,
                local_root=None, private_hosts=config.private_hosts, check=lambda: None,
            )  # fmt: skip
        except UnderstudyError as error:
            return [None, gr.update(visible=False), gr.update(visible=False), *_video_error(error.message), None, None]
        return show(str(target))

    def draw(path: str | None, at_s: float, x: float | None, y: float | None) -> Update:
        if path is None:
            return gr.skip()
        picture, _ = frame_at(Path(path), at_s, config.settings_of(config.preset).limits)
        return picture if x is None or y is None else marked(picture, x, y)

    def clicked(event: gr.SelectData) -> list[Update]:
        return [event.index[0], event.index[1], POINT]

    shown = [source, at, frame, places["video_url"], x, y]
    file.change(show, file, shown, api_visibility="private")
    load.click(show_url, url, shown, api_visibility="private")
    for other_clip in (file.change, load.click):
        other_clip(lambda: "", None, points, **_QUIET)
    # The clicked point does not apply to another frame.
    at.input(lambda: (None, None), None, [x, y], **_QUIET)
    frame.select(clicked, None, [x, y, subject], **_QUIET)
    keep.click(with_point, [points, x, y, at], points, **_QUIET)
    for each in (at.change, x.change, y.change):
        each(draw, [source, at, x, y], frame, trigger_mode="always_last", **_QUIET)
    return {
        "video_file": file, "video_url": url, "subject": subject, "x": x, "y": y, "at_s": at, "points": points,
        "on_lost": on_lost, "start_s": start_s, "end_s": end_s,
    }  # fmt: skip


def _video_error(message: str) -> list[Update]:
    return [gr.update(value=error_beside(message) if message else "", visible=bool(message))]


def _other_fields(
    config: PageConfig, places: dict[str, gr.HTML]
) -> tuple[dict[str, Any], dict[str, Any], gr.State, gr.Accordion]:
    settings = config.settings_of(config.preset)
    gr.HTML("<h2>New person</h2>")
    reference = gr.File(label="Reference picture", file_types=_PICTURES, elem_id="reference_file", height=120)
    reference_url = gr.Textbox(label="or its URL", placeholder="https://", max_length=4096, elem_id="reference_url")
    _place(places, "reference_image_url")
    prompt = gr.Textbox(label="Prompt", max_length=2000, elem_id="prompt")
    negative = gr.Textbox(label="Negative prompt", max_length=2000, elem_id="negative_prompt")
    _place(places, "prompt")
    gr.HTML("<h2>Settings</h2>")
    preset = gr.Dropdown(list(preset_names()), value=config.preset, label="Preset", elem_id="preset")
    _place(places, "preset")
    front = {key: _control(setting_of(settings, key), settings) for key in IN_FRONT if key not in config.locked}
    seed = gr.Number(0, label="Seed", minimum=0, maximum=2**32 - 1, precision=0, elem_id="seed")
    _place(places, "seed")
    with gr.Accordion("Advanced settings", open=False, elem_id="advanced") as advanced:
        controls = {each.key: _control(each, settings) for each in advanced_settings(settings, config.locked)}
    # Outside the accordion, since it also shows errors of the two settings before it.
    _place(places, "overrides")
    artifacts = gr.CheckboxGroup(artifact_names(), value=["report"], label="Additional files", elem_id="artifacts")
    _place(places, "artifacts")
    changed = front | controls

    shown_preset = gr.State(config.preset)

    def values(name: str) -> list[Any]:
        chosen = config.settings_of(name)
        return [name, *(value_of(chosen, key) for key in changed)]

    preset.change(values, preset, [shown_preset, *changed.values()], **_QUIET)
    more = {
        "reference_file": reference, "reference_url": reference_url, "prompt": prompt, "negative_prompt": negative,
        "preset": preset, "seed": seed, "artifacts": artifacts,
    }  # fmt: skip
    return more, changed, shown_preset, advanced


def _control(setting: Setting, settings: Settings) -> Any:
    """Return the control for a setting, showing the preset's value."""
    value = value_of(settings, setting.key)
    name = setting.key.replace(".", "-")
    common: Mapping[str, Any] = {"label": setting.label, "info": setting.meaning, "elem_id": name}
    if setting.key == "plate.method":
        names = {"median": "on: reconstruct the clean background", "off": "off"}
        choices = [(names.get(each, each), each) for each in setting.choices]
        return gr.Dropdown(choices, value=value, label="Background plate", elem_id=name)
    if setting.key == "segment.count":
        common = {"label": "Segments per shot (0: automatic)", "elem_id": name}
    if setting.kind == "choice":
        return gr.Dropdown(list(setting.choices), value=value, **common)
    if setting.kind == "switch":
        return gr.Checkbox(value, **common)
    limits: Mapping[str, Any] = {"minimum": setting.minimum, "maximum": setting.maximum}
    if setting.kind == "whole" and None not in limits.values():
        return gr.Slider(value=value, step=1, **limits, **common)
    return gr.Number(value, **limits, step=1 if setting.kind == "whole" else 0.01, **common)
