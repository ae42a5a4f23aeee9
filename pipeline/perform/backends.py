"""What stands around a job's models: guiding pictures, mattes, the warm-up."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.plan import Presence
from pipeline.datatypes.window import Window
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.models.loaded import LoadedModels, load_models
from pipeline.perform.controls import ControlPictures
from pipeline.perform.matting import MatteMaker
from pipeline.settings import Settings


def control_pictures(models: LoadedModels) -> ControlPictures | None:
    """Return what draws the guiding pictures that the generator asks for."""
    names = models.generator.needs.controls
    return ControlPictures(names) if names else None


def matte_maker(models: LoadedModels) -> MatteMaker | None:
    """Return what makes the mattes of a chunk, for a generator that gives none."""
    return None if models.generator.needs.gives_alpha else MatteMaker(models.people, models.safety)


def warm_up(models: LoadedModels, settings: Settings) -> None:
    """Let a diffusion generator make one window of nothing in one step; the mannequin needs none.

    cuDNN and ``torch.compile`` choose their kernels then, once.
    """
    needs, generate = models.generator.needs, settings.generate
    if needs.crop_size_wh is None:
        return
    frames, (width, height) = needs.window_frames, needs.crop_size_wh
    pictures = np.zeros((frames, height, width, 3), np.uint8)
    joints = np.zeros((frames, NUM_JOINTS, 3), np.float32)
    window = Window(
        start=0,
        size_wh=needs.crop_size_wh,
        pts_seconds=np.arange(frames) / 30,
        joints=joints,
        skeletons=np.zeros((frames, NUM_SKELETON, 3), np.float32),
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, height / 2),
        presence=np.full(frames, Presence.FOUND, np.uint8),
        pictures=pictures,
        plates=pictures,
        masks=np.ones((frames, height, width), np.bool_),
        controls={control.name: pictures for control in generate.controls},
    )
    # The same weights under other settings: they are loaded once.
    one_step = settings.model_copy(update={"generate": generate.model_copy(update={"steps": 1})})
    generator = load_models(one_step, models).generator
    generator.prepare(Appearance())
    for _ in generator.generate(window, 0, lambda: None):
        pass
    generator.rest()
