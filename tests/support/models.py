"""Loaded models for tests: the real ones, loaded once, or the test's own generator beside the real people model."""

from __future__ import annotations

from pipeline.models.interfaces import Generator
from pipeline.models.loaded import LoadedModels, load_models
from pipeline.models.registry import make_people
from pipeline.settings import Settings

_kept: LoadedModels | None = None


def real_models(settings: Settings) -> LoadedModels:
    """Return the models of the settings; what the test before has loaded for the same settings is taken over."""
    global _kept
    _kept = load_models(settings, _kept)
    return _kept


def models_with(generator: Generator, settings: Settings) -> LoadedModels:
    """Return the settings' people model together with ``generator``."""
    return LoadedModels(make_people(settings.people), generator)
