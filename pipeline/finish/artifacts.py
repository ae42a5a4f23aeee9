"""The artifacts of a job: its intermediate results as files; one picture per source frame, in the coded orientation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Plan
from pipeline.finish.composite import EditedFrame
from pipeline.finish.layer_pictures import tinted
from pipeline.maths.boxes import box_of_points
from pipeline.maths.geometry import apply_transform
from pipeline.media.ffv1 import ArtifactFormat, ArtifactVideo
from pipeline.media.pixels import coded_from_upright
from pipeline.plate.plate_set import PlateSet
from pipeline.workspace.pictures import write_png


class ArtifactWriter:
    """Writes the requested artifacts while the frames are processed; a context manager.

    On an exception the videos that were started are removed.
    """

    def __init__(self, folder: Path, wanted: frozenset[str], info: VideoInfo, plan: Plan) -> None:
        self._folder = folder
        self._wanted = wanted
        self._info = info
        self._plan = plan
        self._open = ExitStack()
        self.paths: dict[str, list[Path]] = {}
        self._writers: list[tuple[ArtifactVideo, Callable[[EditedFrame], NDArray[np.uint8]]]] = []

    def __enter__(self) -> Self:
        kinds: dict[str, tuple[ArtifactFormat, Callable[[EditedFrame], NDArray[np.uint8]]]] = {
            "mask": ("gray", _mask_picture),
            "edit_region": ("gray", _region_picture),
            "plate": ("bgr0", _plate_picture),
            "layer": ("bgra", _layer_picture),
            "layers_debug": ("bgr0", _labels_picture),
        }
        for name, (pix_fmt, picture) in kinds.items():
            if name in self._wanted:
                path = self._folder / f"{name}.mkv"
                video = ArtifactVideo(path, (self._info.width, self._info.height), pix_fmt, self._info)
                self._writers.append((self._open.enter_context(video), picture))
                self.paths[name] = [path]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def push(self, edited: EditedFrame) -> None:
        """Add the next frame."""
        number = edited.source.index
        for video, picture in self._writers:
            video.write(coded_from_upright(picture(edited), self._info), number)

    def write_values(
        self,
        placed_joints: NDArray[np.float64],
        plates: PlateSet | None,
        further_plans: Sequence[Plan] = (),
        further_joints: Sequence[NDArray[np.float64]] = (),
    ) -> None:
        """Write ``analysis.npz`` and the plates' pictures; ``placed_joints`` (T, 21, 3) are the new person's, source
        px.

        Names of the further subjects' arrays end with their number.
        """
        if "analysis" in self._wanted:
            path = self._folder / "analysis.npz"
            arrays = _analysis(self._info, self._plan, placed_joints, plates)
            for number, (plan, joints) in enumerate(zip(further_plans, further_joints, strict=True), 1):
                of_one = _analysis(self._info, plan, joints, plates)
                arrays |= {f"{name}_{number}": of_one[name] for name in _OF_A_SUBJECT}
            np.savez_compressed(path, allow_pickle=False, **arrays)
            self.paths["analysis"] = [path]
        if "plate" in self._wanted and plates is not None:
            for picture in sorted(plates.folder.glob("plate_[0-9][0-9][0-9][0-9].png")):
                target = self._folder / picture.name
                if self._info.quarter_turns or self._info.mirrored:
                    upright = cv2.imread(str(picture), cv2.IMREAD_COLOR)
                    write_png(target, coded_from_upright(np.asarray(upright, np.uint8), self._info))
                else:
                    shutil.copyfile(picture, target)
                self.paths["plate"].append(target)


_OF_A_SUBJECT = (
    "boxes_xyxy",
    "joints",
    "placed_joints",
    "contacts",
    "presence",
    "body_height_px",
    "segment_bounds",
)
"""Arrays of ``analysis.npz`` that exist per subject."""


def _analysis(
    info: VideoInfo, plan: Plan, placed_joints: NDArray[np.float64], plates: PlateSet | None
) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of ``analysis.npz``: source space in the coded orientation."""
    turn = info.coded_from_source
    back = np.linalg.inv(turn)
    subject = plan.subject
    boxes = subject.boxes_xyxy
    corners = apply_transform(turn, boxes.reshape(-1, 2, 2))
    plate_from_source = plates.plate_from_source if plates is not None else np.tile(np.eye(3), (info.num_frames, 1, 1))

    def turned(points: NDArray[np.floating]) -> NDArray[np.float32]:
        moved = np.array(points, np.float32)
        moved[..., :2] = apply_transform(turn, moved[..., :2])
        return moved

    return {
        "world_from_source": turn @ plan.camera.world_from_source @ back,
        "stable_from_source": turn @ plan.camera.stable_from_source @ back,
        "plate_from_source": turn @ plate_from_source @ back,
        "plate_anchors": plates.anchors if plates is not None else np.zeros(0, np.int64),
        "boxes_xyxy": box_of_points(corners),
        "joints": turned(subject.joints),
        "placed_joints": turned(placed_joints),
        "contacts": plan.contacts.planted,
        "presence": subject.presence,
        "body_height_px": subject.body_height_px,
        "pts": info.pts,
        "time_base": np.array([info.time_base.numerator, info.time_base.denominator], np.int64),
        "shot_starts": plan.shot_starts,
        "segment_bounds": np.array([[segment.start, segment.stop] for segment in plan.segments], np.int64),
    }


def _mask_picture(edited: EditedFrame) -> NDArray[np.uint8]:
    return np.where(edited.subject_mask, np.uint8(255), np.uint8(0))


def _region_picture(edited: EditedFrame) -> NDArray[np.uint8]:
    """0 unchanged … 255 fully replaced; at least 1 where a sample may have changed."""
    share = np.rint((1.0 - edited.source_weight) * 255.0).astype(np.uint8)
    return np.maximum(share, edited.region.astype(np.uint8))


def _plate_picture(edited: EditedFrame) -> NDArray[np.uint8]:
    """The clean background where the frame was edited, the source elsewhere."""
    picture = edited.source_rgb.copy()
    if edited.weights is not None and edited.background is not None:
        x0, y0, x1, y1 = edited.weights.box_xyxy
        hole = edited.weights.hole[..., None]
        picture[y0:y1, x0:x1] = np.where(hole > 0, edited.background, picture[y0:y1, x0:x1])
    return picture


def _labels_picture(edited: EditedFrame) -> NDArray[np.uint8]:
    """Return the source, tinted by the label of each pixel."""
    return tinted(edited.source_rgb, edited.labels)


def _layer_picture(edited: EditedFrame) -> NDArray[np.uint8]:
    """(H, W, 4) straight RGBA in source space."""
    rgba = np.zeros((*edited.subject_mask.shape, 4), np.uint8)
    if edited.layer is not None:
        x0, y0, x1, y1 = edited.layer.box_xyxy
        alpha = edited.layer.alpha[..., None]
        rgba[y0:y1, x0:x1, :3] = np.rint(edited.layer.premultiplied / np.maximum(alpha, 1e-6)).clip(0, 255)
        rgba[y0:y1, x0:x1, 3:] = np.rint(alpha * 255.0)
    return rgba
