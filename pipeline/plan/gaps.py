"""Frames in which the subject was not found: short gaps and the picture's edges."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Presence, Subject
from pipeline.datatypes.survey import LIMB_PLACES, Track
from pipeline.joints import HIPS, LIMBS, NUM_JOINTS, NUM_SKELETON, WRISTS
from pipeline.maths.geometry import apply_transform, invert
from pipeline.maths.smoothing import gaussian_smooth, shot_slices, true_runs
from pipeline.plan.body_height import HeightRatios, height_ratios, standing_height, sudden_zoom
from pipeline.plan.cut_off import legs_alone, with_upper_bodies
from pipeline.plan.doubted_arms import with_arms_doubted
from pipeline.plan.hidden_gaps import BoxesByFrame, is_hidden_between
from pipeline.plan.hidden_legs import with_hidden_legs
from pipeline.plan.joint_smoothing import in_picture, interpolate_run, onto_course, smooth_depth, smooth_points
from pipeline.plan.limbs_in_outline import limb_shifts
from pipeline.plan.pressed import IS_LIMB, on_course_through_sides, pressed_to_a_side, with_held_size
from pipeline.plan.shot_ends import carry_to_shot_ends
from pipeline.plan.soles import sole_shift, with_lowered_feet
from pipeline.plan.trunk_lean import with_steady_trunk
from pipeline.plan.turned_about import turned_about, with_sides_exchanged
from pipeline.plan.visibility import entered_fractions, visible_fractions

EDGE_SIGMA_SECONDS = 0.07
LEAST_CONFIDENCE = 0.05
"""For a joint inside the picture: lower confidences of the model carry no information, and 0 is reserved for joints
outside."""
INSIDE_BH = 0.01
"""Beyond the edge that far, a joint which the model does not believe in itself is a guess."""
EDGE_SECONDS = 0.17
"""Longest delay with which someone cut off by the frame's edge is detected (walk_a: one frame)."""


def subject_of_tracks(
    person: tuple[Track, ...],
    info: VideoInfo,
    shot_starts: NDArray[np.int64],
    world: Transforms,
    max_gap_seconds: float,
    others: BoxesByFrame | None = None,
    is_faded: NDArray[np.bool_] | None = None,
) -> Subject:
    """Return a person over all frames: gaps of up to ``max_gap_seconds`` are filled in, longer ones where one of the
    ``others`` occludes them throughout (``hidden_gaps``), and the frames that fade (``is_faded``, (T,)) at a shot's end
    (``shot_ends``).
    """
    total = info.num_frames
    found = np.zeros(total, np.bool_)
    boxes = np.full((total, 4), np.nan)
    joints = np.full((total, NUM_JOINTS, 3), np.nan, np.float32)
    skeletons = np.full((total, NUM_SKELETON, 3), np.nan, np.float32)
    visible = np.zeros(total)
    mask_px = np.zeros(total)
    track_of_frame = np.full(total, -1, np.int64)
    edges = np.full((total, len(LIMBS.rows), len(LIMB_PLACES), 2), np.nan)
    for track in person:
        found[track.frames] = True
        track_of_frame[track.frames] = track.track_id
        boxes[track.frames] = track.boxes_xyxy
        joints[track.frames] = track.joints
        skeletons[track.frames] = track.skeletons
        visible[track.frames] = track.visible
        mask_px[track.frames] = track.mask_px
        if track.limb_edges is not None:
            edges[track.frames] = track.limb_edges
    presence = np.where(found, Presence.FOUND, Presence.ABSENT).astype(np.uint8)
    height = np.full(total, np.nan)
    zoom = sudden_zoom(world)
    for shot in shot_slices(shot_starts, total):
        _take_landmarks(joints[shot], skeletons[shot], edges[shot], info, shot, zoom[shot])
        alone = legs_alone(joints[shot], boxes[shot])
        joints[shot], skeletons[shot] = with_upper_bodies(joints[shot], skeletons[shot], alone, info.pts_seconds[shot])
        shift = sole_shift(joints[shot], boxes[shot], visible[shot], info.pts_seconds[shot], info.size_wh[1])
        joints[shot] = with_lowered_feet(joints[shot], shift)
        skeletons[shot] = with_lowered_feet(skeletons[shot], shift)
    # A close-up shows too little of the person to measure it; the clip's other shots may suffice.
    pressed = pressed_to_a_side(joints, boxes, info.size_wh)
    ratios = height_ratios(skeletons, _without_trust(joints, pressed), info.size_wh, boxes)
    entered = np.ones(total)
    state = _Filling(
        info, world, found, visible, entered, pressed, presence, boxes, joints, skeletons, height, is_faded
    )
    for shot in shot_slices(shot_starts, total):
        if found[shot].any():
            visible[shot] = visible_fractions(
                visible[shot], mask_px[shot], boxes[shot], info.pts_seconds[shot], info.size_wh
            )
            entered[shot] = entered_fractions(mask_px[shot], boxes[shot], info.pts_seconds[shot], info.size_wh)
            _complete_shot(state, shot, ratios, max_gap_seconds, others or {})
    return Subject(
        track_of_frame=track_of_frame,
        presence=presence,
        boxes_xyxy=boxes,
        joints=joints,
        skeletons=skeletons,
        body_height_px=height,
        visible=np.where(presence == Presence.FOUND, visible, 0.0).astype(np.float32),
    )


