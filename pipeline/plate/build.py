"""Build the clean background: what the camera would have seen without people.

Plates are made at *anchor* frames. For each, other frames that show the occluded background are registered to it
directly, never through a chain (errors would accumulate), by homography and parallax (``registration``), and the masked
median is taken. A frame between anchors gets its plate by registering the frame to the anchors on either side.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.grain import Grain, estimate_grain
from pipeline.plate.anchors import AnchorPlan, plan_anchors
from pipeline.plate.candidates import CandidateReader
from pipeline.plate.inputs import PlateInputs
from pipeline.plate.moving_things import find_moving_things
from pipeline.plate.placement import (
    FrameRegistration,
    PlateAssignment,
    WarpWriter,
    assign_plates,
    chained_warps,
    fitting_weight,
    frames_to_register,
)
from pipeline.plate.plate_set import NODES, PlateSet, bright_level, load_plates
from pipeline.plate.stack import build_plate, collect_candidates
from pipeline.plate.unseen import FilledPlate, fill_unseen
from pipeline.plate.warp import node_shape
from pipeline.settings import PlateSettings
from pipeline.workspace.pictures import write_png


def make_plates(
    inputs: PlateInputs,
    settings: PlateSettings,
    folder: Path,
    check: Callable[[], None],
    progress: Callable[[int, int], None],
) -> PlateSet:
    """Build the plates that the ``needed`` frames require, and write them to ``folder``.

    Candidates are spooled to ``folder`` while they are needed, so memory holds only a few pictures. ``check`` may
    raise; nothing counts as finished until ``plates.npz``, written last, exists. Two reads of the clip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    moving = find_moving_things(
        inputs.clip,
        inputs.world_from_source,
        inputs.shot_starts,
        inputs.people_mask,
        inputs.needed,
        inputs.body_height_px,
        check,
    )
    inputs = replace(inputs, moving=moving)
    plans = plan_anchors(inputs, settings.anchor_seconds, settings.samples)
    anchors = np.array([plan.frame for plan in plans], np.int64)
    assignment = assign_plates(len(inputs.needed), plans)
    from_source = chained_warps(inputs.world_from_source, anchors, assignment)
    chosen = frames_to_register(assignment, inputs.needed, anchors)
    steps = _Steps(sum(len(plan.candidates) for plan in plans) + len(chosen), check, progress)
    with (folder / NODES).open("wb") as stored, CandidateReader(inputs.clip, plans, chosen, folder, check) as read:
        _reserve(stored, inputs)
        warps = WarpWriter(stored, from_source, assignment, inputs.needed)
        registered = FrameRegistration(inputs, plans, chosen, assignment, warps)
        filled: FilledPlate | None = None
        bright_levels: list[float] = []
        for row, plan in enumerate(plans):
            candidates = collect_candidates(plan, read.candidates(row), inputs)
            plate, seen, pattern = build_plate(candidates, settings.samples)
            filled = fill_unseen(plate, seen, plan, inputs.world_from_source[plan.frame], filled, settings.inpaint)
            _write_plate(folder, row, filled, seen)
            registered.add_plate(row, filled.picture, seen, pattern)
            bright_levels.append(bright_level(filled.picture))
            steps.add(len(plan.candidates))
            # A frame is registered once the plates on both sides of it exist.
            ready = ((frame, read.picture(frame)) for frame in registered.ready(row))
            registered.register(ready, lambda: steps.add(1))
            read.release(row, registered.next_frame())
    fitting = PlateAssignment(assignment.plate_rows, fitting_weight(assignment.second_weight, registered.fits))
    grain = estimate_grain(*registered.grain_patches, registered.noise_on_people)
    _write_placement(folder, inputs, plans, fitting, warps, bright_levels, grain)
    return load_plates(folder)


class _Steps:
    """Reports progress over a number of steps, and checks before each whether to go on."""

    def __init__(self, total: int, check: Callable[[], None], progress: Callable[[int, int], None]) -> None:
        self._total = total
        self._check = check
        self._progress = progress
        self._done = 0

    def add(self, count: int) -> None:
        self._check()
        self._done += count
        self._progress(min(self._done, self._total), self._total)


def _reserve(stored: BinaryIO, inputs: PlateInputs) -> None:
    """Size the file of parallax nodes: two maps per frame, two float16 per node.

    Frames that are not needed leave holes in a sparse file, which read as zeros and take no space.
    """
    rows, columns = node_shape(inputs.size_wh, inputs.body_height_px)
    stored.truncate(len(inputs.needed) * 2 * rows * columns * 2 * 2)


def _write_plate(folder: Path, row: int, filled: FilledPlate, seen: Mask) -> None:
    write_png(folder / f"plate_{row:04d}.png", filled.picture[..., ::-1], quick=True)
    write_png(folder / f"seen_{row:04d}.png", seen.astype(np.uint8) * 255)


def _write_placement(
    folder: Path,
    inputs: PlateInputs,
    plans: list[AnchorPlan],
    assignment: PlateAssignment,
    warps: WarpWriter,
    bright_levels: list[float],
    grain: Grain,
) -> None:
    """Write ``plates.npz``, which makes the folder a complete plate set."""
    facts: dict[str, object] = {
        "size_wh": inputs.size_wh,
        "sigma": grain.sigma,
        "common": grain.common,
        "radius_px": grain.radius_px,
        "on_people": grain.on_people,
        "node_shape": node_shape(inputs.size_wh, inputs.body_height_px),
    }
    partial = folder / "plates.part.npz"
    np.savez(
        partial,
        facts=json.dumps(facts),
        anchors=np.array([plan.frame for plan in plans], np.int64),
        plate_from_source=warps.from_source[:, 0],
        plate_rows=assignment.plate_rows,
        second_weight=assignment.second_weight,
        from_source=warps.from_source,
        bright_levels=np.array(bright_levels, np.float64),
    )
    partial.rename(folder / "plates.npz")
