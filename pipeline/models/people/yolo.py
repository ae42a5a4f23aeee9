"""The people backend for GPUs: ultralytics' segmentation and pose models, batched, offline.

Their weights are AGPL-3.0 and pickles: a file is loaded only after its hash was verified against the lock.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from supervision import box_iou_batch

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.survey import Person
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.models.device import device_errors
from pipeline.models.weights.folder import verified_path

SIDE_PX = 640
BATCH_FRAMES = 8
_PERSON_CLASS = 0
_SAME_IOU = 0.5
"""IoU above which a pose belongs to a mask's box."""
_COCO_JOINTS = 17


class YoloPeople:
    """Frames are independent: there is no state between them."""

    def __init__(self, device: str, min_score: float, models: tuple[Any, Any] | None = None) -> None:
        """Load both models, unless the caller passes ultralytics' (segmenter, poser).

        Raises ``PresetUnavailable`` where a file is missing or does not match the lock.
        """
        self._device = device
        self._min_score = min_score
        if models is None:
            models = load_yolo(verified_path("yolo26m-seg.pt")), load_yolo(verified_path("yolo26m-pose.pt"))
        self._segmenter, self._poser = models

    @property
    def look_back(self) -> int:
        return 0

    @property
    def batch_frames(self) -> int:
        return BATCH_FRAMES

    def find(self, picture: Picture) -> list[Person]:
        """Return the people of one frame. Raises ``OutOfMemory`` and ``GpuError``."""
        return self.find_batch([picture])[0]

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        """Return the people of several frames of one size."""
        # ultralytics expects BGR arrays.
        bgr = [np.ascontiguousarray(picture[..., ::-1]) for picture in pictures]
        with device_errors():
            segmented = self._predict(self._segmenter, bgr, True)
            posed = self._predict(self._poser, bgr, False)
        return [people_of(seen, pose) for seen, pose in zip(segmented, posed, strict=True)]

    def reset(self) -> None:
        """There is no state to reset."""

    def _predict(self, model: Any, bgr: list[NDArray[np.uint8]], masks: bool) -> list[Any]:
        results: list[Any] = model.predict(
            bgr,
            imgsz=SIDE_PX,
            conf=self._min_score,
            classes=[_PERSON_CLASS],
            device=self._device,
            retina_masks=masks,
            verbose=False,
            save=False,
        )
        return results


def load_yolo(path: Path) -> Any:
    """Load a native ``.pt`` whose bytes the caller has verified."""
    return import_ultralytics().YOLO(str(path.resolve()))


def import_ultralytics() -> Any:
    """Import ultralytics without access to the network or pip, and without side effects on other libraries.

    It replaces Pillow's opener by its own, which raises an ImportError for a damaged picture, and sets OpenCV to one
    thread.
    """
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "0")
    os.environ.setdefault("YOLO_VERBOSE", "0")
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())
    opened = PIL.Image.open
    threads = cv2.getNumThreads()
    ultralytics = importlib.import_module("ultralytics")
    importlib.import_module("ultralytics.engine.results")
    PIL.Image.open = opened
    cv2.setNumThreads(threads)
    ultralytics.settings.update({"sync": False})
    return ultralytics


def people_of(segmented: Any, posed: Any) -> list[Person]:
    """Return the people of one frame from ultralytics' ``Results`` of both models, in source px.

    Boxes and masks are the segmentation's, joints are those of the pose whose box is nearest. Heels and toes are not in
    COCO-17: NaN. The skeleton is flat (z 0); ``PeopleInDepth`` adds what is missing.
    """
    if segmented.masks is None:
        return []
    boxes = segmented.boxes.xyxy.cpu().numpy().astype(np.float64)
    scores = segmented.boxes.conf.cpu().numpy()
    masks = segmented.masks.data.cpu().numpy() > 0.5
    height, width = segmented.orig_shape
    pose_boxes = posed.boxes.xyxy.cpu().numpy().astype(np.float64)
    keypoints = posed.keypoints.data.cpu().numpy() if len(pose_boxes) else np.zeros((0, _COCO_JOINTS, 3), np.float32)
    people = []
    for box, score, mask in zip(boxes, scores, masks, strict=True):
        if mask.shape != (height, width):
            mask = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR) > 0
        joints = _joints(box, pose_boxes, keypoints)
        skeleton = np.full((NUM_SKELETON, 3), np.nan, np.float32)
        skeleton[:NUM_JOINTS, :2] = joints[:, :2]
        skeleton[np.isfinite(skeleton[:, 0]), 2] = 0
        people.append(Person(box, float(score), joints, skeleton, np.asarray(mask, np.bool_)))
    return people


def _joints(
    box: NDArray[np.float64], pose_boxes: NDArray[np.float64], keypoints: NDArray[np.float32]
) -> NDArray[np.float32]:
    joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
    joints[:, 2] = 0
    shared = box_iou_batch(box[None], pose_boxes.reshape(-1, 4))[0]
    if len(shared) and shared.max() >= _SAME_IOU:
        found = keypoints[int(shared.argmax())]
        joints[:_COCO_JOINTS] = found
        # Undetected joints are reported at the origin.
        unseen = ~(found[:, :2] > 0).any(axis=1)
        joints[:_COCO_JOINTS][unseen] = (np.nan, np.nan, 0)
    return joints
