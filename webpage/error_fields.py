"""The fields that show errors, each below the input that it concerns."""

from __future__ import annotations

from typing import Any

import gradio as gr

from webpage.form import FIELDS
from webpage.panels import error_beside

Update = Any
"""A component's new value, or ``gr.update`` of it."""
QUIET = {"show_progress": "hidden", "api_visibility": "private"}
"""Options of event listeners that neither show progress on the components nor belong to a public API."""
ErrorFields = dict[str, gr.HTML]
"""The error fields that have been created, by the name in ``FIELDS``."""


def add_error_field(errors: ErrorFields, field: str) -> None:
    """Create the hidden error field of one of ``FIELDS`` at the current place of the page."""
    errors[field] = gr.HTML(visible=False, elem_id=f"error-{field}")


def error_updates(field: str | None, message: str) -> list[Update]:
    """Return updates of all error fields, in the order of ``FIELDS``; all but that of ``field`` are hidden."""
    return [gr.update(value=error_beside(message) if field == each else "", visible=field == each) for each in FIELDS]


def error_update(message: str) -> Update:
    """Return the update of a single error field; an empty message hides it."""
    return gr.update(value=error_beside(message) if message else "", visible=bool(message))
