"""The models that a worker keeps from job to job."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.errors import PresetUnavailable
from pipeline.models.loaded import LoadedModels, load_models
from pipeline.settings import Settings
from worker.presets import available_presets

Load = Callable[[Settings, LoadedModels | None], LoadedModels]
"""(settings, what is loaded already) to what the settings ask for."""


class ModelKeeper:
    """Loads a preset's models when a job first asks for them and keeps them for the jobs that come after."""

    def __init__(self, load: Load = load_models) -> None:
        self._load = load
        self._kept: LoadedModels | None = None

    def load(self, settings: Settings) -> LoadedModels:
        """Return the models of the settings. Raises ``PresetUnavailable``, which lists the presets that are here."""
        try:
            self._kept = self._load(settings, self._kept)
        except PresetUnavailable as error:
            here = ", ".join(available_presets()) or "none"
            told = error.message.replace("--preset NAME", f"--preset {settings.preset}")
            raise PresetUnavailable(f"{told}; presets with weights on this worker: {here}", field="preset") from error
        return self._kept
