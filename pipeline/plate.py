"""The clean background: what the camera would have seen with nobody there.

Plates are made at *anchor* frames. For each, other frames that saw what people hide there are registered to it
directly, never over a chain (errors add up to a shift), by homography and parallax (``registration``), and the masked
median is taken. A frame between anchors gets its plate by registering the frame to the anchors on either side.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.colors import rgb_of
from pipeline.datatypes import CameraPath, Frame, Mask, Picture, Transforms, VideoInfo
from pipeline.grain import Grain, apply_light, estimate_grain, fill_hole, fit_light
from pipeline.plate_samples import AnchorPlan, clear_grade, plan_anchors
from pipeline.registration import Reference, Warp, fit_warp, node_shape, work_gray
from pipeline.settings import PlateSettings
from pipeline.stacking import masked_median

_STRIPE_ROWS = 64
_CACHED_PLATES = 2
_GRAIN_FRAMES = 6
_RESAMPLE = cv2.INTER_LANCZOS4
_NEAREST = 5
"""Where near and far part, the samples nearest in time decide: registration of the others is off by more than their
noise is worth."""
_PARALLAX_PX = 0.2


class FrameSource(Protocol):
    """What is needed of a clip."""

    info: VideoInfo

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]: ...


@dataclass(frozen=True, slots=True, eq=False)
class PlateSet:
    """The plates of a clip and where each frame finds itself in them."""

    folder: Path
    size_wh: tuple[int, int]
    anchors: NDArray[np.int64]
    """(K,) frame numbers, rising; may be empty."""
    plate_from_source: Transforms
    """(T, 3, 3) best single homography from frame t to its nearest anchor's plate."""
    near: NDArray[np.int32]
    """(T, 2) rows of ``anchors``: the nearer and the other one, -1 for none."""
    share: NDArray[np.float32]
    """(T,) weight of the other one, 0..0.5."""
    from_source: Transforms
    """(T, 2, 3, 3) homographies to the plates of ``near``."""
    nodes: NDArray[np.float16]
    """(T, 2, rows, columns, 2) parallax; mapped from disk."""
    grain: Grain
    _cache: OrderedDict[int, tuple[Picture, NDArray[np.uint8]]] = field(default_factory=OrderedDict, repr=False)

    def render(self, frame: int, box_xyxy: tuple[int, int, int, int]) -> tuple[Picture, Mask]:
        """Return the plate as source frame ``frame`` sees it inside the box (may reach over the picture's edges).

        One Lanczos resample of each plate; between two anchors their mix. The mask is False where no frame of
        the clip ever showed the place (the pixels are inpainted or replicated).
        """
        h, w = box_xyxy[3] - box_xyxy[1], box_xyxy[2] - box_xyxy[0]
        total = np.zeros((h, w, 3), np.float32)
        weights = np.zeros((h, w), np.float32)
        for side, weight in ((0, 1 - self.share[frame]), (1, self.share[frame])):
            row = int(self.near[frame, side])
            if row < 0 or (weight <= 0 and side):
                continue
            warp = Warp(self.from_source[frame, side], self.nodes[frame, side].astype(np.float32), 0)
            at = warp.coordinates(box_xyxy, self.size_wh)
            plate, seen = self._plate(row)
            picture = cv2.remap(plate, at, None, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
            known = cv2.remap(seen, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT).astype(np.float32)
            # A plate that never saw the place leaves it to the other one; where neither did, both count a little.
            part = np.maximum(known / 255, 1e-3) * max(float(weight), 1e-3)
            total += picture * part[..., None]
            weights += part
        if not weights.any():
            return np.full((h, w, 3), 128, np.uint8), np.zeros((h, w), np.bool_)
        return (
            np.clip(np.rint(total / weights[..., None]), 0, 255).astype(np.uint8),
            weights > 0.0015,
        )

    def _plate(self, row: int) -> tuple[Picture, NDArray[np.uint8]]:
        if row in self._cache:
            self._cache.move_to_end(row)
        else:
            self._cache[row] = _read_plate(self.folder, row)
            while len(self._cache) > _CACHED_PLATES:
                self._cache.popitem(last=False)
        return self._cache[row]


def _read_plate(folder: Path, row: int) -> tuple[Picture, NDArray[np.uint8]]:
    picture = cv2.imread(str(folder / f"plate_{row:04d}.png"), cv2.IMREAD_COLOR)
    seen = cv2.imread(str(folder / f"seen_{row:04d}.png"), cv2.IMREAD_GRAYSCALE)
    if picture is None or seen is None:
        raise FileNotFoundError(folder / f"plate_{row:04d}.png")
    return np.ascontiguousarray(picture[..., ::-1]), np.asarray(seen, np.uint8)


def load_plates(folder: Path) -> PlateSet:
    """Read back what ``make_plates`` wrote. Raises ``FileNotFoundError`` where it did not finish."""
    with np.load(folder / "plates.npz") as saved:
        facts = json.loads(str(saved["facts"]))
        return PlateSet(
            folder=folder,
            size_wh=(facts["size_wh"][0], facts["size_wh"][1]),
            anchors=saved["anchors"],
            plate_from_source=saved["plate_from_source"],
            near=saved["near"],
            share=saved["share"],
            from_source=saved["from_source"],
            nodes=np.load(folder / "plate_nodes.npy", mmap_mode="r"),
            grain=Grain(tuple(facts["sigma"]), facts["common"], facts["radius_px"]),
        )


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
        plate, seen = _one_plate(_stack_of(plan, pictures, camera, everyone, height), settings)
        cv2.imwrite(str(folder / f"plate_{row:04d}.png"), plate[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 2])
        cv2.imwrite(str(folder / f"seen_{row:04d}.png"), seen.astype(np.uint8) * 255)
        step(len(plan.candidates))
    return _place_frames(clip, camera.world_from_source, plans, needed, everyone, height, folder, num_frames, step)


def _with_candidates(
    clip: FrameSource, plans: Sequence[AnchorPlan], folder: Path, check: Callable[[], None]
) -> Iterator[tuple[AnchorPlan, dict[int, Picture]]]:
    """Read the clip once, and yield each plan when all of its candidates have come (as arrays mapped from disk)."""
    spool = folder / "candidates"
    spool.mkdir(exist_ok=True)
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
    spool.rmdir()


def _stack_of(
    plan: AnchorPlan, pictures: dict[int, Picture], camera: CameraPath, everyone: Callable[[int], Mask], height: float
) -> _Stack:
    world_from_anchor = camera.world_from_source[plan.frame]
    return _Stack(
        plan=plan,
        pictures=pictures,
        grades={frame: clear_grade(everyone(frame), height) for frame in plan.candidates},
        guesses={t: np.linalg.inv(camera.world_from_source[t]) @ world_from_anchor for t in plan.candidates},
        height=height,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """The candidates of one anchor."""

    plan: AnchorPlan
    pictures: dict[int, Picture]
    grades: dict[int, NDArray[np.uint8]]
    guesses: dict[int, Transforms]
    """frame -> (3, 3) candidate from anchor."""
    height: float

    @property
    def size_wh(self) -> tuple[int, int]:
        h, w = self.plan.wanted.shape
        return w, h

    def match(self, reference: Reference, frame: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        gray = work_gray(np.asarray(self.pictures[frame]))
        return reference.match(gray, self.grades[frame] == 0, self.guesses[frame])


def _one_plate(stack: _Stack, settings: PlateSettings) -> tuple[Picture, Mask]:
    """Make one anchor's plate. Returns it and where it is known, (H, W)."""
    plan, height, size_wh = stack.plan, stack.height, stack.size_wh
    anchor = np.array(stack.pictures[plan.frame])
    reference = Reference(anchor, stack.grades[plan.frame] == 0)
    still = Warp(np.eye(3), np.zeros((*node_shape(size_wh, height), 2), np.float32), 1)
    warps = {plan.frame: still}
    for frame in plan.candidates:
        if frame != plan.frame:
            rows, found = stack.match(reference, frame)
            warps[frame] = fit_warp(reference.features()[rows], found, size_wh, height, stack.guesses[frame])
    lights = {frame: _light(stack, warps[frame], frame) for frame in plan.candidates}
    return _merge(stack, warps, lights, settings)


def _light(stack: _Stack, warp: Warp, frame: int) -> NDArray[np.float64]:
    """Fit the light of a candidate to the anchor's, at an eighth of the size, where registration does not matter."""
    anchor = stack.plan.frame
    if frame == anchor:
        return np.stack([np.ones(3), np.zeros(3)])
    both = (_small(stack.grades[anchor]) > 1) & (_small_view(stack.grades[frame], warp) > 1)
    return fit_light(
        _small_view(np.asarray(stack.pictures[frame]), warp)[both], _small(np.asarray(stack.pictures[anchor]))[both]
    )


def _merge(
    stack: _Stack, warps: dict[int, Warp], lights: dict[int, NDArray[np.float64]], settings: PlateSettings
) -> tuple[Picture, Mask]:
    """Take the masked median over the wanted part of the anchor, stripe by stripe."""
    plan, size_wh = stack.plan, stack.size_wh
    plate = np.array(stack.pictures[plan.frame])
    seen = stack.grades[plan.frame] > 0
    parallax = max(float(np.sqrt(np.mean(np.square(warp.nodes)))) for warp in warps.values())
    most = _NEAREST if parallax > _PARALLAX_PX else len(warps)
    columns, rows = np.flatnonzero(plan.wanted.any(axis=0)), np.flatnonzero(plan.wanted.any(axis=1))
    if not len(columns):
        return plate, np.ones_like(seen)
    for y0 in range(int(rows[0]), int(rows[-1]) + 1, _STRIPE_ROWS):
        y1 = min(y0 + _STRIPE_ROWS, size_wh[1])
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        pictures, grades = [], []
        for frame in sorted(plan.candidates, key=lambda t: abs(t - plan.frame)):
            at = warps[frame].coordinates((x0, y0, x1, y1), size_wh)
            grade = cv2.remap(stack.grades[frame], at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
            if not grade.any():
                continue
            view = cv2.remap(np.asarray(stack.pictures[frame]), at, None, _RESAMPLE, borderMode=cv2.BORDER_REPLICATE)
            pictures.append(apply_light(np.asarray(view, np.uint8), lights[frame]))
            grades.append(grade)
        if not pictures:
            continue
        merged, count = masked_median(np.stack(pictures), np.stack(grades), most)
        use = plan.wanted[y0:y1, x0:x1] & (count > 0)
        plate[y0:y1, x0:x1][use] = merged[use]
        seen[y0:y1, x0:x1] |= use
    return fill_hole(plate, ~seen, settings.inpaint), seen


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    h, w = picture.shape[:2]
    mode = cv2.INTER_AREA if picture.ndim == 3 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, (max(w // 8, 1), max(h // 8, 1)), interpolation=mode), np.uint8)


def _small_view(picture: NDArray[np.uint8], warp: Warp) -> NDArray[np.uint8]:
    """Bring a picture through the warp's homography at an eighth of the size; 0 outside of it."""
    h, w = picture.shape[:2]
    small = _small(picture)
    scale = np.array([[w / small.shape[1], 0, 0], [0, h / small.shape[0], 0], [0, 0, 1.0]])
    scale[:2, 2] = (np.diag(scale)[:2] - 1) / 2
    transform = np.linalg.inv(scale) @ warp.from_to @ scale
    flags = (cv2.INTER_LINEAR if picture.ndim == 3 else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(small, transform, small.shape[1::-1], flags=flags), np.uint8)


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
    nodes = np.lib.format.open_memmap(folder / "plate_nodes.npy", "w+", np.float16, (num_frames, 2, *shape, 2))
    for t in range(num_frames):
        for side in range(2):
            if near[t, side] >= 0:
                anchor = anchors[near[t, side]]
                from_source[t, side] = np.linalg.inv(world_from_source[anchor]) @ world_from_source[t]
    references: OrderedDict[int, Reference] = OrderedDict()
    wanted = np.flatnonzero(needed & (near[:, 0] >= 0))
    sampled = set(wanted[:: max(1, len(wanted) // _GRAIN_FRAMES)].tolist())
    grain_patches: tuple[list[Picture], list[Picture], list[Mask]] = ([], [], [])
    for frame in clip.frames_at(wanted.tolist()):
        t = frame.index
        picture = rgb_of(frame)
        gray, avoid = work_gray(picture), clear_grade(everyone(t), height) == 0
        for side in range(2):
            row = int(near[t, side])
            if row < 0 or anchors[row] == t or (side and share[t] <= 0):
                continue
            if row not in references:
                plate, seen = _read_plate(folder, row)
                references[row] = Reference(plate, seen == 0)
                if len(references) > 3:
                    references.popitem(last=False)
            rows, found = references[row].match(gray, avoid, np.linalg.inv(from_source[t, side]))
            warp = fit_warp(found, references[row].features()[rows], size_wh, height, from_source[t, side])
            from_source[t, side] = warp.from_to
            nodes[t, side] = warp.nodes
        if t in sampled:
            warp = Warp(from_source[t, 0], np.asarray(nodes[t, 0], np.float32), 0)
            _sample_grain(grain_patches, folder, int(near[t, 0]), warp, picture, avoid, plans)
        step(1)
    nodes.flush()
    grain = estimate_grain(*grain_patches)
    facts = {"size_wh": size_wh, "sigma": grain.sigma, "common": grain.common, "radius_px": grain.radius_px}
    partial = folder / "plates.part.npz"
    np.savez(
        partial, facts=json.dumps(facts), anchors=anchors, plate_from_source=from_source[:, 0], near=near, share=share,
        from_source=from_source,
    )  # fmt: skip
    partial.rename(folder / "plates.npz")
    return load_plates(folder)


def _neighbours(num_frames: int, plans: Sequence[AnchorPlan]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Say which two plates a frame of the same shot lies between, and how much the farther one counts.

    The plates are mixed only in the middle half between two anchors: near an anchor its own plate is the sharpest,
    and a switch at once would show.
    """
    near = np.full((num_frames, 2), -1, np.int32)
    share = np.zeros(num_frames, np.float32)
    for t in range(num_frames):
        rows = [row for row, plan in enumerate(plans) if plan.shot_start <= t < plan.shot_stop]
        if not rows:
            continue
        rows.sort(key=lambda row: (abs(plans[row].frame - t), row))
        near[t, 0] = rows[0]
        a = plans[rows[0]].frame
        other = [row for row in rows[1:] if (plans[row].frame - t) * (a - t) < 0]
        if other:
            b = plans[other[0]].frame
            near[t, 1] = other[0]
            share[t] = np.clip(2 * abs(t - a) / abs(b - a) - 0.5, 0, 0.5)
    return near, share


def _sample_grain(
    patches: tuple[list[Picture], list[Picture], list[Mask]],
    folder: Path,
    row: int,
    warp: Warp,
    picture: Picture,
    avoid: Mask,
    plans: Sequence[AnchorPlan],
) -> None:
    """Keep a window of plate and source side by side, where the plate is a median of several frames."""
    h, w = avoid.shape
    plate, _ = _read_plate(folder, row)
    ys, xs = np.nonzero(plans[row].wanted)
    if not len(xs):
        return
    cx, cy = int(np.median(xs)), int(np.median(ys))
    box = (max(cx - 160, 0), max(cy - 120, 0), min(cx + 160, w), min(cy + 120, h))
    at = warp.coordinates(box, (w, h))
    area = np.s_[box[1] : box[3], box[0] : box[2]]
    static = cv2.remap(plans[row].wanted.astype(np.uint8), at, None, cv2.INTER_NEAREST).astype(bool)
    patches[0].append(np.asarray(cv2.remap(plate, at, None, cv2.INTER_LANCZOS4), np.uint8))
    patches[1].append(np.array(picture[area]))
    patches[2].append(np.asarray(static & ~avoid[area]))
