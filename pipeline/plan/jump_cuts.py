"""Jump cuts: time removed from one scene, so that the place stays the same and the people are suddenly elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.survey import CameraMotion, Survey, Track
from pipeline.maths.geometry import apply_transform, corners_of, pair_motions, scale_of
from pipeline.plan.cross_fades import in_transition
from pipeline.plan.likeness import bhattacharyya
from pipeline.plan.pieces import Piece, cut_tracks, heights_of

MIN_CHANGE = 18.0
"""Gray levels; a walking person causes 10 to 30 in every frame."""
MIN_SPIKE = 1.5
"""Change relative to the usual one nearby: 1.8 to 6 at jump cuts of walk_a, up to 1.3 in the frames between."""
NEIGHBOR_SPIKE = 1.15
"""And relative to each neighbor's: a fast arm or a person close to the camera changes the picture for more than one
frame."""
NEAR_FRAMES = 4
NOISE_LEVELS = 3.0
CAMERA_SPIKE = 4.0
CAMERA_STEP = 0.01
"""Fraction of the picture's diagonal: a camera that moves so much more than in the frames around was repositioned."""
MAX_UNSEEN_FRAMES = 2
MIN_STEP_BH = 0.12
"""Least distance between where a person reappears and where their path led."""
MIN_ALIKE = 0.8
MIN_LEAP_BH = 0.05
LEAP_SPIKE, NEIGHBOR_LEAP = 3.0, 1.5
"""Mean displacement of the joints between two frames, relative to the usual one nearby and to each neighbor's: 7 and 9
where time was cut out and a person continues within a step of where they were; else up to 3 at changes of the
picture."""
MOST_GOING_ON_BH = 0.03
"""Mean displacement of the joints of somebody who moves on, whatever they did before."""
COCO = slice(0, 17)
"""Without the feet, which jitter."""
MIN_JOINTS = 5
"""Those of a face."""
MIN_JOINT_CONFIDENCE = 0.5


def find_jump_cuts(survey: Survey) -> NDArray[np.int64]:
    """Return the first frames of all shots: the survey's and those that start at a jump cut.

    A jump cut is a frame that, unlike its neighbors, is not explained by the one before, and in which also the camera
    motion could not be measured or jumped, or a track ended and another one of similar appearance started elsewhere, or
    a track continued in another pose. A flash or a passer-by meets only the first condition. A camera that jumps while
    the people go on in the same place is a digital zoom or a whip pan, and no cut; nor is there one while people go on
    who leave too little of the background to measure the camera in the frames around. Frames of fades have no cuts of
    their own.
    """
    size_wh = survey.info.size_wh
    change = survey.unexplained_change
    spikes = _spikes(change)
    if not len(spikes):
        return survey.shot_starts
    leaps = _camera_leaps(survey.motion, size_wh)
    lost = _is_lost_alone(survey.motion)
    seconds = survey.info.pts_seconds
    world = survey.motion.world_from_source
    pieces = cut_tracks(survey.tracks, survey.shot_starts, seconds, world)
    faded = np.zeros(len(change) + 1, np.bool_)
    if survey.blend_weights is not None:
        faded[:-1] = in_transition(survey.blend_weights)
    cuts = [frame for frame in spikes if not (faded[frame] or faded[frame - 1] or faded[frame + 1])]
    cuts = [
        frame
        for frame in cuts
        if lost[frame]
        or (
            (leaps[frame] or not survey.motion.reliable[frame])
            and not _somebody_goes_on(pieces, survey.tracks, frame, survey)
        )
        or _is_somebody_elsewhere(pieces, frame, seconds)
        or any(_leaps(track, frame, world) for track in survey.tracks)
    ]
    return np.unique(np.concatenate([survey.shot_starts, np.array(cuts, np.int64)]))


def _spikes(change: NDArray[np.float32]) -> list[int]:
    found = []
    for frame in np.flatnonzero(change >= MIN_CHANGE).tolist():
        near = slice(max(1, frame - NEAR_FRAMES), frame + 1 + NEAR_FRAMES)
        around = np.delete(change[near], frame - near.start)
        if not len(around):
            continue
        beside = float(np.delete(change[max(1, frame - 1) : frame + 2], frame - max(1, frame - 1)).max(initial=0))
        usual = float(np.median(around)) + NOISE_LEVELS
        if change[frame] >= MIN_SPIKE * usual and change[frame] >= NEIGHBOR_SPIKE * beside:
            found.append(frame)
    return found


def _is_lost_alone(motion: CameraMotion) -> NDArray[np.bool_]:
    """(T,): whether the camera's motion could not be measured, and could in most of the frames around."""
    reach = np.ones(2 * NEAR_FRAMES + 1)
    measured, counted = (
        np.convolve(flags.astype(np.float64), reach)[NEAR_FRAMES:-NEAR_FRAMES]
        for flags in (motion.reliable, np.ones(len(motion.reliable)))
    )
    return np.asarray(~motion.reliable & (measured > counted / 2))


