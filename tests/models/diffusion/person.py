from __future__ import annotations

import numpy as np

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.survey import Person


def person_in_reference(color: tuple[int, int, int]) -> Appearance:
    """A reference picture of a person in one color, with mask and box, so that nothing has to be detected."""
    picture = np.full((200, 100, 3), 220, np.uint8)
    mask = np.zeros((200, 100), np.bool_)
    mask[20:180, 35:65] = True
    picture[mask] = color
    joints = np.full((21, 3), np.nan, np.float32)
    skeleton = np.full((23, 3), np.nan, np.float32)
    person = Person(np.array([35.0, 20.0, 65.0, 180.0]), 0.9, joints, skeleton, mask)
    return Appearance("a dancer", reference=picture, reference_person=person)
