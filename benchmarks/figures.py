"""Metrics of a result against ground truth; pure numpy.

Independent of how Understudy measures the same quantities. Pixel centers are at integers, body heights (bh) are those
in the frame by the true camera, NaN marks unknown values. All metrics are pooled: a mean over all samples of all
frames, not a mean of per-frame means, unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.picture_figures import Bools
from pipeline.datatypes.arrays import Float64Array

LEFT_ANKLE = 15
RIGHT_ANKLE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Ground truth of a clip, named as in the footage's README; the camera may vary by frame."""

    keypoints: Float64Array
    """(T, 17, 2) px."""
    visible: Bools
    """(T, 17)."""
    in_frame: Bools
    """(T, 17) inside the picture, occluded or not."""
    contact: Bools
    """(T, 2) left, right: flat and planted."""
    on_ground: Bools
    """(T, 2) ``foot_state >= 1``."""
    plant_id: NDArray[np.int64]
    """(T, 2) -1 in the air."""
    ankles: Float64Array
    """(T, 2, 3) m."""
    phase: NDArray[np.int64]
    """(T,)."""
    K: Float64Array
    """(T, 3, 3) px."""
    RT: Float64Array
    """(T, 3, 4) m."""
    bg_tracks: Float64Array
    """(T, P, 2) px."""
    bg_visible: Bools
    """(T, P)."""
    body_height_m: float
    masks: Bools
    """(T, H, W) the visible part of the subject."""
    others: Bools | None = None
    """(T, H, W) visible pixels of other people; None where the folder has no such mask."""
    carried: Bools | None = None
    """(T, H, W) visible pixels of the object that the subject carries."""
    front: Bools | None = None
    """(T, H, W) pixels of the silhouette in which something or somebody is in front of the subject."""
    amodal: Bools | None = None
    """(T, H, W) the complete silhouette, occluded parts included."""

    @property
    def body_height_px(self) -> Float64Array:
        """(T,) the standing height as it appears at the depth of the hips."""
        return true_body_height_px(self.K, self.RT, self.hips, self.body_height_m)

    @property
    def hips(self) -> Float64Array:
        """(T, 3) m: the ankles' mean raised to half a body height, accurate enough for a depth."""
        middle = self.ankles.mean(axis=1)
        middle[:, 2] = self.body_height_m / 2
        return middle


def load_truth(folder: Path) -> Truth:
    """Read ``gt.npz``, ``mask.npz`` and any other masks of a truth folder; a single K is repeated for all frames."""
    gt = np.load(folder / "gt.npz")
    num_frames = len(gt["RT"])
    return Truth(
        keypoints=gt["keypoints2d"].astype(np.float64),
        visible=gt["visible"],
        in_frame=gt["kp_state"] > 0,
        contact=gt["contact"],
        on_ground=gt["foot_state"] >= 1,
        plant_id=gt["plant_id"].astype(np.int64),
        ankles=gt["ankle3d"],
        phase=gt["phase"].astype(np.int64),
        K=np.broadcast_to(gt["K"], (num_frames, 3, 3)),
        RT=gt["RT"],
        bg_tracks=gt["bg_tracks"].astype(np.float64),
        bg_visible=gt["bg_visible"],
        body_height_m=float(gt["body_height"]),
        masks=load_masks(folder / "mask.npz"),
        others=_masks_if_there(folder / "others_mask.npz"),
        carried=_masks_if_there(folder / "object_mask.npz"),
        front=_masks_if_there(folder / "front_mask.npz"),
        amodal=_masks_if_there(folder / "amodal_mask.npz"),
    )


def clip_of(folder: Path) -> Path:
    """Return the clip of a truth folder."""
    sample = folder / "sample.mp4"
    return sample if sample.exists() else folder / "rgb.mp4"


def load_masks(path: Path) -> Bools:
    """Read (T, H, W) masks from a file of packed bits."""
    packed = np.load(path)
    return np.unpackbits(packed["mask"], axis=-1, count=int(packed["shape"][2])).astype(bool)


def _masks_if_there(path: Path) -> Bools | None:
    return load_masks(path) if path.exists() else None


def true_body_height_px(K: Float64Array, RT: Float64Array, hips: Float64Array, body_height_m: float) -> Float64Array:
    """Return (T,) focal length times body height over the depth of the hips."""
    depth = np.einsum("tj,tj->t", RT[:, 2, :3], hips) + RT[:, 2, 3]
    return K[:, 1, 1] * body_height_m / depth


def pair_motion_error_px(world_from_source: Float64Array, bg_tracks: Float64Array, bg_visible: Bools) -> float:
    """Mean distance between the background points of frame t and those of frame t-1 moved by the measured pair motion
    ``inv(world_from_source[t]) @ world_from_source[t-1]``, over points visible in both frames."""
    distances = []
    for t in range(1, len(world_from_source)):
        both = bg_visible[t - 1] & bg_visible[t]
        pair = np.linalg.inv(world_from_source[t]) @ world_from_source[t - 1]
        distances.append(np.linalg.norm(moved(pair, bg_tracks[t - 1, both]) - bg_tracks[t, both], axis=-1))
    return float(np.concatenate(distances).mean())


