"""Compare foot contacts on synthetic walks with a fixed threshold (5 px per frame), under pan, shake and noise.

``python -m benchmarks.contacts``

A walk is synthesized in meters: planted feet do not move, swinging ones follow a smooth curve and lift. A camera with
3D pan, shake and sideways motion films it from the front or from the side; noise is added to the joints, and the
background points lie on the ground and on a far wall. No threshold was tuned on these scenes (walk_a was used for
that).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from benchmarks.figures import contact_f1
from pipeline.datatypes.arrays import Float64Array
from pipeline.datatypes.plan import Presence, Subject
from pipeline.datatypes.survey import CameraMotion
from pipeline.joints import JOINT, NUM_JOINTS, NUM_SKELETON
from pipeline.maths.geometry import fit_homography
from pipeline.plan.contacts import find_contacts
from pipeline.plan.joint_smoothing import smooth_points
from pipeline.settings import FootLockSettings

SIZE_WH = (1280, 720)
FOCAL_PX = 1000.0
BODY_M = 1.75
ANKLE_M = 0.08
MILLISECONDS_AIM = 67.0
F1_AIM = 0.95


@dataclass(frozen=True, slots=True)
class Walk:
    """Parameters of a synthetic walk. Angles in degrees, lengths in meters."""

    name: str
    fps: float = 30.0
    seconds: float = 6.0
    heading: float = 90.0
    """0: across the picture, 90: towards the camera."""
    step_seconds: float = 0.55
    step_m: float = 0.65
    stance_share: float = 0.6
    """Fraction of a foot's cycle (two steps) spent on the ground."""
    pan_degrees_per_s: float = 0.0
    shake_degrees: float = 0.0
    drift_m: float = 0.0
    """Slow sideways motion of the camera, back and forth."""
    noise_bh: float = 0.01
    """Standard deviation of each joint coordinate, independent from frame to frame, body heights."""


WALKS = (
    Walk("towards the camera"),
    Walk("across", heading=0.0),
    Walk("slanting, 24 fps", heading=45.0, fps=24.0),
    Walk("towards, 60 fps", fps=60.0),
    Walk("across, 25 fps, pan", heading=0.0, fps=25.0, pan_degrees_per_s=6.0),
    Walk("slow, across", heading=0.0, step_seconds=0.8, step_m=0.45),
    Walk("shake 0.6 degrees", shake_degrees=0.6),
    Walk("pan, shake, camera moves", heading=30.0, pan_degrees_per_s=4.0, shake_degrees=0.4, drift_m=0.3),
    Walk("noise 2 %", noise_bh=0.02),
    Walk("noise 2 %, across, shake", heading=0.0, noise_bh=0.02, shake_degrees=0.4),
)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A walk as the stage receives it, with its ground truth."""

    subject: Subject
    motion: CameraMotion
    seconds: Float64Array
    planted: NDArray[np.bool_]
    """(T, 2)."""


def make_scene(walk: Walk, seed: int = 0) -> Scene:
    """Synthesize a walk, project it, add noise; the same seed gives the same scene."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(walk.seconds * walk.fps)) / walk.fps
    ankles, planted = _feet(walk, seconds)
    way = np.array([np.cos(np.deg2rad(walk.heading)), 0.0, -np.sin(np.deg2rad(walk.heading))])
    hips = _hips(walk, seconds)
    hip_points = np.stack([hips + side * 0.09 * np.cross(way, [0.0, 1.0, 0.0]) for side in (1, -1)], axis=1)
    turns, eyes = _camera(walk, seconds, rng)
    project = _projector(turns, eyes)
    height = FOCAL_PX * BODY_M / np.einsum("tj,tj->t", turns[:, 2], hips - eyes)
    joints = np.full((len(seconds), NUM_JOINTS, 3), np.nan)
    joints[..., 2] = 0.9
    for side, name in enumerate(("left", "right")):
        joints[:, JOINT[f"{name}_ankle"], :2] = project(ankles[:, side])
        joints[:, JOINT[f"{name}_hip"], :2] = project(hip_points[:, side])
    motion = _background(project, len(seconds), rng)
    known = np.isfinite(joints[0, :, 0])
    noisy = joints[:, known, :2] + rng.normal(0, walk.noise_bh, (len(seconds), int(known.sum()), 2)) * np.reshape(
        height, (-1, 1, 1)
    )
    joints[:, known, :2] = smooth_points(noisy, motion.world_from_source, seconds, height)
    subject = Subject(
        track_of_frame=np.zeros(len(seconds), np.int64),
        presence=np.full(len(seconds), Presence.FOUND, np.uint8),
        boxes_xyxy=np.tile([0.0, 0.0, *map(float, SIZE_WH)], (len(seconds), 1)),
        joints=joints.astype(np.float32),
        skeletons=np.full((len(seconds), NUM_SKELETON, 3), np.nan, np.float32),
        body_height_px=height,
    )
    return Scene(subject, motion, seconds, planted)


