"""The ``vace`` generator: Wan2.1-VACE, a video model that fills a region guided by a drawing of the figure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.window import Layer, Window
from pipeline.models.device import device_errors
from pipeline.models.diffusion.conditioner import full_prompt
from pipeline.models.diffusion.prompts import prompt_warnings
from pipeline.models.diffusion.reference_crop import WHITE, framed_reference, only_first_reference
from pipeline.models.diffusion.wan_backend import WanBackend
from pipeline.models.diffusion.wan_loading import MOST_TOKENS, WanParts, encode_prompts, load_tokenizer
from pipeline.models.diffusion.wan_window import (
    generator_of,
    kept_pictures,
    layers_of,
    padded_rows,
    pil,
    pil_mask,
    regions_to_make,
    stop_between_steps,
)
from pipeline.models.interfaces import Needs
from pipeline.runtime.callbacks import Check
from pipeline.settings import VaceSettings

_GRAY = 127
"""The gray that VACE was trained to see where the picture is to be generated."""


class Vace(WanBackend):
    """A window's first frames are those finished by the previous window: the model sees them unchanged."""

    def __init__(self, parts: WanParts, settings: VaceSettings) -> None:
        super().__init__(parts)
        self._settings = settings

    @property
    def needs(self) -> Needs:
        settings = self._settings
        return Needs(
            crop_size_wh=settings.crop_size_wh,
            window_frames=settings.window_frames,
            conditioning_frames=settings.conditioning_frames,
            controls=(settings.control,),
            inputs=frozenset({"plates", "masks", "figure"}),
            output="pictures",
        )

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Encode the prompt, with an encoder that is unloaded afterwards, and cut out the reference over white."""
        self.use_all_memory()
        settings = self._settings
        parts = self._parts
        prompts = (
            full_prompt(appearance.prompt, settings.default_prompt),
            appearance.negative_prompt or settings.negative_prompt,
        )
        self._prompt = encode_prompts(parts.folder, prompts, parts.device.type, parts.dtype)
        self._reference = framed_reference(appearance, WHITE)
        cut = prompt_warnings(appearance, load_tokenizer(parts.folder), MOST_TOKENS, settings.guidance)
        return (*only_first_reference(appearance), *cut)

    def _layers(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        settings = self._settings
        pipeline = self._parts.pipeline
        device = self._parts.device
        rows = padded_rows(window.num_frames)
        regions = regions_to_make(window)
        shown = self._shown(window, regions)
        width, height = window.size_wh
        prompt, negative = (part.to(device) for part in self._prompt)
        with device_errors(), torch.inference_mode():
            made = pipeline(
                video=[pil(shown[row]) for row in rows],
                mask=[pil_mask(regions[row]) for row in rows],
                reference_images=None if self._reference is None else [pil(self._reference)],
                conditioning_scale=settings.control_scale,
                prompt_embeds=prompt,
                negative_prompt_embeds=negative if settings.guidance > 1 else None,
                height=height,
                width=width,
                num_frames=len(rows),
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                generator=generator_of(seed, window.start),
                output_type="np",
                callback_on_step_end=stop_between_steps(check),
                callback_on_step_end_tensor_inputs=["latents"],
            ).frames[0]
        yield from layers_of(window, np.asarray(made), range(window.num_frames))

    def _shown(self, window: Window, regions: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Return (N, h, w, 3): the kept picture, with the figure's drawing on gray where the new person may be."""
        drawn = window.controls[self._settings.control]
        on_gray = np.where(drawn.any(axis=-1, keepdims=True), drawn, np.uint8(_GRAY))
        return np.where(regions[..., None], on_gray, kept_pictures(window))
