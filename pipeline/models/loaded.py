"""The loaded models of a job, passed to ``run_job``: this is where another generator is plugged in."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.models.interfaces import (
    CharacterBackend,
    FigureBackend,
    Generator,
    PeopleBackend,
    PeopleInDepthBackend,
    SafetyBackend,
)
from pipeline.models.registry import make_character, make_figure, make_generator, make_people, make_safety
from pipeline.runtime.process import prepare_process
from pipeline.settings import GenerateSettings, PeopleSettings, Settings


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModels:
    """Generator, people, figure and safety models, with the settings that they were loaded for."""

    people: PeopleBackend
    generator: Generator
    figure: FigureBackend | None = None
    """The figure that guides an image generator; None for the mannequin."""
    safety: SafetyBackend | None = None
    """None where the generator needs no safety checker."""
    people_settings: PeopleSettings | None = None
    generate_settings: GenerateSettings | None = None

    @property
    def outlines(self) -> PeopleBackend:
        """Detects people in generated pictures, where only positions and outlines are needed."""
        return self.people.flat if isinstance(self.people, PeopleInDepthBackend) else self.people


def load_models(settings: Settings, kept: LoadedModels | None = None) -> LoadedModels:
    """Load the models of the settings; those that ``kept`` has for the same settings are reused.

    Raises ``PresetUnavailable``.
    """
    prepare_process()
    people = generator = figure = safety = None
    if kept is not None and kept.people_settings == settings.people:
        people = kept.people
    if kept is not None and kept.generate_settings == settings.generate:
        generator = kept.generator
        figure = kept.figure
        safety = kept.safety
    people = people or make_people(settings.people)
    if generator is None:
        generator = make_generator(settings.generate)
        figure = make_figure(settings.generate)
        safety = make_safety(settings.generate)
    return LoadedModels(people, generator, figure, safety, settings.people, settings.generate)


def load_people(settings: Settings, kept: LoadedModels | None = None) -> PeopleBackend:
    """Load only the people detector, or reuse the one in ``kept``. Raises ``PresetUnavailable``."""
    if kept is not None and kept.people_settings == settings.people:
        return kept.people
    return make_people(settings.people)


def load_character(settings: Settings, kept: LoadedModels | None = None) -> tuple[PeopleBackend, CharacterBackend]:
    """Load only what renders the new person alone: no generator. Raises ``PresetUnavailable``."""
    return load_people(settings, kept), make_character(settings.generate)
