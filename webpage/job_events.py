"""The page's event handlers that start, follow and cancel jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from pipeline.errors import InvalidInput
from webpage.error_fields import Update
from webpage.form import POINT, job_input, place_of, read_fields, with_point
from webpage.job_runner import Busy
from webpage.page_config import PageConfig
from webpage.panels import error_beside, job_status, person_cards
from webpage.status_updates import errors_and_advanced, fingerprint, is_preview, status_updates

_SEVERAL = (None, "overrides", "range", "subjects")
"""Places at which errors of several fields are shown: they name the field."""
_PREVIEW_SECONDS = 10.0
"""How long to wait for a cancelled character preview; its longest step, fitting, takes one or two seconds."""


class JobEvents:
    """Handlers whose updates are for the components of ``status_updates``, unless they say otherwise."""

    def __init__(self, config: PageConfig, inputs: Sequence[str], settings: Sequence[str], num_shown: int) -> None:
        """``inputs`` are those of ``INPUTS`` and ``settings`` the keys of settings, both in the order in which
        their values are passed to ``begin``; ``num_shown`` is the number of updated components."""
        self._config = config
        self._inputs = inputs
        self._settings = settings
        self._num_shown = num_shown

    def begin(self, mode: str, *values: Any) -> list[Update]:
        """Start a job with the values of the inputs, the settings, and the preset that the settings show."""
        fields = read_fields(dict(zip(self._inputs, values[: len(self._inputs)], strict=True)))
        *controls, shown_preset = values[len(self._inputs) :]
        changed = dict(zip(self._settings, controls, strict=True))
        wanted = self._config.settings_of(fields.preset or self._config.preset)
        shown = self._config.settings_of(shown_preset)
        self._cancel_preview()
        try:
            self._config.runner.start(job_input(fields, changed, wanted, mode, shown))
        except InvalidInput as error:
            place = place_of(error.field)
            message = f"{error.field}: {error.message}" if place in _SEVERAL else error.message
            summary = "" if place is not None else error_beside(message)
            return [gr.skip(), summary, *[gr.skip()] * 8, *errors_and_advanced(place, message)]
        except Busy as error:
            return [gr.skip(), error_beside(str(error)), *[gr.skip()] * (self._num_shown - 2)]
        return self.show()

    def show(self) -> list[Update]:
        """Return updates for the job's current state."""
        return status_updates(self._config.runner.now())

    def follow(self, known: Any) -> list[Update]:
        """Return updates if the job's state has changed; otherwise a playing result is not disturbed."""
        status = self._config.runner.now()
        if known == fingerprint(status):
            return [gr.skip()] * self._num_shown
        return status_updates(status)

    def choose(self, event: gr.SelectData) -> list[Update]:
        """Make the person on the clicked card the subject, as a point, which is valid for every preset.

        The updates are for the fields subject, x, y and points.
        """
        status = self._config.runner.now()
        found = person_cards(status)
        point = found[event.index].point if event.index < len(found) else None
        if point is None:
            return [gr.skip()] * 4
        at_s = point.at_s + float(status.job_input.get("start_s", 0.0))
        return [POINT, None, None, with_point("", point.x, point.y, at_s)]

    def stop(self) -> str:
        """Cancel the job; return the new value of the status."""
        self._config.runner.cancel()
        return job_status(self._config.runner.now())

    def _cancel_preview(self) -> None:
        """Cancel a running character preview and wait for its end."""
        runner = self._config.runner
        if runner.now().is_under_way and is_preview(runner.now()):
            runner.cancel()
            runner.wait(_PREVIEW_SECONDS)
