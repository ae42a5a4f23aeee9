"""Maps backend names to factories; wrappers are imported on demand, so a preset loads only its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from pipeline.errors import PresetUnavailable
from pipeline.models.interfaces import CharacterBackend, FigureBackend, Generator, PeopleBackend, SafetyBackend
from pipeline.models.weights.folder import weight_folder, weight_path
from pipeline.settings import (
    AnimateDiffSettings,
    AnimateSettings,
    GenerateSettings,
    MannequinSettings,
    PaintingSettings,
    PeopleSettings,
    StableDiffusionSettings,
    VaceSettings,
)

_LANDMARK_THREADS = 2
"""Fixed, so that results are reproducible to the byte."""


def _blazepose(settings: PeopleSettings) -> PeopleBackend:
    from pipeline.models.people.blazepose import BlazePosePeople

    return BlazePosePeople(min_score=settings.min_score)


def _yolo(settings: PeopleSettings) -> PeopleBackend:
    from pipeline.models.people.depth import PeopleInDepth
    from pipeline.models.people.landmarks import LandmarkModel
    from pipeline.models.people.yolo import YoloPeople

    people = PeopleInDepth(YoloPeople(settings.device, settings.min_score), LandmarkModel(_LANDMARK_THREADS))
    return people if settings.masks == "detector" else _with_carried_masks(people, settings.device)


def _with_carried_masks(people: PeopleBackend, device: str) -> PeopleBackend:
    from pipeline.models.people.people_in_video import PeopleInVideo
    from pipeline.models.people.sam_video import load_sam_video

    return PeopleInVideo(people, load_sam_video(weight_folder("sam2"), device))


def _mannequin(settings: MannequinSettings) -> Generator:
    from pipeline.models.mannequin.mannequin import Mannequin

    return Mannequin(weight_path("figure.npz"), settings.figure, settings.crop_height_px)


def _sd15(settings: StableDiffusionSettings) -> Generator:
    from pipeline.models.diffusion.loading import key_of, load_parts
    from pipeline.models.diffusion.sd15 import StableDiffusion

    return StableDiffusion(load_parts(key_of(settings)), settings)


def _animatediff(settings: AnimateDiffSettings) -> Generator:
    from pipeline.models.diffusion.animatediff import AnimateDiff
    from pipeline.models.diffusion.loading import key_of, load_parts

    return AnimateDiff(load_parts(key_of(settings)), settings)


def _vace(settings: VaceSettings) -> Generator:
    from pipeline.models.diffusion.vace import Vace
    from pipeline.models.diffusion.wan_loading import key_of, load_wan

    return Vace(load_wan(key_of(settings)), settings)


def _wan_animate(settings: AnimateSettings) -> Generator:
    from pipeline.models.diffusion.wan_animate import WanAnimate
    from pipeline.models.diffusion.wan_loading import key_of, load_wan

    return WanAnimate(load_wan(key_of(settings)), settings)


@contextmanager
def _libraries_needed() -> Iterator[None]:
    """Raise ``PresetUnavailable`` where a library is missing: the lean image has none of those for diffusion
    presets."""
    try:
        yield
    except ImportError as error:
        told = f"{error.name or 'a library'} is not installed on this worker: see requirements-gpu.lock"
        raise PresetUnavailable(told) from error


_PEOPLE: Mapping[str, Callable[[PeopleSettings], PeopleBackend]] = {"blazepose": _blazepose, "yolo": _yolo}


def make_people(settings: PeopleSettings) -> PeopleBackend:
    """Return the people backend of the settings. Raises ``PresetUnavailable``."""
    with _libraries_needed():
        return _PEOPLE[settings.backend](settings)


def make_generator(settings: GenerateSettings) -> Generator:
    """Return the generator of the settings. Raises ``PresetUnavailable``."""
    with _libraries_needed():
        match settings:
            case MannequinSettings():
                return _mannequin(settings)
            case StableDiffusionSettings():
                return _sd15(settings)
            case AnimateDiffSettings():
                return _animatediff(settings)
            case VaceSettings():
                return _vace(settings)
            case AnimateSettings():
                return _wan_animate(settings)


def make_figure(settings: GenerateSettings) -> FigureBackend | None:
    """Return the figure that guides an image generator; the mannequin is one itself. Raises ``PresetUnavailable``."""
    if not isinstance(settings, PaintingSettings):
        return None
    from pipeline.models.mannequin.mannequin import Mannequin

    return Mannequin(weight_path("figure.npz"), settings.figure)


def make_character(settings: GenerateSettings) -> CharacterBackend:
    """Return the figure by itself, whatever the generator. Raises ``PresetUnavailable``."""
    from pipeline.models.mannequin.mannequin import Mannequin

    return Mannequin(weight_path("figure.npz"), settings.figure)


def make_safety(settings: GenerateSettings) -> SafetyBackend | None:
    """Return the safety checker where it is enabled; the mannequin needs none. Raises ``PresetUnavailable``."""
    if not isinstance(settings, PaintingSettings) or not settings.safety:
        return None
    with _libraries_needed():
        return _safety(settings.device)


def _safety(device: str) -> SafetyBackend:
    from pipeline.models.diffusion.safety import SafetyChecker

    return SafetyChecker(weight_folder("safety_checker"), device)
