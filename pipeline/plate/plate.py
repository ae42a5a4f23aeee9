"""The clean background: what the camera would have seen with nobody there.

Plates are made at *anchor* frames. For each, other frames that saw what people hide there are registered to it
directly, never over a chain (errors add up to a shift), by homography and parallax (``registration``), and the masked
median is taken. A frame between anchors gets its plate by registering the frame to the anchors on either side.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import CameraPath, Frame, Mask, Picture, Transforms, VideoInfo
from pipeline.maths.grain import Grain, add_grain, estimate_grain, fill_hole, match_light
from pipeline.media.pixels import rgb_of
from pipeline.plate.anchors import AnchorPlan, clear_grade, plan_anchors
from pipeline.plate.placement import Places, References, Served, frames_to_register, neighbours
from pipeline.plate.plate_set import NODES, PlateSet, load_plates, read_plate
from pipeline.plate.registration import Warp, fit_warp, node_shape, work_gray
from pipeline.plate.stack import one_plate, stack_of
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
    as finished before ``plates.npz``, written last, is there. One read of the clip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    num_frames, size_wh = clip.info.num_frames, clip.info.size_wh
    known = body_height_px[np.isfinite(body_height_px)]
    height = float(np.median(known)) if len(known) else 0.5 * size_wh[1]
    plans = plan_anchors(clip.info, camera.world_from_source, shot_starts, needed, everyone, height, settings)
    served = neighbours(num_frames, plans)
    anchors = np.array([plan.frame for plan in plans], np.int64)
    chosen = frames_to_register(served, needed, anchors)
    work = sum(len(plan.candidates) for plan in plans) + len(chosen)
    done = 0

    def step(count: int) -> None:
        nonlocal done
        check()
        done += count
        progress(min(done, work), work)

    from_source = _chained(camera.world_from_source, anchors, served)
    shape = node_shape(size_wh, height)
    with (folder / NODES).open("wb") as stored, _Read(clip, plans, chosen, folder, check) as read:
        # Frames that are not needed leave holes, which read as zeros and take no space.
        stored.truncate(num_frames * 2 * shape[0] * shape[1] * 2 * 2)
        registered = _Registration(
            folder, plans, Places(stored, from_source, served, needed), chosen, from_source, everyone, height, size_wh
        )
        for row, plan in enumerate(plans):
            pictures = read.candidates(row)
            plate, seen = one_plate(stack_of(plan, pictures, camera, everyone, height), settings)
            cv2.imwrite(str(folder / f"plate_{row:04d}.png"), plate[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
            cv2.imwrite(str(folder / f"seen_{row:04d}.png"), seen.astype(np.uint8) * 255)
            step(len(plan.candidates))
            # A frame comes when the plates on both sides of it are there.
            while (frame := registered.next_frame()) is not None and max(chosen[frame]) <= row:
                registered.push(read.picture(frame), served)
                step(1)
            read.release(row, registered.next_frame())
    grain = estimate_grain(*registered.grain_patches)
    facts: dict[str, object] = {
        "size_wh": size_wh, "sigma": grain.sigma, "common": grain.common, "radius_px": grain.radius_px,
        "node_shape": shape,
    }  # fmt: skip
    partial = folder / "plates.part.npz"
    np.savez(
        partial, facts=json.dumps(facts), anchors=anchors, plate_from_source=from_source[:, 0], near=served.near,
        share=served.share, from_source=from_source,
    )  # fmt: skip
    partial.rename(folder / "plates.npz")
    return load_plates(folder)


def _chained(world_from_source: Transforms, anchors: NDArray[np.int64], served: Served) -> Transforms:
    """Return (T, 2, 3, 3): the chained motion from each frame to the two plates of its ``near``."""
    from_source = np.tile(np.eye(3), (len(world_from_source), 2, 1, 1))
    for t, near in enumerate(served.near):
        for side in range(2):
            if near[side] >= 0:
                from_source[t, side] = np.linalg.inv(world_from_source[anchors[near[side]]]) @ world_from_source[t]
    return from_source


class _Read:
    """One read of the clip: pictures wait on disk, mapped, until nobody needs them any more."""

    def __init__(
        self,
        clip: FrameSource,
        plans: Sequence[AnchorPlan],
        chosen: dict[int, list[int]],
        folder: Path,
        check: Callable[[], None],
    ) -> None:
        self._plans, self._check = plans, check
        self._spool = folder / "candidates"
        self._last_use: dict[int, int] = {}
        for row, plan in enumerate(plans):
            self._last_use.update(dict.fromkeys(plan.candidates, row))
        self._frames = clip.frames_at(sorted({*self._last_use, *chosen}))
        self._there: set[int] = set()

    def __enter__(self) -> _Read:
        shutil.rmtree(self._spool, ignore_errors=True)
        self._spool.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._spool)

    def candidates(self, row: int) -> dict[int, Picture]:
        """Return the pictures of a plan's candidates."""
        return {frame: self.picture(frame) for frame in self._plans[row].candidates}

    def picture(self, index: int) -> Picture:
        """Return the RGB picture (H, W, 3) of a frame, read-only."""
        while index not in self._there:
            self._check()
            frame = next(self._frames)
            np.save(self._spool / f"{frame.index}.npy", rgb_of(frame))
            self._there.add(frame.index)
        return np.asarray(np.load(self._spool / f"{index}.npy", mmap_mode="r"))

    def release(self, row: int, next_frame: int | None) -> None:
        """Drop what no later plate stacks and what was registered; ``next_frame`` is the first that was not."""
        for used in sorted(self._there):
            if self._last_use.get(used, -1) <= row and (next_frame is None or used < next_frame):
                (self._spool / f"{used}.npy").unlink()
                self._there.remove(used)


class _Registration:
    """Registers frames to the plates around them, in order."""

    def __init__(
        self,
        folder: Path,
        plans: Sequence[AnchorPlan],
        places: Places,
        chosen: dict[int, list[int]],
        from_source: Transforms,
        everyone: Callable[[int], Mask],
        height: float,
        size_wh: tuple[int, int],
    ) -> None:
        self._folder, self._plans, self._places, self._chosen = folder, plans, places, chosen
        self._from_source, self._everyone = from_source, everyone
        self._height, self._size_wh = height, size_wh
        self._references = References(folder)
        self._waiting = list(chosen)[::-1]
        self._sampled = set(list(chosen)[:: max(1, len(chosen) // _GRAIN_FRAMES)])
        self.grain_patches: tuple[list[Picture], list[Picture], list[Mask]] = ([], [], [])

    def next_frame(self) -> int | None:
        """Return the frame that ``push`` takes next."""
        return self._waiting[-1] if self._waiting else None

    def push(self, picture: Picture, served: Served) -> None:
        """Register ``next_frame`` to its plates."""
        t = self._waiting.pop()
        gray, avoid = work_gray(picture), clear_grade(self._everyone(t), self._height) == 0
        shape = node_shape(self._size_wh, self._height)
        for row in self._chosen[t]:
            side = 0 if row == served.near[t, 0] else 1
            guess = np.array(self._from_source[t, side])
            warp = Warp(guess, np.zeros((*shape, 2), np.float32), 0)
            if self._plans[row].frame != t:
                reference = self._references[row]
                rows, found = reference.match(gray, avoid, np.linalg.inv(guess))
                warp = fit_warp(found, reference.features()[rows], self._size_wh, self._height, guess)
            self._places.put(t, row, warp)
            if side == 0 and t in self._sampled:
                _sample_grain(self.grain_patches, self._folder, self._plans[row], row, warp, picture, avoid)


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
