"""Helpers around a job's models: control images, mattes, the warm-up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.plan import Presence
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Window
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.models.interfaces import FigureBackend, FittedBackend, Generator, Needs
from pipeline.models.loaded import LoadedModels, load_models
from pipeline.perform.controls import ControlPictures
from pipeline.perform.matting import MatteMaker
from pipeline.settings import AnimateSettings, Settings, VaceSettings
from pipeline.workspace.checkpoints import keep_if_intact, write_checksum
from pipeline.workspace.values import load_values, save_values

FITTED = "person.zip"
"""The figure fitted to the reference pictures, with its colors, in a subject's folder."""


def prepare_models(models: LoadedModels, appearance: Appearance, folder: Path) -> tuple[str, ...]:
    """Adopt the new person's appearance; return what the generator could not adopt.

    What was fitted to reference pictures is kept in the subject's ``folder``, and read from there where it exists: a
    resumed job and the workers of a shared one draw the same person, and fit nothing.
    """
    notes = _prepared(models.generator, appearance, folder)
    if models.figure is not None:
        # What it cannot adopt is left to the generator.
        _prepared(models.figure, appearance, folder)
    return notes


def _prepared(backend: Generator | FigureBackend, appearance: Appearance, folder: Path) -> tuple[str, ...]:
    if appearance.reference is None or not isinstance(backend, FittedBackend):
        return backend.prepare(appearance)
    path = folder / FITTED
    if keep_if_intact(folder, path):
        return backend.become(load_values(path, type(backend.person)))
    notes = backend.prepare(appearance)
    folder.mkdir(parents=True, exist_ok=True)
    save_values(path, backend.person)
    write_checksum(folder, path)
    return notes


def control_pictures(models: LoadedModels) -> ControlPictures | None:
    """Return the renderer of the control images that the generator needs."""
    names = models.generator.needs.controls
    return ControlPictures(names) if names else None


def matte_maker(models: LoadedModels, settings: Settings) -> MatteMaker | None:
    """Return the matte maker of a chunk, for a generator that returns no alpha."""
    if models.generator.needs.output == "layers":
        return None
    return MatteMaker(
        models.outlines,
        models.safety,
        match_light=settings.composite.light == "scene",
        # A window of a video model costs minutes.
        remakes=not isinstance(settings.generate, VaceSettings | AnimateSettings),
    )


def warm_up(models: LoadedModels, settings: Settings) -> None:
    """Run a diffusion generator once on an empty window with one step; the mannequin needs no warm-up.

    cuDNN and ``torch.compile`` select their kernels then.
    """
    if models.generator.needs.crop_size_wh is None:
        return
    # Same weights with other settings: they are loaded only once.
    one_step = settings.model_copy(update={"generate": settings.generate.model_copy(update={"steps": 1})})
    generator = load_models(one_step, models).generator
    generator.prepare(appearance_to_warm_up())
    for _ in generator.generate(empty_window(generator.needs), 0, lambda: None):
        pass
    generator.rest()


def appearance_to_warm_up() -> Appearance:
    """Return a plain gray appearance: some generators need a reference picture, and none is slower with one."""
    picture = np.full((96, 64, 3), 128, np.uint8)
    mask = np.zeros((96, 64), np.bool_)
    mask[8:88, 16:48] = True
    joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
    skeleton = np.full((NUM_SKELETON, 3), np.nan, np.float32)
    person = Person(np.array([16.0, 8.0, 48.0, 88.0]), 1.0, joints, skeleton, mask)
    return Appearance(reference=picture, reference_person=person)


def empty_window(needs: Needs) -> Window:
    """Return a full window of black pictures, for a generator with a fixed crop."""
    assert needs.crop_size_wh is not None
    frames = needs.window_frames
    (width, height) = needs.crop_size_wh
    pictures = np.zeros((frames, height, width, 3), np.uint8)
    return Window(
        start=0,
        size_wh=needs.crop_size_wh,
        pts_seconds=np.arange(frames) / 30,
        joints=np.zeros((frames, NUM_JOINTS, 3), np.float32),
        skeletons=np.zeros((frames, NUM_SKELETON, 3), np.float32),
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, height / 2),
        presence=np.full(frames, Presence.FOUND, np.uint8),
        pictures=pictures,
        plates=pictures,
        masks=np.ones((frames, height, width), np.bool_),
        controls=dict.fromkeys(needs.controls, pictures),
    )
