"""The user is told of blurred copies that cannot follow the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.datatypes.blurred_copy import BlurredCopy, copy_table
from pipeline.plan.copies_around import copies_told
from tests.support.clip_info import video_info
from tests.support.graphics import one_graphic


def test_only_copies_that_are_not_known_are_told_of() -> None:
    known = BlurredCopy((2.0, 2.0), (0.0, -30.0), 6.0, 0.7)
    borders = np.array([[0, 29, 0, 10, 40, 50], [30, 59, 0, 10, 40, 50], [60, 89, 0, 10, 40, 50]])
    graphics = one_graphic(np.zeros((60, 40), np.bool_), 0, 89)
    overlays = replace(graphics, borders=borders, copies=copy_table([known, replace(known, gain=0.0), None]))
    (told,) = copies_told(overlays, video_info(90))
    assert "from 1.0 to 2.0 s" in told
    assert copies_told(graphics, video_info(90)) == ()
