"""Names of backends to what makes them; wrappers are imported when asked for, so a preset loads only its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from pipeline.errors import PresetUnavailable
from pipeline.models.interfaces import FigureBackend, Generator, PeopleBackend, SafetyBackend
from pipeline.models.weights.folder import weight_folder, weight_path
from pipeline.settings import GenerateSettings, PeopleSettings


def _blazepose(settings: PeopleSettings) -> PeopleBackend:
    from pipeline.models.people.blazepose import BlazePosePeople

    return BlazePosePeople(min_score=settings.min_score)


def _yolo(settings: PeopleSettings) -> PeopleBackend:
    from pipeline.models.people.yolo import YoloPeople

    return YoloPeople(settings.device, settings.min_score)


def _mannequin(settings: GenerateSettings) -> Generator:
    from pipeline.models.mannequin.mannequin import Mannequin

    return Mannequin(weight_path("figure.npz"), settings)


def _sd15(settings: GenerateSettings) -> Generator:
    from pipeline.models.diffusion.loading import key_of, load_parts
    from pipeline.models.diffusion.sd15 import StableDiffusion

    return StableDiffusion(load_parts(key_of(settings)), settings)


def _animatediff(settings: GenerateSettings) -> Generator:
    from pipeline.models.diffusion.animatediff import AnimateDiff
    from pipeline.models.diffusion.loading import key_of, load_parts

    return AnimateDiff(load_parts(key_of(settings)), settings)


@contextmanager
def _libraries_needed() -> Iterator[None]:
    """Raise ``PresetUnavailable`` where a library is missing: the lean image has none of the diffusion presets'."""
    try:
        yield
    except ImportError as error:
        told = f"{error.name or 'a library'} is not installed on this worker: see requirements-gpu.lock"
        raise PresetUnavailable(told) from error


_PEOPLE: Mapping[str, Callable[[PeopleSettings], PeopleBackend]] = {"blazepose": _blazepose, "yolo": _yolo}
_GENERATORS: Mapping[str, Callable[[GenerateSettings], Generator]] = {
    "mannequin": _mannequin,
    "sd15": _sd15,
    "animatediff": _animatediff,
}


def make_people(settings: PeopleSettings) -> PeopleBackend:
    """Return the people backend of the settings. Raises ``PresetUnavailable``."""
    with _libraries_needed():
        return _PEOPLE[settings.backend](settings)


def make_generator(settings: GenerateSettings) -> Generator:
    """Return the generator of the settings. Raises ``PresetUnavailable``."""
    with _libraries_needed():
        return _GENERATORS[settings.backend](settings)


def make_figure(settings: GenerateSettings) -> FigureBackend | None:
    """Return the figure that guides a painting generator; the mannequin is one itself. Raises ``PresetUnavailable``."""
    if settings.backend == "mannequin":
        return None
    from pipeline.models.mannequin.mannequin import Mannequin

    return Mannequin(weight_path("figure.npz"), settings)


def make_safety(settings: GenerateSettings) -> SafetyBackend | None:
    """Return the safety checker where it is switched on; the mannequin needs none. Raises ``PresetUnavailable``."""
    if settings.backend == "mannequin" or not settings.safety:
        return None
    with _libraries_needed():
        return _safety(settings.device)


def _safety(device: str) -> SafetyBackend:
    from pipeline.models.diffusion.safety import SafetyChecker

    return SafetyChecker(weight_folder("safety_checker"), device)