def border_errors_ms(found: NDArray[np.bool_], true: NDArray[np.bool_], seconds: Float64Array) -> Float64Array:
    """Return the absolute errors of start and end, ms, of each true contact that a detected one overlaps; the clip's
    ends are left out."""
    errors = []
    for side in range(true.shape[1]):
        runs = _runs(found[:, side])
        for start, stop in _runs(true[:, side]):
            match = max(runs, key=lambda run: min(stop, run[1]) - max(start, run[0]), default=None)
            if match is None or min(stop, match[1]) <= max(start, match[0]):
                continue
            pairs = [(start, match[0])] if start > 0 else []
            pairs += [(stop, match[1])] if stop < len(seconds) else []
            step = 1000 * (seconds[1] - seconds[0])
            errors += [abs(a - b) * step for a, b in pairs]
    return np.array(errors)


def score(walk: Walk, settings: FootLockSettings, seeds: int) -> tuple[float, float]:
    """Return the worse foot's F1 and the mean boundary error in ms, over ``seeds`` scenes."""
    scores = []
    errors = []
    for seed in range(seeds):
        scene = make_scene(walk, seed)
        found = find_contacts(scene.subject, scene.motion, np.array([0]), scene.seconds, settings).planted
        scores.append(min(contact_f1(found, scene.planted, np.ones_like(found))))
        errors.append(border_errors_ms(found, scene.planted, scene.seconds))
    together = np.concatenate(errors)
    return float(np.mean(scores)), float(together.mean()) if len(together) else float("nan")


def _feet(walk: Walk, seconds: Float64Array) -> tuple[Float64Array, NDArray[np.bool_]]:
    """Return ankles (T, 2, 3) m, y down with the ground at 0, and when they are planted."""
    way = np.array([np.cos(np.deg2rad(walk.heading)), 0.0, -np.sin(np.deg2rad(walk.heading))])
    aside = np.array([-way[2], 0.0, way[0]])
    cycle = 2 * walk.step_seconds
    ankles = np.empty((len(seconds), 2, 3))
    planted = np.empty((len(seconds), 2), np.bool_)
    start = _start(walk)
    for side in range(2):
        count, phase = np.divmod(seconds + side * walk.step_seconds, cycle)
        swing = np.clip((phase / cycle - walk.stance_share) / (1 - walk.stance_share), 0, 1)
        along = 2 * walk.step_m * (count + swing**3 * (10 - 15 * swing + 6 * swing**2)) - side * walk.step_m
        lift = 0.12 * np.sin(np.pi * swing) ** 2
        ankles[:, side] = start + along[:, None] * way + (0.1 if side == 0 else -0.1) * aside
        ankles[:, side, 1] = -ANKLE_M - lift
        planted[:, side] = swing == 0
    return ankles, planted


def _hips(walk: Walk, seconds: Float64Array) -> Float64Array:
    way = np.array([np.cos(np.deg2rad(walk.heading)), 0.0, -np.sin(np.deg2rad(walk.heading))])
    along = walk.step_m / walk.step_seconds * seconds
    return np.asarray(_start(walk) + along[:, None] * way + np.array([0.0, -0.93, 0.0]))


def _start(walk: Walk) -> Float64Array:
    """Return where the walk begins, so that its middle is 5 m in front of the camera."""
    way = np.array([np.cos(np.deg2rad(walk.heading)), 0.0, -np.sin(np.deg2rad(walk.heading))])
    return np.asarray([0.0, 0.0, 6.0] - 0.5 * walk.seconds * walk.step_m / walk.step_seconds * way)


