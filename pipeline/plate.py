"""The clean background: what the camera would have seen with nobody there.

Plates are made at *anchor* frames. For each, other frames that saw what people hide there are registered to it
directly, never over a chain (errors add up to a shift), by homography and parallax (``registration``), and the masked
median is taken. A frame between anchors gets its plate by registering the frame to the anchors on either side.
"""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.colors import rgb_of
from pipeline.datatypes import CameraPath, Frame, Mask, Picture, Transforms, VideoInfo
from pipeline.grain import Grain, add_grain, estimate_grain, fill_hole, match_light
from pipeline.plate_samples import AnchorPlan, clear_grade, plan_anchors
from pipeline.plate_set import NODES, PlateSet, load_plates, read_plate
from pipeline.plate_stack import one_plate, stack_of
from pipeline.registration import Reference, Warp, fit_warp, node_shape, work_gray
from pipeline.settings import PlateSettings

__all__ = ["Grain", "PlateSet", "add_grain", "fill_hole", "load_plates", "make_plates", "match_light"]

_GRAIN_FRAMES = 6


class FrameSource(Protocol):
    """What is needed of a clip."""

    info: VideoInfo

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]: ...


def make_plates(
    clip: FrameSource,
    camera: CameraPath,
    shot_starts: NDArray[np.int64],
    needed: NDArray[np.bool_],
    everyone: Callable[[int], Mask],
    body_height_px: NDArray[np.float64],
    settings: PlateSettings,
    folder: Path,
    check: Callable[[], None],
    progress: Callable[[int, int], None],
) -> PlateSet:
    """Make the plates that the ``needed`` (T,) frames ask for, and write them to ``folder``.

    ``everyone(t)`` is the (H, W) mask of all people in frame t; ``body_height_px`` (T,) may be NaN. Candidates are
    spooled to ``folder`` while they are needed, so memory holds a few pictures. ``check`` may raise; nothing counts
    as finished before ``plates.npz``, written last, is there. Two reads of the clip: the candidates, then ``needed``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    num_frames, size_wh = clip.info.num_frames, clip.info.size_wh
    known = body_height_px[np.isfinite(body_height_px)]
    height = float(np.median(known)) if len(known) else 0.5 * size_wh[1]
    plans = plan_anchors(clip.info, camera.world_from_source, shot_starts, needed, everyone, height, settings)
    work = sum(len(plan.candidates) for plan in plans) + int(needed.sum())
    done = 0

    def step(count: int) -> None:
        nonlocal done
        check()
        done += count
        progress(min(done, work), work)

    for row, (plan, pictures) in enumerate(_with_candidates(clip, plans, folder, check)):
        plate, seen = one_plate(stack_of(plan, pictures, camera, everyone, height), settings)
        cv2.imwrite(str(folder / f"plate_{row:04d}.png"), plate[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 2])
        cv2.imwrite(str(folder / f"seen_{row:04d}.png"), seen.astype(np.uint8) * 255)
        step(len(plan.candidates))
    return _place_frames(clip, camera.world_from_source, plans, needed, everyone, height, folder, num_frames, step)


def _with_candidates(
    clip: FrameSource, plans: Sequence[AnchorPlan], folder: Path, check: Callable[[], None]
) -> Iterator[tuple[AnchorPlan, dict[int, Picture]]]:
    """Read the clip once, and yield each plan when all of its candidates have come (as arrays mapped from disk)."""
    spool = folder / "candidates"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir()
    last_use: dict[int, int] = {}
    for row, plan in enumerate(plans):
        last_use.update(dict.fromkeys(plan.candidates, row))
    frames = clip.frames_at(sorted(last_use))
    there: set[int] = set()
    for row, plan in enumerate(plans):
        wanted = set(plan.candidates)
        while wanted - there:
            check()
            frame = next(frames)
            np.save(spool / f"{frame.index}.npy", rgb_of(frame))
            there.add(frame.index)
        yield plan, {frame: np.load(spool / f"{frame}.npy", mmap_mode="r") for frame in plan.candidates}
        for used in [frame for frame in there if last_use[frame] <= row]:
            (spool / f"{used}.npy").unlink()
            there.remove(used)
    shutil.rmtree(spool)


def _place_frames(
    clip: FrameSource,
    world_from_source: Transforms,
    plans: Sequence[AnchorPlan],
    needed: NDArray[np.bool_],
    everyone: Callable[[int], Mask],
    height: float,
    folder: Path,
    num_frames: int,
    step: Callable[[int], None],
) -> PlateSet:
    """Register every needed frame to the plates around it."""
    size_wh = clip.info.size_wh
    anchors = np.array([plan.frame for plan in plans], np.int64)
    near, share = _neighbours(num_frames, plans)
    from_source = np.tile(np.eye(3), (num_frames, 2, 1, 1))
    shape = node_shape(size_wh, height)
    block = shape[0] * shape[1] * 2 * 2
    for t in range(num_frames):
        for side in range(2):
            if near[t, side] >= 0:
                anchor = anchors[near[t, side]]
                from_source[t, side] = np.linalg.inv(world_from_source[anchor]) @ world_from_source[t]
    references: OrderedDict[int, Reference] = OrderedDict()
    wanted = np.flatnonzero(needed & (near[:, 0] >= 0))
    sampled = set(wanted[:: max(1, len(wanted) // _GRAIN_FRAMES)].tolist())
    grain_patches: tuple[list[Picture], list[Picture], list[Mask]] = ([], [], [])
    none = Warp(np.eye(3), np.zeros((*shape, 2), np.float32), 0)
    with (folder / NODES).open("wb") as stored:
        # Frames that are not registered leave holes, which read as zeros and take no space.
        stored.truncate(num_frames * 2 * block)
        for frame in clip.frames_at(wanted.tolist()):
            t = frame.index
            picture = rgb_of(frame)
            gray, avoid = work_gray(picture), clear_grade(everyone(t), height) == 0
            warps = [none, none]
            for side in range(2):
                row = int(near[t, side])
                if row < 0 or anchors[row] == t or (side and share[t] <= 0):
                    continue
                reference = _reference(references, folder, row)
                rows, found = reference.match(gray, avoid, np.linalg.inv(from_source[t, side]))
                warps[side] = fit_warp(found, reference.features()[rows], size_wh, height, from_source[t, side])
                from_source[t, side] = warps[side].from_to
            stored.seek(t * 2 * block)
            stored.write(np.stack([warp.nodes for warp in warps]).astype(np.float16).tobytes())
            if t in sampled:
                warp = Warp(from_source[t, 0], warps[0].nodes, 0)
                _sample_grain(grain_patches, folder, plans[near[t, 0]], int(near[t, 0]), warp, picture, avoid)
            step(1)
    grain = estimate_grain(*grain_patches)
    facts: dict[str, object] = {
        "size_wh": size_wh,
        "sigma": grain.sigma,
        "common": grain.common,
        "radius_px": grain.radius_px,
    }
    facts["node_shape"] = shape
    partial = folder / "plates.part.npz"
    np.savez(
        partial, facts=json.dumps(facts), anchors=anchors, plate_from_source=from_source[:, 0], near=near, share=share,
        from_source=from_source,
    )  # fmt: skip
    partial.rename(folder / "plates.npz")
    return load_plates(folder)


def _reference(references: OrderedDict[int, Reference], folder: Path, row: int) -> Reference:
    """Return the plate as a reference; the last few are kept."""
    if row not in references:
        plate, seen = read_plate(folder, row)
        references[row] = Reference(plate, seen == 0)
        if len(references) > 3:
            references.popitem(last=False)
    return references[row]


def _neighbours(num_frames: int, plans: Sequence[AnchorPlan]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Say which two plates a frame of the same shot lies between, and how much the farther one counts.

    The plates are mixed only in the middle half between two anchors: near an anchor its own plate is the sharpest,
    and a switch at once would show.
    """
    near = np.full((num_frames, 2), -1, np.int32)
    share = np.zeros(num_frames, np.float32)
    frames = np.array([plan.frame for plan in plans], np.int64)
    for start, stop in sorted({(plan.shot_start, plan.shot_stop) for plan in plans}):
        for t in range(start, stop):
            first, last = np.searchsorted(frames, (start, stop))
            after = int(np.searchsorted(frames, t))
            around = [row for row in (after - 1, after) if first <= row < last]
            around.sort(key=lambda row: abs(int(frames[row]) - t))
            near[t, 0] = around[0]
            if len(around) == 2:
                near[t, 1] = around[1]
                gap = abs(int(frames[around[1]] - frames[around[0]]))
                share[t] = np.clip(2 * abs(int(frames[around[0]]) - t) / gap - 0.5, 0, 0.5)
    return near, share


def _sample_grain(
    patches: tuple[list[Picture], list[Picture], list[Mask]],
    folder: Path,
    plan: AnchorPlan,
    row: int,
    warp: Warp,
    picture: Picture,
    avoid: Mask,
) -> None:
    """Keep a window of plate and source side by side, where the plate is a median of several frames."""
    h, w = avoid.shape
    plate, _ = read_plate(folder, row)
    wanted = plan.wanted
    ys, xs = np.nonzero(wanted)
    if not len(xs):
        return
    cx, cy = int(np.median(xs)), int(np.median(ys))
    box = (max(cx - 160, 0), max(cy - 120, 0), min(cx + 160, w), min(cy + 120, h))
    at = warp.coordinates(box, (w, h))
    area = np.s_[box[1] : box[3], box[0] : box[2]]
    static = cv2.remap(wanted.astype(np.uint8), at, None, cv2.INTER_NEAREST).astype(bool)
    patches[0].append(np.asarray(cv2.remap(plate, at, None, cv2.INTER_LANCZOS4), np.uint8))
    patches[1].append(np.array(picture[area]))
    patches[2].append(np.asarray(static & ~avoid[area]))