def _take_landmarks(
    joints: NDArray[np.float32],
    skeletons: NDArray[np.float32],
    edges: NDArray[np.float64],
    info: VideoInfo,
    shot: slice,
    zoom: NDArray[np.float64],
) -> None:
    """Correct the joints and skeletons of one shot, in place: front and back are not exchanged for a moment, and arms
    and legs are where the masks show them."""
    at = info.pts_seconds[shot]
    rough_height = standing_height(skeletons, joints, at, info.size_wh, zoom=zoom)
    turned = turned_about(joints, skeletons, rough_height, at)
    joints[:], skeletons[:], edges = with_sides_exchanged(joints, skeletons, edges, turned)
    moved = limb_shifts(skeletons, joints[..., 2], edges, rough_height, at)
    skeletons[..., :2] += moved
    joints[..., :2] += moved[:, :NUM_JOINTS]


@dataclass(slots=True, eq=False)
class _Filling:
    """The subject's arrays while they are completed shot by shot, in place; as in ``Subject``."""

    info: VideoInfo
    world: Transforms
    found: NDArray[np.bool_]
    """(T,)."""
    visible: NDArray[np.float64]
    """(T,)."""
    entered: NDArray[np.float64]
    """(T,) of somebody cut off by the picture's edge; 1 elsewhere."""
    pressed: NDArray[np.bool_]
    """(T,): a side of the picture cuts through the trunk."""
    presence: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    joints: NDArray[np.float32]
    skeletons: NDArray[np.float32]
    height: NDArray[np.float64]
    is_faded: NDArray[np.bool_] | None
    """(T,)."""