def _camera(walk: Walk, seconds: Float64Array, rng: np.random.Generator) -> tuple[Float64Array, Float64Array]:
    """Return rotations (T, 3, 3), camera from world, and eyes (T, 3) m at 1.4 m."""
    middle = seconds - seconds.mean()
    shake = gaussian_filter1d(rng.standard_normal((len(seconds), 3)), walk.fps / 12, axis=0)
    shake *= walk.shake_degrees / max(float(shake.std()), 1e-9)
    pan, tilt, roll = np.deg2rad(shake + np.column_stack([walk.pan_degrees_per_s * middle, 0 * middle, 0 * middle])).T
    tilt = tilt + np.deg2rad(-6.0)
    eyes = np.zeros((len(seconds), 3))
    eyes[:, 0] = walk.drift_m * np.sin(2 * np.pi * seconds / 4)
    eyes[:, 1] = -1.4
    zero = np.zeros_like(pan)
    one = np.ones_like(pan)

    def matrices(rows: list[list[Float64Array]]) -> Float64Array:
        return np.moveaxis(np.array(rows), -1, 0)

    about_y = matrices([[np.cos(pan), zero, -np.sin(pan)], [zero, one, zero], [np.sin(pan), zero, np.cos(pan)]])
    about_x = matrices([[one, zero, zero], [zero, np.cos(tilt), np.sin(tilt)], [zero, -np.sin(tilt), np.cos(tilt)]])
    about_z = matrices([[np.cos(roll), np.sin(roll), zero], [-np.sin(roll), np.cos(roll), zero], [zero, zero, one]])
    return about_z @ about_x @ about_y, eyes


def _projector(turns: Float64Array, eyes: Float64Array):  # type: ignore[no-untyped-def]
    middle = (np.array(SIZE_WH) - 1) / 2

    def project(points: Float64Array) -> Float64Array:
        """(T, ..., 3) or (..., 3) m to (T, ..., 2) px."""
        shape = (len(turns), *(1,) * (points.ndim - 2), 3)
        seen = np.einsum("tij,t...j->t...i", turns, points - eyes.reshape(shape))
        return FOCAL_PX * seen[..., :2] / seen[..., 2:] + middle

    return project


def _background(project, num_frames: int, rng: np.random.Generator) -> CameraMotion:  # type: ignore[no-untyped-def]
    """Track points of the ground and of a wall with 0.1 px of noise; fit homographies from frame to frame."""
    ground = np.column_stack([rng.uniform(-4, 4, 300), np.zeros(300), rng.uniform(2.5, 10, 300)])
    wall = np.column_stack([rng.uniform(-8, 8, 150), rng.uniform(-4, 0, 150), np.full(150, 12.0)])
    points = project(np.broadcast_to(np.concatenate([ground, wall]), (num_frames, 450, 3)))
    points = points + rng.normal(0, 0.1 / np.sqrt(2), points.shape)
    inside = ((points >= 0) & (points <= np.array(SIZE_WH) - 1)).all(axis=-1)
    world = [np.eye(3)]
    pairs = [np.empty((0, 4), np.float32)]
    for t in range(1, num_frames):
        both = inside[t] & inside[t - 1]
        world.append(world[-1] @ fit_homography(points[t - 1][both], points[t][both]))
        pairs.append(np.column_stack([points[t - 1][both], points[t][both]]).astype(np.float32))
    return CameraMotion(np.stack(world), np.ones(num_frames, bool), tuple(pairs))


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contacts", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="scenes of each walk")
    parser.add_argument("--noise-bh", type=float, help="use this noise of the joints in all walks")
    arguments = parser.parse_args()
    missed = False
    print(f"{'walk':28} {'F1':>6} {'ms':>5}   fixed rule: {'F1':>6} {'ms':>5}")
    for walk in WALKS:
        asked = walk if arguments.noise_bh is None else replace(walk, noise_bh=arguments.noise_bh)
        ours = score(asked, FootLockSettings(), arguments.seeds)
        seed = score(asked, FootLockSettings(velocity_px=5.0), arguments.seeds)
        fails = ours[0] < F1_AIM or not ours[1] <= MILLISECONDS_AIM
        missed |= fails
        print(f"{walk.name:28} {ours[0]:6.3f} {ours[1]:5.0f}              {seed[0]:6.3f} {seed[1]:5.0f}", end="")
        print("   missed" if fails else "")
    print(f"aims: F1 of the worse foot >= {F1_AIM}, mean error of starts and ends <= {MILLISECONDS_AIM:g} ms")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
