"""Formulas that judge a result by ground truth; pure numpy.

Nothing in here knows how Understudy measures the same things. Pixels have their centers at integers, body heights
(bh) are those of the frame by the true camera, NaN marks what is not known. All figures are pooled: a mean over all
samples of all frames, not a mean of frames' means, unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array

Bools = NDArray[np.bool_]
LEFT_ANKLE = 15
RIGHT_ANKLE = 16


KEPT_LEVELS = 24
"""Of 255: the codec and light that is matched change a pixel less, another thing in its place changes it more."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known of a clip by construction, named as in the footage's README; the camera may differ by frame."""

    keypoints: Float64Array
    """(T, 17, 2) px."""
    visible: Bools
    """(T, 17)."""
    in_frame: Bools
    """(T, 17) inside the picture, hidden or not."""
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
    """(T, H, W) where other people are seen; None where the folder does not say."""
    carried: Bools | None = None
    """(T, H, W) where the thing that the subject carries is seen."""
    front: Bools | None = None
    """(T, H, W) of the silhouette, where something or somebody is in front of the subject."""
    amodal: Bools | None = None
    """(T, H, W) the whole silhouette, as if nothing were in front of the subject."""

    @property
    def body_height_px(self) -> Float64Array:
        """(T,) the standing height as it appears at the depth of the hips."""
        return true_body_height_px(self.K, self.RT, self.hips, self.body_height_m)

    @property
    def hips(self) -> Float64Array:
        """(T, 3) m: the ankles' mean moved up to half a body height, near enough for a depth."""
        middle = self.ankles.mean(axis=1)
        middle[:, 2] = self.body_height_m / 2
        return middle


def load_truth(folder: Path) -> Truth:
    """Read ``gt.npz``, ``mask.npz`` and what other masks a truth folder has; one K for all frames is repeated."""
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
    """Read (T, H, W) of a file of packed masks."""
    packed = np.load(path)
    return np.unpackbits(packed["mask"], axis=-1, count=int(packed["shape"][2])).astype(bool)


def _masks_if_there(path: Path) -> Bools | None:
    return load_masks(path) if path.exists() else None


def true_body_height_px(K: Float64Array, RT: Float64Array, hips: Float64Array, body_height_m: float) -> Float64Array:
    """Return (T,) focal length times body height over the depth of the hips."""
    depth = np.einsum("tj,tj->t", RT[:, 2, :3], hips) + RT[:, 2, 3]
    return K[:, 1, 1] * body_height_m / depth


# --- camera -------------------------------------------------------------------------------------------------------


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


# --- person -------------------------------------------------------------------------------------------------------


def found_share(found: Bools, masks: Bools) -> float:
    """Share of the frames that truly show the person in which they were found."""
    present = masks.any(axis=(1, 2))
    return float(found[present].mean())


def mask_iou(mask: Bools, true: Bools) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = np.count_nonzero(mask | true)
    return np.count_nonzero(mask & true) / union if union else 1.0


def right_share(masks: Iterable[NDArray[np.uint8]], subject: Bools, others: Bools, least_px: int = 500) -> float:
    """Share of the subject's frames in which the replaced person's mask (0 or not) is the subject's: IoU above a half,
    and above the IoU with everybody else. Frames that show under ``least_px`` px of the subject do not count."""
    right = []
    for mask, own, other in zip(masks, subject, others, strict=True):
        if np.count_nonzero(own) >= least_px:
            overlap = mask_iou(mask > 0, own)
            right.append(overlap > 0.5 and overlap > mask_iou(mask > 0, other))
    return float(np.mean(right))


def joint_error_bh(joints: Float64Array, truth: Truth) -> float:
    """Mean distance of the COCO-17 joints to the truth in body heights, over joints that are truly visible and were
    given (missing ones are what the share of frames found counts)."""
    distance = np.linalg.norm(joints[:, :17, :2] - truth.keypoints, axis=-1) / truth.body_height_px[:, None]
    return float(distance[truth.visible & np.isfinite(distance)].mean())


# --- contacts, segments -------------------------------------------------------------------------------------------


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
    """Largest distance between the given borders and those of ``phase``, in order; None when their number differs.

    ``bounds`` are the segments' first frames and ends, the clip's own ends included or not.
    """
    true = np.flatnonzero(np.diff(phase)) + 1
    ours = sorted({int(b) for b in bounds} - {0, len(phase)})
    return int(np.max(np.abs(true - ours))) if len(ours) == len(true) else None


# --- new person ---------------------------------------------------------------------------------------------------


