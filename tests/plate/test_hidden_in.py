"""What hides the background of a frame."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.plan import Presence
from pipeline.joints import NUM_SKELETON
from pipeline.plate.plate import hidden_in


def _hidden(presence: Presence) -> Mask:
    mask = np.zeros((100, 100), np.bool_)
    mask[30:70, 45:55] = True
    plan: Any = SimpleNamespace(
        is_blended=None,
        overlays=None,
        subject=SimpleNamespace(
            presence=np.array([presence]),
            body_height_px=np.array([40.0]),
            skeletons=np.full((1, NUM_SKELETON, 3), np.nan, np.float32),
        ),
    )
    masks: Any = SimpleNamespace(hidden_mask=lambda frame: mask, subject_mask=lambda frame: mask)
    return hidden_in([plan], [masks], 0)


def test_a_mask_that_was_moved_from_another_frame_hides_more_than_itself() -> None:
    """Limbs of somebody who comes into the picture are elsewhere than in the frame whose mask is borrowed."""
    assert np.count_nonzero(_hidden(Presence.FOUND)) == 400
    guessed = _hidden(Presence.UNCERTAIN)
    assert guessed[50, 37] and guessed[50, 63] and guessed[22, 50]
    assert not guessed[50, 30]
