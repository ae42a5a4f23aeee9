"""Names of backends to what makes them; wrappers are imported when asked for, so a preset loads only its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from pipeline.models.interfaces import Generator, PeopleBackend
from pipeline.models.weights import weight_path
from pipeline.settings import GenerateSettings, PeopleSettings


def _blazepose(settings: PeopleSettings) -> PeopleBackend:
    from pipeline.models.blazepose import BlazePosePeople

    return BlazePosePeople(min_score=settings.min_score)


def _mannequin(settings: GenerateSettings) -> Generator:
    from pipeline.models.mannequin import Mannequin

    return Mannequin(weight_path("figure.npz"), settings)


_PEOPLE: Mapping[str, Callable[[PeopleSettings], PeopleBackend]] = {"blazepose": _blazepose}
_GENERATORS: Mapping[str, Callable[[GenerateSettings], Generator]] = {"mannequin": _mannequin}


@lru_cache(maxsize=1)
def make_people(settings: PeopleSettings) -> PeopleBackend:
    """Return the people backend of the settings, loaded once and kept. Raises ``PresetUnavailable``."""
    return _PEOPLE[settings.backend](settings)


@lru_cache(maxsize=1)
def make_generator(settings: GenerateSettings) -> Generator:
    """Return the generator of the settings, loaded once and kept. Raises ``PresetUnavailable``."""
    return _GENERATORS[settings.backend](settings)