def jitter_percent(placed: Float64Array, truth: Truth) -> float:
    """P3: RMS length of the second difference of (placed - true joints), in per cent of body height.

    Over the COCO-17 joints that lie inside the picture in all three frames, hidden ones included.
    """
    offset = placed[:, :17, :2] - truth.keypoints
    bend = np.linalg.norm(offset[:-2] - 2 * offset[1:-1] + offset[2:], axis=-1) / truth.body_height_px[1:-1, None]
    inside = truth.in_frame[:-2] & truth.in_frame[1:-1] & truth.in_frame[2:]
    known = inside & np.isfinite(bend)
    return float(100 * np.sqrt(np.mean(bend[known] ** 2)))


def foot_slide_percent(placed: Float64Array, truth: Truth) -> float:
    """RMS wander of the placed ankles over the ground during true contacts, in per cent of body height.

    Each ankle is projected back by the true camera onto the plane at the true ankle's height; its wander is the
    distance to its mean place over the plant. Over ankles inside the picture; plants under three frames do not count.
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


# --- pictures -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class SquareError:
    """Pools squared differences of 8-bit samples over frames."""

    total: float = 0.0
    samples: int = 0

    def add(self, picture: NDArray[np.uint8], true: NDArray[np.uint8], where: Bools) -> None:
        """Take in the pixels of (H, W, C) pictures under a (H, W) mask."""
        error = picture[where].astype(np.float64) - true[where]
        self.total += float(np.sum(error**2))
        self.samples += error.size

    @property
    def psnr_db(self) -> float:
        """PSNR of the pooled error; infinite when equal, NaN when nothing was added."""
        if not self.samples:
            return float("nan")
        return float(10 * np.log10(255**2 * self.samples / self.total)) if self.total else float("inf")


@dataclass(slots=True)
class RegionArea:
    """P1's areas and P1's weight over the subject, pooled over frames."""

    region_px: int = 0
    person_px: int = 0
    old_px: int = 0
    left: float = 0.0

    def add(self, edit_region: NDArray[np.uint8], old: Bools, layer_alpha: NDArray[np.uint8]) -> None:
        """``edit_region`` is 0 where untouched and 255 where nothing of the source is left; ``old`` is the truth."""
        self.region_px += int(np.count_nonzero(edit_region))
        self.person_px += int(np.count_nonzero(old | (layer_alpha > 0)))
        self.old_px += int(np.count_nonzero(old))
        self.left += float(np.sum(1 - edit_region[old] / 255.0))

    @property
    def ratio(self) -> float:
        """Mean area of the edit region over that of (subject ∪ new layer)."""
        return self.region_px / self.person_px if self.person_px else float("nan")

    @property
    def source_left_percent(self) -> float:
        """Mean source weight over all pixels of the true masks, in per cent."""
        return 100 * self.left / self.old_px if self.old_px else float("nan")


def changed_outside(
    source: tuple[NDArray[np.generic], ...],
    result: tuple[NDArray[np.generic], ...],
    edit_region: NDArray[np.uint8],
) -> int:
    """Count the samples that differ outside the edit region, over all planes as coded.

    A sample of a subsampled plane is outside when all pixels that it covers are.
    """
    count = 0
    height, width = edit_region.shape
    for before, after in zip(source, result, strict=True):
        step_y, step_x = -(-height // before.shape[0]), -(-width // before.shape[1])
        rows = np.minimum(np.arange(before.shape[0] * step_y), height - 1)
        columns = np.minimum(np.arange(before.shape[1] * step_x), width - 1)
        inside = (edit_region > 0)[np.ix_(rows, columns)]
        inside = inside.reshape(before.shape[0], step_y, before.shape[1], step_x).any(axis=(1, 3))
        count += int(np.count_nonzero((before != after) & ~inside))
    return count


class KeptShare:
    """The share of some pixels that came through a job unchanged, pooled over frames."""

    def __init__(self) -> None:
        self._kept = 0
        self._all = 0

    def add(self, source: NDArray[np.uint8], result: NDArray[np.uint8], pixels: Bools) -> None:
        """Take in one frame, (H, W, 3) each; unchanged is what differs by at most ``KEPT_LEVELS`` in every channel."""
        apart = np.abs(source[pixels].astype(np.int16) - result[pixels]).max(axis=-1, initial=0)
        self._kept += int(np.count_nonzero(apart <= KEPT_LEVELS))
        self._all += int(np.count_nonzero(pixels))

    @property
    def share(self) -> float:
        """1 where there was nothing to keep."""
        return self._kept / self._all if self._all else 1.0
