"""The page's fields about the clip: file or URL, the person to replace, and the part to use."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.errors import InvalidInput, UnderstudyError
from webpage.error_fields import QUIET, ErrorFields, Update, add_error_field, error_update
from webpage.form import POINT, SUBJECTS, with_point
from webpage.frames import frame_at, last_second, marked
from webpage.page_config import PageConfig
from worker.source.fetch import fetch

_CLIPS = [".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi"]


class ClipFields:
    """Creates the fields at the current place of the page; ``inputs`` are those of ``Fields`` by name."""

    def __init__(self, config: PageConfig, errors: ErrorFields) -> None:
        self._config = config
        self.inputs: dict[str, Any] = {}
        gr.HTML("<h2>Clip</h2>")
        self._add_source(errors)
        self._add_subject()
        add_error_field(errors, "subject")
        self._add_range()
        add_error_field(errors, "range")
        self._connect(errors)

    def _add_source(self, errors: ErrorFields) -> None:
        self.inputs["video_file"] = gr.File(label="Clip", file_types=_CLIPS, elem_id="video_file", height=120)
        self.inputs["video_url"] = gr.Textbox(
            label="or its URL", placeholder="https://", max_length=4096, elem_id="video_url"
        )
        self._load = gr.Button("Show the frames of the URL", size="sm", elem_id="load")
        add_error_field(errors, "video_url")
        self._source = gr.State(None)
        self.inputs["at_s"] = gr.Slider(0, 1, 0, step=0.04, label="Frame at (seconds)", visible=False, elem_id="at")
        self._frame = gr.Image(
            label="Click the person to replace", type="numpy", format="jpeg", interactive=False, visible=False,
            buttons=[], alt_text="A frame of the clip in which to click a person", elem_id="frame",
        )  # fmt: skip

    def _add_subject(self) -> None:
        self.inputs["subject"] = gr.Dropdown(
            list(SUBJECTS), value="largest", label="Person to replace", elem_id="subject"
        )
        with gr.Row():
            self.inputs["x"] = gr.Number(label="x (px from the left)", minimum=0, min_width=120, elem_id="x")
            self.inputs["y"] = gr.Number(label="y (px from the top)", minimum=0, min_width=120, elem_id="y")
        self.inputs["points"] = gr.Textbox(
            label="More points on the same person (x, y, seconds; one per line)", lines=2, elem_id="points",
            info="If the wrong person was replaced, click the right one at that time and keep the point.",
        )  # fmt: skip
        self._keep = gr.Button("Keep this point", size="sm", elem_id="keep")
        self.inputs["on_lost"] = gr.Dropdown(
            [("warn and continue", "warn"), ("fail with an error", "error")],
            value="warn", label="When the person is not clearly visible", elem_id="on_lost",
        )  # fmt: skip

    def _add_range(self) -> None:
        with gr.Row():
            self.inputs["start_s"] = gr.Number(
                label="From (seconds)", minimum=0, min_width=120, step=0.1, elem_id="start_s"
            )
            self.inputs["end_s"] = gr.Number(
                label="To (seconds; 0: the end)", minimum=0, min_width=120, step=0.1, elem_id="end_s"
            )

    def _connect(self, errors: ErrorFields) -> None:
        file = self.inputs["video_file"]
        url = self.inputs["video_url"]
        at = self.inputs["at_s"]
        x = self.inputs["x"]
        y = self.inputs["y"]
        points = self.inputs["points"]
        shown = [self._source, at, self._frame, errors["video_url"], x, y]
        file.change(self.show, file, shown, api_visibility="private")
        self._load.click(self.show_url, url, shown, api_visibility="private")
        for other_clip in (file.change, self._load.click):
            other_clip(lambda: "", None, points, **QUIET)
        # The clicked point does not apply to another frame.
        at.input(lambda: (None, None), None, [x, y], **QUIET)
        self._frame.select(self.clicked, None, [x, y, self.inputs["subject"]], **QUIET)
        self._keep.click(with_point, [points, x, y, at], points, **QUIET)
        for changed in (at.change, x.change, y.change):
            changed(self.draw, [self._source, at, x, y], self._frame, trigger_mode="always_last", **QUIET)

    def show(self, path: str | None) -> list[Update]:
        """Show the first frame of a clip and the slider, or the error that the clip causes."""
        hidden = gr.update(visible=False)
        no_frame = gr.update(value=None, visible=False)
        if path is None:
            return [None, hidden, no_frame, error_update(""), None, None]
        limits = self._config.settings_of(self._config.preset).limits
        try:
            last = last_second(Path(path), limits)
            picture, _ = frame_at(Path(path), 0.0, limits)
        except UnderstudyError as error:
            return [None, hidden, no_frame, error_update(error.message), None, None]
        slider = gr.update(maximum=max(round(last, 2), 0.04), value=0, visible=True)
        return [path, slider, gr.update(value=picture, visible=True), error_update(""), None, None]

    def show_url(self, address: str) -> list[Update]:
        """Download the clip at a URL and show it."""
        limits = self._config.settings_of(self._config.preset).limits
        try:
            if not address.strip().startswith(("http://", "https://")):
                raise InvalidInput("a URL starts with https:// or http://")
            target = self._config.folder / "uploads" / hashlib.sha256(address.strip().encode()).hexdigest()[:32]
            fetch(
                address.strip(), target, field="video_url", max_bytes=limits.max_bytes, seconds=limits.fetch_seconds,
                local_root=None, private_hosts=self._config.private_hosts, check=lambda: None,
            )  # fmt: skip
        except UnderstudyError as error:
            hidden = gr.update(visible=False)
            return [None, hidden, gr.update(visible=False), error_update(error.message), None, None]
        return self.show(str(target))

    def draw(self, path: str | None, at_s: float, x: float | None, y: float | None) -> Update:
        """Show the frame at a time, with a cross at the clicked point."""
        if path is None:
            return gr.skip()
        picture, _ = frame_at(Path(path), at_s, self._config.settings_of(self._config.preset).limits)
        return picture if x is None or y is None else marked(picture, x, y)

    def clicked(self, event: gr.SelectData) -> list[Update]:
        """Take over the clicked point as the subject."""
        return [event.index[0], event.index[1], POINT]
