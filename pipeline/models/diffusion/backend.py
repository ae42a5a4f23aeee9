"""The common part of the Stable Diffusion generators."""

from __future__ import annotations

import torch

from pipeline.datatypes.appearance import Appearance
from pipeline.models.diffusion.conditioner import Conditioner
from pipeline.models.diffusion.loading import Components
from pipeline.models.diffusion.prompts import prompt_warnings
from pipeline.models.diffusion.reference_crop import only_first_reference
from pipeline.models.interfaces import Needs
from pipeline.settings import DiffusionSettings


class DiffusionBackend:
    """A ``Generator`` without ``generate``: loaded components and the job's conditioning."""

    def __init__(self, parts: Components, settings: DiffusionSettings) -> None:
        self._parts = parts
        self._settings = settings
        self._conditioner = Conditioner(parts, settings)

    @property
    def needs(self) -> Needs:
        return self._conditioner.needs()

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Encode prompt and reference picture."""
        self._conditioner.prepare(appearance)
        tokenizer = self._parts.pipeline.tokenizer
        cut = prompt_warnings(appearance, tokenizer, tokenizer.model_max_length, self._settings.guidance)
        return (*only_first_reference(appearance), *cut)

    def use_less_memory(self) -> bool:
        """Half as many frames at once."""
        return self._conditioner.halve()

    def rest(self) -> None:
        """Release cached memory for other models."""
        if self._parts.device.type == "cuda":
            torch.cuda.empty_cache()
