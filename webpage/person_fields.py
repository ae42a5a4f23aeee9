"""The page's fields about the new person, and the settings of the job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from conf import preset_names
from pipeline.settings import Settings
from webpage.error_fields import QUIET, ErrorFields, add_error_field
from webpage.form import FURTHER, IN_FRONT, Setting, advanced_settings, artifact_names, setting_of, value_of
from webpage.page_config import PageConfig

_PICTURES = [".png", ".jpg", ".jpeg", ".webp"]


class PersonFields:
    """Creates the fields at the current place of the page; ``inputs`` are those of ``Fields`` by name."""

    def __init__(self, config: PageConfig, errors: ErrorFields) -> None:
        self._config = config
        self.inputs: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}
        """The controls of settings, by key."""
        self._add_person(errors)
        self._add_further(errors)
        self._add_settings(errors)
        self.shown_preset = gr.State(config.preset)
        """The preset whose values the controls of settings show."""
        self.inputs["preset"].change(
            self.values, self.inputs["preset"], [self.shown_preset, *self.settings.values()], **QUIET
        )

    def _add_person(self, errors: ErrorFields) -> None:
        gr.HTML("<h2>New person</h2>")
        self.inputs["reference_files"] = gr.File(
            label="Reference pictures: one to four, front first", file_count="multiple", file_types=_PICTURES,
            elem_id="reference_files", height=120,
        )  # fmt: skip
        self.inputs["reference_urls"] = gr.Textbox(
            label="or their URLs, one per line", placeholder="https://", lines=1, max_lines=4, max_length=4 * 4096,
            elem_id="reference_urls",
        )  # fmt: skip
        add_error_field(errors, "reference_image_urls")
        self.inputs["prompt"] = gr.Textbox(label="Prompt", max_length=2000, elem_id="prompt")
        self.inputs["negative_prompt"] = gr.Textbox(label="Negative prompt", max_length=2000, elem_id="negative_prompt")
        add_error_field(errors, "prompt")

    def _add_further(self, errors: ErrorFields) -> None:
        with gr.Accordion("More people to replace", open=False, elem_id="further"):
            gr.HTML("<p>Their numbers are shown on the cards of “Find the people in the clip”.</p>")
            for position in FURTHER:
                with gr.Row():
                    # No gr.Number: it shows 0 when it is empty, and 0 is somebody's number.
                    self.inputs[f"number_{position}"] = gr.Textbox(
                        label=f"Number of person {position}", max_length=2, min_width=120,
                        elem_id=f"number_{position}",
                    )  # fmt: skip
                    self.inputs[f"prompt_{position}"] = gr.Textbox(
                        label=f"Prompt for person {position}", max_length=2000, elem_id=f"prompt_{position}"
                    )
                self.inputs[f"reference_files_{position}"] = gr.File(
                    label=f"Reference pictures for person {position}", file_count="multiple", file_types=_PICTURES,
                    elem_id=f"reference_files_{position}", height=120,
                )  # fmt: skip
        # Outside the accordion, so that an error is visible when it is closed.
        add_error_field(errors, "subjects")

    def _add_settings(self, errors: ErrorFields) -> None:
        config = self._config
        settings = config.settings_of(config.preset)
        gr.HTML("<h2>Settings</h2>")
        self.inputs["preset"] = gr.Dropdown(list(preset_names()), value=config.preset, label="Preset", elem_id="preset")
        add_error_field(errors, "preset")
        for key in IN_FRONT:
            if key not in config.locked:
                self.settings[key] = _control(setting_of(settings, key), settings)
        self.inputs["seed"] = gr.Number(0, label="Seed", minimum=0, maximum=2**32 - 1, precision=0, elem_id="seed")
        add_error_field(errors, "seed")
        with gr.Accordion("Advanced settings", open=False, elem_id="advanced") as self.advanced:
            for setting in advanced_settings(settings, config.locked):
                self.settings[setting.key] = _control(setting, settings)
        # Outside the accordion, since it also shows errors of the two settings before it.
        add_error_field(errors, "overrides")
        self.inputs["artifacts"] = gr.CheckboxGroup(
            artifact_names(), value=["report"], label="Additional files", elem_id="artifacts"
        )
        add_error_field(errors, "artifacts")

    def values(self, name: str) -> list[Any]:
        """Return a preset's name and its values for the controls of settings."""
        chosen = self._config.settings_of(name)
        return [name, *(value_of(chosen, key) for key in self.settings)]


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
