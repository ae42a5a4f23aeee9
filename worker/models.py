"""The loaded models that a worker keeps between jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from contextvars import copy_context

from pipeline.errors import PresetUnavailable
from pipeline.models.interfaces import CharacterBackend, PeopleBackend
from pipeline.models.loaded import LoadedModels, load_character, load_models, load_people
from pipeline.settings import Settings
from worker.fan_out.open_bundle import OpenBundle
from worker.presets import available_presets
from worker.threads import start_thread

Load = Callable[[Settings, LoadedModels | None], LoadedModels]
"""Maps (settings, models already loaded) to the models that the settings need."""
LoadPeople = Callable[[Settings, LoadedModels | None], PeopleBackend]
"""The same for the people detector alone."""

_REFUSED_SECONDS = 0.1
"""Missing weights are usually noticed within this time, before anything is fetched."""


class ModelKeeper:
    """Loads a preset's models when a job first needs them and keeps them for later jobs."""

    def __init__(self, load: Load = load_models, load_people: LoadPeople = load_people) -> None:
        self._load = load
        self._load_people = load_people
        self._kept: LoadedModels | None = None
        self._loading = threading.Lock()
        self.bundle: OpenBundle | None = None
        """Inputs of the last chunk job, reused by the next one of the same fan-out."""

    def let_go_of_bundle(self) -> None:
        """Close the bundle of the last chunk job and remove its files."""
        if self.bundle is not None:
            self.bundle.close()
            self.bundle = None

    def load(self, settings: Settings) -> LoadedModels:
        """Return the models for the settings. Raises ``PresetUnavailable``, which lists the available presets."""
        with self._loading:
            with _presets_listed(settings):
                self._kept = self._load(settings, self._kept)
            return self._kept

    def begin_to_load(
        self, settings: Settings, refused_seconds: float = _REFUSED_SECONDS
    ) -> Callable[[], LoadedModels]:
        """Load the models in a thread, so that the source can be fetched meanwhile; return a function that waits for
        them. Raises like ``load`` what fails within ``refused_seconds``; what fails later is raised by the function."""
        context = copy_context()
        loading = start_thread(lambda: context.run(self.load, settings), "models")
        if wait([loading], timeout=refused_seconds).done:
            loading.result()
        return loading.result

    def load_people(self, settings: Settings) -> PeopleBackend:
        """Return the people detector for the settings, without a generator. Raises like ``load``."""
        with _presets_listed(settings):
            return self._load_people(settings, self._kept)

    def load_character(self, settings: Settings) -> tuple[PeopleBackend, CharacterBackend]:
        """Return the people detector and the figure that the mode ``character`` needs. Raises like ``load``."""
        with _presets_listed(settings):
            return load_character(settings, self._kept)


@contextmanager
def _presets_listed(settings: Settings) -> Iterator[None]:
    try:
        yield
    except PresetUnavailable as error:
        here = ", ".join(available_presets()) or "none"
        message = error.message.replace("--preset NAME", f"--preset {settings.preset}")
        raise PresetUnavailable(f"{message}; presets available on this worker: {here}", field="preset") from error
