"""Fakes for tests: they fulfill the protocols exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.window import Layer, Window
from pipeline.models.interfaces import Needs
from pipeline.runtime.callbacks import Check


class IdentityGenerator:
    """Returns the subject unchanged: the source's picture under the subject's own mask.

    With it a job must return the source (up to resampling), which tests every transform on the way.
    """

    def __init__(self, window_frames: int = 16, conditioning_frames: int = 5) -> None:
        self.calls: list[tuple[int, int, int]] = []
        """(first frame, frames, finished frames given) of each call."""
        self._needs = Needs(
            crop_size_wh=None,
            window_frames=window_frames,
            conditioning_frames=conditioning_frames,
            inputs=frozenset(("pictures", "masks")),
        )

    @property
    def needs(self) -> Needs:
        return self._needs

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Nothing is adopted: the subject stays unchanged."""
        return ()

    def use_less_memory(self) -> bool:
        """It has no batch to halve."""
        return False

    def rest(self) -> None:
        """It keeps nothing."""

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Yield the source's own pixels with the subject's mask as alpha."""
        assert window.pictures is not None and window.masks is not None
        self.calls.append((window.start, window.num_frames, len(window.finished)))
        for picture, mask, joints in zip(window.pictures, window.masks, window.joints, strict=True):
            check()
            yield Layer(picture, mask.astype(np.uint8) * 255, joints)


class FailingGenerator(IdentityGenerator):
    """Fails with given errors, one per window, then behaves like ``IdentityGenerator``."""

    def __init__(self, errors: list[Exception], can_use_less: bool = True) -> None:
        super().__init__()
        self._errors = list(errors)
        self._can_use_less = can_use_less
        self.halved = 0

    def use_less_memory(self) -> bool:
        """Count the calls."""
        self.halved += 1
        return self._can_use_less

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Yield half of the window and fail, while there are errors left."""
        fails = bool(self._errors)
        for position, layer in enumerate(super().generate(window, seed, check)):
            if fails and position == window.num_frames // 2:
                raise self._errors.pop(0)
            yield layer