def moved(matrix: Float64Array, points: Float64Array) -> Float64Array:
    """Apply a (3, 3) homography to (N, 2) points."""
    out = points @ matrix[:2, :2].T + matrix[:2, 2]
    return out / (points @ matrix[2, :2] + matrix[2, 2])[:, None]


def found_share(found: Bools, masks: Bools) -> float:
    """Fraction of the frames that truly show the person in which they were found."""
    present = masks.any(axis=(1, 2))
    return float(found[present].mean())


def mask_iou(mask: Bools, true: Bools) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = np.count_nonzero(mask | true)
    return np.count_nonzero(mask & true) / union if union else 1.0


def right_share(masks: Iterable[NDArray[np.uint8]], subject: Bools, others: Bools, least_px: int = 500) -> float:
    """Fraction of the subject's frames in which the replaced person's mask (0 or not) is the subject's.

    That is an IoU above a half, and above the IoU with everybody else. Frames showing fewer than ``least_px`` px of the
    subject do not count.
    """
    right = []
    for mask, own, other in zip(masks, subject, others, strict=True):
        if np.count_nonzero(own) >= least_px:
            overlap = mask_iou(mask > 0, own)
            right.append(overlap > 0.5 and overlap > mask_iou(mask > 0, other))
    return float(np.mean(right))


def joint_error_bh(joints: Float64Array, truth: Truth) -> float:
    """Mean distance of the COCO-17 joints to the truth in body heights, over joints that are truly visible and were
    detected (missing ones are counted by the fraction of frames found)."""
    distance = np.linalg.norm(joints[:, :17, :2] - truth.keypoints, axis=-1) / truth.body_height_px[:, None]
    return float(distance[truth.visible & np.isfinite(distance)].mean())


def contact_f1(contacts: Bools, true: Bools, counted: Bools) -> tuple[float, float]:
    """F1 of planted frames per foot (left, right), over the ``counted`` (T, 2) frames."""
    scores = []
    for foot in (0, 1):
        ours = contacts[counted[:, foot], foot]
        theirs = true[counted[:, foot], foot]
        wrong = np.count_nonzero(ours != theirs)
        hits = np.count_nonzero(ours & theirs)
        scores.append(2 * hits / (2 * hits + wrong) if hits + wrong else 1.0)
    return scores[0], scores[1]


def border_error_frames(bounds: Iterable[int], phase: NDArray[np.int64]) -> int | None:
    """Largest distance between the given boundaries and those of ``phase``, in order; None where their number differs.

    ``bounds`` are the segments' first and end frames, with or without the clip's own ends.
    """
    true = np.flatnonzero(np.diff(phase)) + 1
    ours = sorted({int(b) for b in bounds} - {0, len(phase)})
    return int(np.max(np.abs(true - ours))) if len(ours) == len(true) else None


def jitter_percent(placed: Float64Array, truth: Truth) -> float:
    """P3: RMS length of the second difference of (placed - true joints), in per cent of body height.

    Over the COCO-17 joints that lie inside the picture in all three frames, occluded ones included.
    """
    offset = placed[:, :17, :2] - truth.keypoints
    bend = np.linalg.norm(offset[:-2] - 2 * offset[1:-1] + offset[2:], axis=-1) / truth.body_height_px[1:-1, None]
    inside = truth.in_frame[:-2] & truth.in_frame[1:-1] & truth.in_frame[2:]
    known = inside & np.isfinite(bend)
    return float(100 * np.sqrt(np.mean(bend[known] ** 2)))


def foot_slide_percent(placed: Float64Array, truth: Truth) -> float:
    """RMS slide of the placed ankles over the ground during true contacts, in per cent of body height.

    Each ankle is projected back by the true camera onto the plane at the true ankle's height; the slide is its distance
    to its mean position over the contact. Over ankles inside the picture; contacts shorter than three frames do not
    count.
    """
    wander = []
    for foot, joint in enumerate((LEFT_ANKLE, RIGHT_ANKLE)):
        counted = truth.contact[:, foot] & truth.in_frame[:, joint] & np.isfinite(placed[:, joint, :2]).all(axis=-1)
        for plant in np.unique(truth.plant_id[counted, foot]):
            frames = np.flatnonzero(counted & (truth.plant_id[:, foot] == plant))
            if len(frames) < 3:
                continue
            ground = np.array(
                [on_plane(placed[t, joint, :2], truth.K[t], truth.RT[t], truth.ankles[t, foot, 2]) for t in frames]
            )
            wander.append(np.linalg.norm(ground - ground.mean(axis=0), axis=-1))
    return float(100 * np.sqrt(np.mean(np.concatenate(wander) ** 2)) / truth.body_height_m)


def on_plane(point_px: Float64Array, K: Float64Array, RT: Float64Array, z: float) -> Float64Array:
    """Return (2,) x, y in m where the ray through a pixel meets the horizontal plane at height ``z``."""
    ray = RT[:, :3].T @ np.linalg.inv(K) @ np.array([*point_px, 1.0])
    eye = -RT[:, :3].T @ RT[:, 3]
    return np.asarray((eye + ray * (z - eye[2]) / ray[2])[:2])
