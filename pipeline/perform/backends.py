"""The generator of a job with what stands around it: guiding pictures, mattes, the safety checker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import NUM_JOINTS, NUM_SKELETON, Appearance, Presence, Window
from pipeline.models.interfaces import DepthBackend, Generator, PeopleBackend, SafetyBackend
from pipeline.models.registry import make_depth, make_generator, make_safety
from pipeline.perform.controls import ControlPictures, depth_limits
from pipeline.perform.generate import Cutter
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Plug:
    """Loaded models of one job."""

    generator: Generator
    people: PeopleBackend
    depth: DepthBackend | None
    safety: SafetyBackend | None

    def controls(self, samples: Callable[[], NDArray[np.uint8]]) -> ControlPictures | None:
        """Return what draws the guiding pictures; ``samples`` are some of the clip's crops, for the limits of depth."""
        names = self.generator.needs.controls
        if not names:
            return None
        limits = depth_limits(self.depth.estimate(samples())) if self.depth is not None else None
        return ControlPictures(names, self.depth, limits)

    def cutter(self) -> Cutter | None:
        """Return what makes the mattes of a chunk, for a generator that gives none."""
        return None if self.generator.needs.gives_alpha else Cutter(self.people, self.safety)


def make_plug(settings: Settings, people: PeopleBackend) -> Plug:
    """Load what the settings ask for. Raises ``PresetUnavailable``."""
    generate = settings.generate
    return Plug(make_generator(generate), people, make_depth(generate), make_safety(generate))


def warm_up(plug: Plug, settings: Settings) -> None:
    """Let a diffusion generator make one window of nothing: ``torch.compile`` and cuDNN choose their kernels then,
    once.

    The mannequin needs none.
    """
    needs, generate = plug.generator.needs, settings.generate
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
    plug.generator.prepare(Appearance())
    for _ in plug.generator.generate(window, 0, lambda: None):
        pass
    plug.generator.rest()
