"""The page: its layout, and which event calls which handler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from webpage.clip_fields import ClipFields
from webpage.error_fields import QUIET, ErrorFields
from webpage.form import FIELDS, INPUTS
from webpage.job_events import JobEvents
from webpage.job_runner import JobStatus
from webpage.page_config import PageConfig
from webpage.panels import job_status
from webpage.person_fields import PersonFields

_LOOK_SECONDS = 1.0
_DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class _Buttons:
    """The buttons that start jobs, by mode, and the one that cancels them."""

    modes: dict[str, gr.Button]
    cancel: gr.Button


@dataclass(frozen=True, slots=True)
class _Results:
    """The components that show a job's progress and result."""

    status: gr.HTML
    result: gr.HTML
    people: gr.Gallery
    known: gr.State
    """Fingerprint of the status that the page displays."""
    timer: gr.Timer


def build_page(config: PageConfig) -> gr.Blocks:
    """Return the page."""
    with gr.Blocks(title="Understudy", analytics_enabled=False, delete_cache=(3600, _DAY)) as page:
        gr.HTML(
            "<h1>Understudy</h1>"
            f"<p>Replaces the person in a video and keeps everything else. Jobs run {config.where}.</p>"
        )
        errors: ErrorFields = {}
        with gr.Row():
            with gr.Column(min_width=300):
                clip = ClipFields(config, errors)
            with gr.Column(min_width=300):
                person = PersonFields(config, errors)
        buttons = _add_buttons()
        results = _add_results()
        _connect(config, page, clip, person, buttons, results, errors)
    return page


def _add_buttons() -> _Buttons:
    with gr.Row():
        modes = {
            "estimate": gr.Button("Estimate time and cost", elem_id="estimate"),
            "people": gr.Button("Find the people in the clip", elem_id="who"),
            "character": gr.Button("Preview the new person", elem_id="person"),
            "frame": gr.Button("Preview single frames", elem_id="look"),
            "replace": gr.Button("Replace the person", variant="primary", elem_id="start"),
        }
        cancel = gr.Button("Cancel", variant="stop", interactive=False, elem_id="cancel")
    return _Buttons(modes, cancel)


def _add_results() -> _Results:
    return _Results(
        status=gr.HTML(job_status(JobStatus()), elem_id="status"),
        result=gr.HTML(elem_id="result"),
        people=gr.Gallery(
            label="Click the person to replace", visible=False, interactive=False, allow_preview=False, columns=3,
            height="auto", object_fit="contain", format="jpeg", buttons=[], elem_id="people",
        ),
        known=gr.State(None),
        timer=gr.Timer(_LOOK_SECONDS),
    )  # fmt: skip


def _connect(
    config: PageConfig,
    page: gr.Blocks,
    clip: ClipFields,
    person: PersonFields,
    buttons: _Buttons,
    results: _Results,
    errors: ErrorFields,
) -> None:
    """Connect buttons, cards and timer with their handlers."""
    inputs = clip.inputs | person.inputs
    assert set(inputs) == set(INPUTS)
    # In the order of ``status_updates``.
    shown = [
        results.known,
        results.status,
        results.result,
        results.people,
        *buttons.modes.values(),
        buttons.cancel,
        *(errors[name] for name in FIELDS),
        person.advanced,
    ]
    events = JobEvents(config, list(inputs), list(person.settings), len(shown))
    everything = [*inputs.values(), *person.settings.values(), person.shown_preset]

    def start(listener: Any, mode: str) -> None:
        listener(lambda *values: events.begin(mode, *values), everything, shown, trigger_mode="once", **QUIET)

    for mode, button in buttons.modes.items():
        start(button.click, mode)
    start(person.inputs["reference_files"].upload, "character")
    point_fields = [clip.inputs[name] for name in ("subject", "x", "y", "points")]
    results.people.select(events.choose, None, point_fields, **QUIET)
    buttons.cancel.click(events.stop, None, results.status, **QUIET)
    results.timer.tick(events.follow, results.known, shown, **QUIET)
    # A reloaded page shows the running job.
    page.load(events.show, None, shown, **QUIET)
