"""A job's status as updates of the page's components."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import gradio as gr

from webpage.error_fields import Update, error_updates
from webpage.form import place_of
from webpage.frames import picture_at
from webpage.job_runner import JobStatus
from webpage.panels import job_result, job_status, person_cards


def is_preview(status: JobStatus) -> bool:
    """Whether a job is a character preview, which also starts by itself and must not block other jobs."""
    return status.job_input.get("mode") == "character"


def fingerprint(status: JobStatus) -> Any:
    """Return the parts of a job's status that the page displays, to detect a change."""
    left = None if status.left_seconds is None else round(status.left_seconds)
    return [status.number, status.stage, round(status.percent), left, status.is_cancelled, status.answer is not None]


def status_updates(status: JobStatus) -> list[Update]:
    """Return updates for the fingerprint, status, result, people, five start buttons, cancel button and errors."""
    answer = status.answer or {}
    field = place_of(answer.get("field"))
    is_busy = status.is_under_way and not is_preview(status)
    return [
        fingerprint(status),
        job_status(status),
        job_result(status, _address(status), _reference_address(status)),
        _gallery(status),
        *[gr.update(interactive=not is_busy)] * 5,
        gr.update(interactive=is_busy),
        *errors_and_advanced(field if "error_code" in answer else None, str(answer.get("error", ""))),
    ]


def errors_and_advanced(field: str | None, message: str) -> list[Update]:
    """Return updates of all error fields and of the advanced section, which is opened if the error concerns it."""
    return [*error_updates(field, message), gr.update(open=True) if field == "overrides" else gr.skip()]


def _gallery(status: JobStatus) -> Update:
    """Return the cards of the detected people; hidden after any other job."""
    # Pictures instead of paths, since Gradio itself does not serve the results folder.
    pictures = [(picture_at(card.still), card.caption) for card in person_cards(status)]
    return gr.update(value=pictures, visible=bool(pictures))


def _address(status: JobStatus) -> str | None:
    """Return the address of the used part of the source: its URL, or Gradio's address of the upload."""
    source = str(status.job_input.get("video_url", ""))
    if not source:
        return None
    part = f"#t={status.job_input.get('start_s', 0):g},{status.job_input.get('end_s', '')}".rstrip(",")
    return (source.partition("#")[0] if "://" in source else f"/gradio_api/file={quote(source)}") + part


def _reference_address(status: JobStatus) -> str | None:
    """Return the address of the first reference picture; None for a URL, which the page's policy blocks."""
    source = str(next(iter(status.job_input.get("reference_image_urls", ())), ""))
    return None if not source or "://" in source else f"/gradio_api/file={quote(source)}"
