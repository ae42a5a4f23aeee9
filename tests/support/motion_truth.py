"""Truth of walk_a in the pipeline's own types, and known shakes; for tests of the camera, contacts and the like."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.plan import Subject
from pipeline.datatypes.survey import CameraMotion
from pipeline.maths.geometry import apply_transform, refit_irls, similarities_from_params
from pipeline.maths.smoothing import gaussian_smooth

WALK_A = Path(__file__).parents[2] / "assets" / "walk_a"
SIZE_WH = (640, 360)
FOCAL_PX = 656.097


def walk_truth() -> dict[str, NDArray]:
    with np.load(WALK_A / "gt.npz") as file:
        return dict(file)


def walk_masks() -> NDArray[np.bool_]:
    with np.load(WALK_A / "mask.npz") as file:
        return np.unpackbits(file["mask"], axis=-1, count=SIZE_WH[0]).astype(bool)


def walk_luma(stop: int = 150) -> list[NDArray[np.uint8]]:
    with av.open(str(WALK_A / "sample.mp4")) as file:
        return [frame.to_ndarray(format="gray") for _, frame in zip(range(stop), file.decode(video=0), strict=False)]


def known_shake(num_frames: int, seed: int = 0) -> NDArray[np.float64]:
    """Return (T, 3, 3) similarities, a random walk on a leash: +-12 px, 2 %, 1.5 degrees; shaken from steady."""
    rng = np.random.default_rng(seed)
    walk = np.zeros((num_frames, 4))
    for t in range(1, num_frames):
        walk[t] = 0.6 * walk[t - 1] + rng.normal(0, 1, 4)
    walk /= np.abs(walk).max(axis=0)
    return similarities_from_params(walk * [12, 12, np.log(1.02), np.deg2rad(1.5)], SIZE_WH)


def true_motion(truth: dict[str, NDArray], shake: NDArray[np.float64] | None = None) -> CameraMotion:
    """Return the camera motion as the best homographies of the true background points, and those as pairs."""
    tracks = truth["bg_tracks"].astype(np.float64)
    if shake is not None:
        tracks = apply_transform(shake, tracks)
    seen = truth["bg_visible"]
    world = [np.eye(3)]
    pairs = [np.empty((0, 4), np.float32)]
    for t in range(1, len(tracks)):
        both = seen[t] & seen[t - 1]
        before_from_now, _ = refit_irls(tracks[t - 1][both], tracks[t][both], "homography", np.eye(3))
        world.append(world[-1] @ before_from_now)
        pairs.append(np.column_stack([tracks[t - 1][both], tracks[t][both]]).astype(np.float32))
    return CameraMotion(np.stack(world), np.ones(len(tracks), bool), tuple(pairs))


def true_subject(
    truth: dict[str, NDArray], noise_bh: float = 0.0, seed: int = 0, shake: NDArray[np.float64] | None = None
) -> Subject:
    """Return the walker as a subject; joints with white noise of ``noise_bh`` (smoothed over a frame), feet too."""
    joints = np.full((len(truth["keypoints2d"]), 21, 3), np.nan, np.float32)
    pose = truth["RT"][:, :, :3]
    translation = truth["RT"][:, :, 3]
    hips = truth["keypoints3d"][:, 11:13].mean(axis=1)
    depth = np.einsum("tj,tj->t", pose[:, 2], hips) + translation[:, 2]
    body = FOCAL_PX * float(truth["body_height"]) / depth

    def project(points: NDArray) -> NDArray[np.float64]:
        camera = np.einsum("tij,tkj->tki", pose, points) + translation[:, None]
        pixels = camera @ truth["K"].T
        return pixels[..., :2] / pixels[..., 2:]

    heels = truth["ankle3d"] - [0, 0, 0.06]
    points = np.concatenate([truth["keypoints2d"], project(heels), project(truth["ball3d"])], axis=1).astype(float)
    if shake is not None:
        points = apply_transform(shake, points)
    if noise_bh:
        noise = np.random.default_rng(seed).normal(0, noise_bh, points.shape) * body[:, None, None]
        points = points + gaussian_smooth(noise, np.arange(len(points)) / 30, 1 / 30)
    joints[..., :2] = points
    joints[..., 2] = 0.9
    boxes = np.concatenate([points.min(axis=1) - 8, points.max(axis=1) + 8], axis=1)
    skeletons = np.full((len(points), 23, 3), np.nan, np.float32)
    return Subject(np.zeros(len(points), np.int64), np.full(len(points), 2, np.uint8), boxes, joints, skeletons, body)


def f1(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return float(2 * (found & true).sum() / (found.sum() + true.sum()))