def _camera_leaps(motion: CameraMotion, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """(T,): whether the picture's corners move far more from the frame before than they do around it."""
    corners = corners_of(size_wh)
    pairs = pair_motions(motion.world_from_source)
    steps = np.array([np.abs(apply_transform(pair, corners) - corners).max() for pair in pairs])
    leaps = np.zeros(len(steps), np.bool_)
    least = CAMERA_STEP * float(np.hypot(*size_wh))
    for frame in np.flatnonzero(steps > least).tolist():
        around = np.concatenate(
            [steps[max(1, frame - NEAR_FRAMES) : frame], steps[frame + 1 : frame + 1 + NEAR_FRAMES]]
        )
        leaps[frame] = bool(len(around)) and steps[frame] > CAMERA_SPIKE * float(np.median(around))
    return leaps


def _is_somebody_elsewhere(pieces: Sequence[Piece], frame: int, seconds: NDArray[np.float64]) -> bool:
    """Whether a person's track ends before the frame and starts again at it, away from where their path led."""
    ended = [piece for piece in pieces if 0 < frame - piece.last <= MAX_UNSEEN_FRAMES]
    begun = [piece for piece in pieces if 0 <= piece.first - frame <= MAX_UNSEEN_FRAMES]
    for before in ended:
        for after in begun:
            gap = float(seconds[after.first] - seconds[before.last])
            miss = after.places[0] - before.places[1] - before.velocities[1] * gap
            likeness = bhattacharyya(before.looks, after.looks)
            is_far = float(np.hypot(*miss)) > MIN_STEP_BH * before.height_px
            if is_far and likeness is not None and likeness >= MIN_ALIKE:
                return True
    return False


def _somebody_goes_on(pieces: Sequence[Piece], tracks: Sequence[Track], frame: int, survey: Survey) -> bool:
    """Whether a person moves on in ``world`` across the frame, as far as they usually do from frame to frame."""
    world = survey.motion.world_from_source
    for track in tracks:
        at = int(np.searchsorted(track.frames, frame))
        if 0 < at < len(track.frames) and track.frames[at] == frame and track.frames[at - 1] == frame - 1:
            steps, here = _joint_steps(track, at, world)
            around = np.delete(steps, here)
            around = around[np.isfinite(around)]
            if len(around) and steps[here] <= max(MOST_GOING_ON_BH, LEAP_SPIKE * float(np.median(around))):
                return True
    ended = [piece for piece in pieces if 0 < frame - piece.last <= MAX_UNSEEN_FRAMES]
    begun = [piece for piece in pieces if 0 <= piece.first - frame <= MAX_UNSEEN_FRAMES]
    seconds = survey.info.pts_seconds
    for before in ended:
        for after in begun:
            gap = float(seconds[after.first] - seconds[before.last])
            miss = after.places[0] - before.places[1] - before.velocities[1] * gap
            likeness = bhattacharyya(before.looks, after.looks)
            if float(np.hypot(*miss)) <= MIN_STEP_BH * before.height_px and (likeness is None or likeness >= MIN_ALIKE):
                return True
    return False


def _joint_steps(track: Track, at: int, world_from_source: Transforms) -> tuple[NDArray[np.float64], int]:
    """Return the mean displacement of the joints in ``world`` in the frames around a row of a track, body heights, NaN
    where too few are sure; and the place of that row among them."""
    rows = slice(max(0, at - 1 - NEAR_FRAMES), at + 1 + NEAR_FRAMES)
    frames = track.frames[rows]
    joints = track.joints[rows, COCO].astype(np.float64)
    places = apply_transform(world_from_source[frames], joints[..., :2])
    known = np.minimum(joints[1:, :, 2], joints[:-1, :, 2]) >= MIN_JOINT_CONFIDENCE
    known &= (np.diff(frames) == 1)[:, None] & np.isfinite(places[1:] - places[:-1]).all(axis=-1)
    sizes = heights_of(track)[rows] * scale_of(world_from_source[frames])
    ways = np.linalg.norm(np.nan_to_num(np.diff(places, axis=0)), axis=-1) / sizes[1:, None]
    counts = known.sum(axis=1)
    means = np.where(counts >= MIN_JOINTS, (ways * known).sum(axis=1) / np.maximum(counts, 1), np.nan)
    return means, at - 1 - rows.start


def _leaps(track: Track, frame: int, world_from_source: Transforms) -> bool:
    """Whether the joints of a continuing track jump in a frame, unlike in the frames around it.

    A track that is lost right after it jumped slid onto somebody else.
    """
    at = int(np.searchsorted(track.frames, frame))
    rows = slice(max(0, at - 1 - NEAR_FRAMES), at + 1 + NEAR_FRAMES)
    if at == 0 or at + 1 >= len(track.frames) or track.frames[at] != frame or len(track.frames[rows]) < NEAR_FRAMES:
        return False
    means, here = _joint_steps(track, at, world_from_source)
    around = np.delete(means, here)
    around = around[np.isfinite(around)]
    if len(around) < NEAR_FRAMES - 1 or not means[here] >= MIN_LEAP_BH:
        return False
    return bool(means[here] > LEAP_SPIKE * np.median(around) and means[here] > NEIGHBOR_LEAP * around.max())
