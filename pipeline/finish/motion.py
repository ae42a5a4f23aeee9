"""How a new person moves in the source, as far as their layers are there; the foot lock included."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.plan import Presence
from pipeline.finish.foot_lock import lock_feet
from pipeline.finish.inputs import FinishInputs
from pipeline.joints import FOOT_OF_SIDE, NUM_JOINTS
from pipeline.maths.geometry import apply_transform, invert
from pipeline.workspace.layers import ChunkedLayers


class Motion:
    """One new person's joints and the offsets of their feet, frame by frame. ``advance`` is for one thread at a time.

    A foot's place depends on all layers of its contact with the ground, and of the next one, so a frame is settled once
    these are there: frames can be finished while later chunks are still being made, with the same result.
    """

    def __init__(self, inputs: FinishInputs, layers: ChunkedLayers) -> None:
        self._inputs = inputs
        self._layers = layers
        num_frames = inputs.clip.info.num_frames
        self._num_frames = num_frames
        self._num_known = 0
        self._num_settled = 0
        self.joints_unlocked = np.full((num_frames, NUM_JOINTS, 3), np.nan)
        """(T, 21, 3) source px, before the foot lock, NaN where there are none (yet)."""
        self.foot_offsets_px = np.zeros((num_frames, 2, 2))
        """(T, 2, 2) source px by which the lock moves left and right foot; final in settled frames."""

    def advance(self, frame: int) -> None:
        """Wait until a frame is settled. Raises what keeps its layers from being made."""
        while frame >= self._num_settled:
            self._layers.wait_beyond(self._num_known)
            self._take(min(self._layers.num_known(), self._num_frames))

    @property
    def placed_joints(self) -> NDArray[np.float64]:
        """(T, 21, 3) after the foot lock."""
        placed_joints = self.joints_unlocked.copy()
        for foot, rows in enumerate(FOOT_OF_SIDE.values()):
            placed_joints[:, rows, :2] += self.foot_offsets_px[:, foot, None, :]
        return placed_joints

    def _take(self, num_known: int) -> None:
        """Take the layers of the frames up to ``num_known``."""
        inputs = self._inputs
        plan = inputs.plan
        for frame in range(self._num_known, num_known):
            if plan.subject.presence[frame] > Presence.ABSENT:
                joints = self._layers.joints(frame)
                source_from_crop = invert(plan.crop_from_source(frame))
                self.joints_unlocked[frame, :, :2] = apply_transform(source_from_crop, joints[:, :2])
                self.joints_unlocked[frame, :, 2] = joints[:, 2]
        self._num_known = num_known
        if inputs.settings.foot_lock.method != "pin":
            self._num_settled = num_known
            return
        self._num_settled = num_settled(plan.contacts.plant_id, plan.shot_starts, num_known)
        self.foot_offsets_px = lock_feet(
            plan.contacts,
            self.joints_unlocked,
            plan.subject,
            inputs.clip.info.pts_seconds,
            inputs.settings.foot_lock,
            plan.camera.world_from_source,
            plan.shot_starts,
        )


def num_settled(plant_id: NDArray[np.int64], shot_starts: NDArray[np.int64], num_known: int) -> int:
    """Return how many leading frames' foot offsets no longer change when the joints beyond ``num_known`` are known.

    ``plant_id`` (T, 2) numbers the contacts of each foot, -1 in the air. In a shot that is not known to its end, an
    offset is settled up to the end of the last contact that is: from there on it eases into the next one.
    """
    num_frames = len(plant_id)
    if num_known >= num_frames:
        return num_frames
    starts = shot_starts[shot_starts <= num_known]
    start = int(starts[-1]) if len(starts) else 0
    stops = shot_starts[shot_starts > num_known]
    stop = int(stops[0]) if len(stops) else num_frames
    settled = num_known
    for plants in plant_id[start:stop].T:
        later = plants[num_known - start :]
        unknown = set(later[later >= 0].tolist())
        if not unknown:
            continue
        earlier = plants[: num_known - start]
        whole = np.flatnonzero((earlier >= 0) & ~np.isin(earlier, sorted(unknown)))
        settled = min(settled, start + (int(whole[-1]) + 1 if len(whole) else 0))
    return settled
