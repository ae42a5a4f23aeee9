"""MoveNet MultiPose (Google, Apache-2.0): approximate positions of up to six people in a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.shaped import Shaped, Shapes

LONG_SIDE_PX = 256
"""Longer side of the model's input; it found every person in the tested clips, in 45 ms."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RoughPerson(Shaped):
    """One detection, in the picture's pixels."""

    SHAPES: ClassVar[Shapes] = {"box_xyxy": (4,), "keypoints": (17, 3)}

    box_xyxy: NDArray[np.float64]
    """(4,)."""
    keypoints: NDArray[np.float64]
    """(17, 3) COCO order: x, y, score."""
    score: float


class MoveNet:
    """Finds people in single pictures."""

    def __init__(self, model_path: Path, num_threads: int) -> None:
        """Load the model; the number of threads is fixed, so that results are reproducible to the byte."""
        self._interpreter = Interpreter(model_path=str(model_path), num_threads=num_threads)
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._size_wh = (0, 0)

    def find(self, picture: Picture, min_score: float) -> list[RoughPerson]:
        """Return the people of an upright RGB picture with a score of at least ``min_score``, best first."""
        height, width = picture.shape[:2]
        scale = LONG_SIDE_PX / max(width, height)
        inner_wh = max(1, round(width * scale)), max(1, round(height * scale))
        size_wh = tuple(-(-side // 32) * 32 for side in inner_wh)
        if size_wh != self._size_wh:
            self._interpreter.resize_tensor_input(self._input["index"], [1, size_wh[1], size_wh[0], 3], strict=False)
            self._interpreter.allocate_tensors()
            self._size_wh = size_wh
        canvas = np.zeros((1, size_wh[1], size_wh[0], 3), self._input["dtype"])
        shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas[0, : inner_wh[1], : inner_wh[0]] = cv2.resize(picture, inner_wh, interpolation=shrink)
        self._interpreter.set_tensor(self._input["index"], canvas)
        self._interpreter.invoke()
        rows = np.asarray(self._interpreter.get_tensor(self._output)[0], np.float64)
        rows = rows[np.argsort(-rows[:, 55], kind="stable")]
        # Normalized by the padded canvas; -0.5 because pixel centers lie at integers.
        to_px = np.array([size_wh[0] * width / inner_wh[0], size_wh[1] * height / inner_wh[1]])
        people = []
        for row in rows[rows[:, 55] >= min_score]:
            points = row[:51].reshape(17, 3)
            keypoints = np.column_stack([points[:, [1, 0]] * to_px - 0.5, points[:, 2]])
            box = row[[52, 51, 54, 53]] * np.tile(to_px, 2) - 0.5
            people.append(RoughPerson(box, keypoints, float(row[55])))
        return people
