"""A painted person in a window of small pictures, and a backend that finds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import FigureGuide, Layer, Window


def painted_joints(shift: float = 0.0) -> Any:
    joints = np.ones((21, 3), np.float32)
    joints[:, 0] = 50 + shift
    joints[:, 1] = np.linspace(10, 90, 21)
    return joints


class FoundPeople:
    """A backend that finds these people, picture by picture."""

    look_back = 0

    def __init__(self, found: list[list[Person]]) -> None:
        self._found = found

    def find(self, picture: Any) -> list[Person]:
        return self._found.pop(0)

    batch_frames = 1

    def find_batch(self, pictures: Any) -> list[list[Person]]:
        return [self.find(picture) for picture in pictures]

    def reset(self) -> None:
        pass


def painted_person(shift: float = 0.0) -> Person:
    mask = np.zeros((100, 100), np.bool_)
    mask[10:90, 40 + int(shift) : 60 + int(shift)] = True
    skeleton = np.full((23, 3), np.nan, np.float32)
    return Person(np.array([40.0, 10, 60, 90]), 0.9, painted_joints(shift), skeleton, mask)


def painted_window(frames: int) -> Window:
    return Window(
        start=0,
        size_wh=(100, 100),
        pts_seconds=np.arange(frames) / 30,
        joints=np.stack([painted_joints()] * frames),
        skeletons=np.zeros((frames, 23, 3), np.float32),
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, 80.0),
        presence=np.full(frames, 2, np.uint8),
        masks=np.stack([painted_person().mask] * frames),
    )


def figure_in(color: tuple[int, int, int], frames: int) -> FigureGuide:
    """Return a figure of one color at the position of ``painted_person``, without a shadow."""
    mask = painted_person().mask
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[mask] = color
    layer = Layer(picture, mask.astype(np.uint8) * 255)
    depth = np.where(mask, np.float32(0), np.float32(np.nan))
    normals = np.zeros((frames, 100, 100, 3), np.float32)
    return FigureGuide((layer,) * frames, np.stack([depth] * frames), normals)
