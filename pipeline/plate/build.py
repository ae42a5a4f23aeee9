"""Build the clean background: what the camera would have seen without people.

Plates are made at *anchor* frames. For each, other frames that show the occluded background are registered to it
directly, never through a chain (errors would accumulate), by homography and parallax (``registration``), and the masked
median is taken. A frame between anchors gets its plate by registering the frame to the anchors on either side.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.light import CastShadows
from pipeline.datatypes.plan import CameraPath
from pipeline.maths.grain import estimate_grain
from pipeline.plate.anchors import plan_anchors
from pipeline.plate.candidates import CandidateReader
from pipeline.plate.placement import (
    FrameRegistration,
    WarpWriter,
    assign_plates,
    chained_warps,
    fitting_weight,
    frames_to_register,
)
from pipeline.plate.plate_set import NODES, PlateSet, load_plates
from pipeline.plate.registration import node_shape
from pipeline.plate.stack import build_plate, collect_candidates
from pipeline.plate.unseen import FilledPlate, fill_unseen
from pipeline.settings import PlateSettings
from pipeline.workspace.pictures import write_png


def make_plates(
    clip: FrameSource,
    camera: CameraPath,
    shot_starts: NDArray[np.int64],
    needed: NDArray[np.bool_],
    people_mask: Callable[[int], Mask],
    body_height_px: NDArray[np.float64],
    settings: PlateSettings,
    folder: Path,
    check: Callable[[], None],
    progress: Callable[[int, int], None],
    shadows: CastShadows | None = None,
) -> PlateSet:
    """Build the plates that the ``needed`` (T,) frames require, and write them to ``folder``.

    ``shadows`` are the subject's, where known: plates are free of them where other frames show the ground without.
    ``people_mask(t)`` is the (H, W) mask of all people in frame t; ``body_height_px`` (T,) may be NaN. Candidates are
    spooled to ``folder`` while they are needed, so memory holds only a few pictures. ``check`` may raise; nothing
    counts as finished until ``plates.npz``, written last, exists. One read of the clip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    num_frames, size_wh = clip.info.num_frames, clip.info.size_wh
    known = body_height_px[np.isfinite(body_height_px)]
    height = float(np.median(known)) if len(known) else 0.5 * size_wh[1]
    shadows = shadows or CastShadows.none(num_frames)
    plans = plan_anchors(
        clip.info, camera.world_from_source, shot_starts, needed, people_mask, height, settings, shadows
    )
    assignment = assign_plates(num_frames, plans)
    anchors = np.array([plan.frame for plan in plans], np.int64)
    chosen = frames_to_register(assignment, needed, anchors)
    work = sum(len(plan.candidates) for plan in plans) + len(chosen)
    done = 0

    def step(count: int) -> None:
        nonlocal done
        check()
        done += count
        progress(min(done, work), work)

    from_source = chained_warps(camera.world_from_source, anchors, assignment)
    shape = node_shape(size_wh, height)
    with (folder / NODES).open("wb") as stored, CandidateReader(clip, plans, chosen, folder, check) as read:
        # Frames that are not needed leave holes in a sparse file, which read as zeros and take no space.
        stored.truncate(num_frames * 2 * shape[0] * shape[1] * 2 * 2)
        registered = FrameRegistration(
            folder,
            plans,
            WarpWriter(stored, from_source, assignment, needed),
            chosen,
            from_source,
            people_mask,
            height,
            size_wh,
        )
        filled: FilledPlate | None = None
        for row, plan in enumerate(plans):
            pictures = read.candidates(row)
            plate, seen = build_plate(
                collect_candidates(plan, pictures, camera, people_mask, height, shadows), settings
            )
            filled = fill_unseen(plate, seen, plan, camera.world_from_source[plan.frame], filled, settings.inpaint)
            write_png(folder / f"plate_{row:04d}.png", filled.picture[..., ::-1], quick=True)
            write_png(folder / f"seen_{row:04d}.png", seen.astype(np.uint8) * 255)
            step(len(plan.candidates))
            # A frame is registered once the plates on both sides of it exist.
            while (frame := registered.next_frame()) is not None and max(chosen[frame]) <= row:
                registered.push(read.picture(frame), assignment)
                step(1)
            read.release(row, registered.next_frame())
    second_weight = fitting_weight(assignment.second_weight, registered.fits)
    grain = estimate_grain(*registered.grain_patches)
    facts: dict[str, object] = {
        "size_wh": size_wh, "sigma": grain.sigma, "common": grain.common, "radius_px": grain.radius_px,
        "node_shape": shape,
    }  # fmt: skip
    partial = folder / "plates.part.npz"
    np.savez(
        partial, facts=json.dumps(facts), anchors=anchors, plate_from_source=from_source[:, 0],
        plate_rows=assignment.plate_rows, second_weight=second_weight, from_source=from_source,
    )  # fmt: skip
    partial.rename(folder / "plates.npz")
    return load_plates(folder)