def _complete_shot(
    state: _Filling, shot: slice, ratios: HeightRatios, max_gap_seconds: float, others: BoxesByFrame
) -> None:
    """Fill short gaps and smooth, in place, within one shot."""
    info = state.info
    world = state.world
    found = state.found
    visible = state.visible
    presence = state.presence
    boxes = state.boxes
    joints = state.joints
    skeletons = state.skeletons
    seconds = info.pts_seconds
    here = found[shot].copy()
    frames = np.arange(shot.start, shot.stop)
    known = frames[here]
    for before, after in pairwise(known.tolist()):
        is_short = seconds[after] - seconds[before] <= max_gap_seconds + 1e-9
        if after - before > 1 and (is_short or is_hidden_between(before, after, boxes, others, seconds)):
            presence[before + 1 : after] = Presence.UNCERTAIN
    zoom = sudden_zoom(world[shot])
    heights = standing_height(
        skeletons[shot],
        joints[shot],
        seconds[shot],
        info.size_wh,
        ratios,
        lambda measured, folded: with_held_size(measured, state.pressed[shot] | folded, world[shot], seconds[shot]),
        zoom,
    )
    for start, stop in true_runs(presence[shot] != Presence.ABSENT):
        run = slice(shot.start + start, shot.start + stop)
        inside = found[run]
        at = seconds[run]
        boxes[run] = interpolate_run(boxes[run], inside, at)
        together = np.concatenate([joints[run].astype(np.float64), skeletons[run]], axis=1)
        # Filled in ``world``: between two frames it is the person that moves linearly, not the picture.
        together[..., :2] = apply_transform(world[run], together[..., :2])
        found_px = joints[run, :, :2].astype(np.float64)
        in_sight = _of_both(in_picture(found_px, info.size_wh, heights[start:stop]) * IS_LIMB)
        together = on_course_through_sides(together, state.pressed[run], inside, at, heights[start:stop], in_sight)
        together, steps = with_hidden_legs(together, inside, world[run], heights[start:stop], at)
        together = onto_course(together, np.where(inside, visible[run], 0.0), at)
        together = steps.taken(interpolate_run(together, inside, at))
        xy = apply_transform(invert(world[run]), together[..., :2])
        confidence = together[:, :NUM_JOINTS, 2] * np.where(inside, 1.0, 0.5)[:, None]
        trust = _of_both(confidence * state.entered[run][:, None])
        xy = smooth_points(xy, world[run], at, heights[start:stop], trust)
        # Outside the picture there is no confidence, and it rises gradually for what enters.
        places = xy[:, :NUM_JOINTS], info.size_wh, heights[start:stop]
        seen = gaussian_smooth(in_picture(*places), at, EDGE_SIGMA_SECONDS)
        least = LEAST_CONFIDENCE * gaussian_smooth(in_picture(*places, INSIDE_BH), at, EDGE_SIGMA_SECONDS)
        confidence = np.maximum(confidence - (LEAST_CONFIDENCE - least), least) * np.clip(seen, 0, 1)
        confidence = with_arms_doubted(confidence, at, heights[start:stop] / min(info.size_wh))
        joints[run] = np.dstack([xy[:, :NUM_JOINTS], confidence])
        zoomed = zoom[start:stop, None]
        depth = zoomed * smooth_depth(together[:, NUM_JOINTS:, 2] / zoomed, at)
        posed = np.dstack([xy[:, NUM_JOINTS:], depth])
        skeletons[run] = with_steady_trunk(posed, at, heights[start:stop])
        _carry_over_edges(state, run, shot)
    if state.is_faded is not None:
        carry_to_shot_ends(presence, boxes, joints, skeletons, visible, world, info, state.is_faded, shot)
    state.height[shot] = np.where(presence[shot] != Presence.ABSENT, heights, np.nan)


def _without_trust(joints: NDArray[np.float32], frames: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return joints (T, 21, 3) that nobody believes in some frames."""
    doubted = joints.copy()
    doubted[frames, :, 2] = 0
    return doubted


def _of_both(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 21 + 23): the confidence of joints and of skeletons; a hand has its wrist's."""
    return np.concatenate([confidence, confidence, confidence[:, WRISTS]], axis=1)


def _carry_over_edges(state: _Filling, run: slice, shot: slice) -> None:
    """Extrapolate a person cut off by the picture's edge for as long as the box still overlaps the picture."""
    presence = state.presence
    boxes = state.boxes
    joints = state.joints
    skeletons = state.skeletons
    width, _ = state.info.size_wh
    seconds = state.info.pts_seconds
    for first, inner, step in (
        (run.start, min(run.start + 4, run.stop - 1), -1),
        (run.stop - 1, max(run.stop - 5, run.start), 1),
    ):
        x0, y0, x1, y1 = boxes[first]
        at_edge = x0 <= 1 or x1 >= width - 1
        if not at_edge or inner == first:
            continue
        pace = (joints[first, HIPS, :2] - joints[inner, HIPS, :2]).mean(axis=0) / (seconds[first] - seconds[inner])
        frame = first + step
        while shot.start <= frame < shot.stop and presence[frame] == Presence.ABSENT:
            elapsed = float(seconds[frame] - seconds[first])
            # A box cut off by the edge keeps its outer side; only the inner one shows whether anything is still
            # visible.
            moved = pace * elapsed
            inner_side = x1 + moved[0] if x0 <= 1 else x0 + moved[0]
            if abs(elapsed) > EDGE_SECONDS or not 2 < inner_side < width - 3:
                break
            presence[frame] = Presence.UNCERTAIN
            boxes[frame] = (x0, y0, inner_side, y1) if x0 <= 1 else (inner_side, y0, x1, y1)
            joints[frame] = joints[first]
            joints[frame, :, :2] += moved
            joints[frame, :, 2] *= 0.5
            skeletons[frame] = skeletons[first]
            skeletons[frame, :, :2] += moved
            frame += step
