"""Truth folders with things and people in front of and behind the subject: `python -m benchmarks.constructed_front
FOLDER OUT [NAME ...]`.

FOLDER holds the rendered clips walk_a and walk_d. The subject keeps place, shadow and path; railings, posts and
planters are drawn at their depth by the true camera, so that they move against the background as they would; other
people are cut from the same footage (the man with turned hues, or the one of ``pair_suit.mp4``) and stand on true
points of the ground. Each folder has what ``python -m benchmarks.truth`` reads.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.constructed_sets import SETS, Bar, Passer, Point, Set, Thing
from benchmarks.figures import Truth, load_masks, load_truth
from benchmarks.relight import relight_folder
from benchmarks.shake import read_rgb, shake_clip, write_video
from benchmarks.stage import SKIN_HUES
from pipeline.maths.boxes import clipped

_FINE = 4
"""Thin bars are drawn so many times finer than the picture, and averaged."""
_EDGE_PX = 0.7
_SENSOR_BLUR_PX = 0.5
Picture = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Studio:
    """The footage that clips are made of."""

    truth: Truth
    frames: dict[str, list[Picture]]
    """Of the clip itself (``man``) and of the ideal result (``suit``)."""
    masks: dict[str, Masks]
    """Their whole silhouettes."""
    plates: list[Picture]
    nearest: Masks | None = None
    """(T, H, W) of people who pass in front of everything."""

    @classmethod
    def load(cls, folder: Path) -> Studio:
        """Read a truth folder with its ideal result."""
        truth = load_truth(folder)
        whole = truth.masks if truth.amodal is None else truth.amodal
        frames = {"man": list(read_rgb(folder / "rgb.mp4")), "suit": list(read_rgb(folder / "pair_suit.mp4"))}
        masks = {"man": whole, "suit": load_masks(folder / "pair_suit_mask.npz")}
        return cls(truth, frames, masks, list(read_rgb(folder / "plate.mp4")), _nearest(folder, truth))

    def projected(self, point: Point | Floats, t: int) -> tuple[Floats, float]:
        """Return px (2,) and depth in m of a point seen in a frame."""
        seen = self.truth.RT[t, :, :3] @ np.asarray(point) + self.truth.RT[t, :, 3]
        return (self.truth.K[t] @ seen)[:2] / seen[2], float(seen[2])


def _nearest(folder: Path, truth: Truth) -> Masks | None:
    """Return the pixels of other people who are nearer than the subject, where a folder tells of any."""
    gt = np.load(folder / "gt.npz")
    if truth.others is None or "others_keypoints2d" not in gt:
        return None
    near = np.zeros_like(truth.others)
    room = 0.15 * truth.body_height_px
    own = truth.ankles[..., 1].mean(axis=1)
    for t, person in np.argwhere(gt["others_keypoints3d"][..., 1].mean(axis=-1) < own[:, None]):
        points = gt["others_keypoints2d"][t, person]
        (x0, y0), (x1, y1) = points.min(axis=0) - room[t], points.max(axis=0) + room[t]
        box = np.s_[t, max(int(y0), 0) : max(int(y1), 0), max(int(x0), 0) : max(int(x1), 0)]
        near[box] = truth.others[box]
    return near


def make_folder(footage: Path, studio: Studio, out: Path, clip: Set) -> None:
    """Write one truth folder."""
    with tempfile.TemporaryDirectory(prefix="constructed-") as temporary:
        folder = Path(temporary) / "plain"
        folder.mkdir()
        _compose(footage, studio, folder, clip)
        if clip.shake:
            shaken = Path(temporary) / "shaken"
            shake_clip(folder, shaken, seed=3, strength=clip.shake)
            folder = shaken
        if clip.light is not None:
            relit = Path(temporary) / "relit"
            relight_folder(folder, relit, clip.light)
            folder = relit
        shutil.copytree(folder, out)


def _compose(footage: Path, studio: Studio, folder: Path, clip: Set) -> None:
    count = len(studio.plates)
    layers: list[dict[str, Masks]] = []

    def pictures() -> Iterator[Picture]:
        for t in range(count):
            picture, masks = compose_frame(studio, clip, t)
            layers.append(masks)
            yield _calm(picture)

    write_video(folder / "rgb.mp4", pictures())
    write_video(folder / "plate.mp4", (_calm(_clean(studio, clip, t)) for t in range(count)))
    masks = {name: np.stack([of_frame[name] for of_frame in layers]) for name in layers[0]}
    for name, mask in masks.items():
        np.savez_compressed(folder / f"{name}.npz", mask=np.packbits(mask, axis=-1), shape=np.array(mask.shape))
    truth = dict(np.load(footage / "gt.npz"))
    truth["visible"] = truth["visible"] & ~_hidden(masks["front_mask"], truth["keypoints2d"])
    np.savez_compressed(folder / "gt.npz", **truth)


def _hidden(front: Masks, keypoints: NDArray[np.float32]) -> Masks:
    """Return (T, J) where something in front covers a joint."""
    height, width = front.shape[1:]
    columns = np.clip(np.rint(keypoints[..., 0]), 0, width - 1).astype(int)
    rows = np.clip(np.rint(keypoints[..., 1]), 0, height - 1).astype(int)
    return np.asarray(front[np.arange(len(front))[:, None], rows, columns], np.bool_)


def compose_frame(studio: Studio, clip: Set, t: int) -> tuple[Picture, dict[str, Masks]]:
    """Return one frame and its masks, by the name of their file."""
    picture = studio.frames["man"][t].astype(np.float32)
    amodal = studio.masks["man"][t]
    own_depth = studio.truth.ankles[t].mean(axis=0)[1]
    truth = studio.truth
    nothing = np.zeros(amodal.shape, np.bool_)
    others, carried, hides = (
        nothing.copy() if masks is None else masks[t].copy() for masks in (truth.others, truth.carried, truth.front)
    )
    passers = [passer for passer in clip.passers if passer.pose(t) is not None]
    for passer in sorted(passers, key=lambda each: -each.ground(t)[1]):
        if passer.ground(t)[1] > own_depth:
            others |= _paste(picture, *_cutout(studio, passer, t))
    if passers:
        _over(picture, studio.frames["man"][t], _soft(amodal))
        others &= ~amodal
    if clip.bag is not None:
        carried = _draw_bag(picture, studio, clip.bag, t)
        others &= ~carried
        hides |= carried
    front: list[tuple[float, Thing | Passer]] = [(_depth(thing), thing) for thing in clip.things]
    front += [(each.ground(t)[1], each) for each in passers if each.ground(t)[1] <= own_depth]
    for _, each in sorted(front, key=lambda entry: -entry[0]):
        if isinstance(each, Passer):
            covered = _paste(picture, *_cutout(studio, each, t))
            others |= covered
        else:
            covered = _draw_thing(picture, studio, each, t)
            if studio.nearest is not None:
                covered &= ~studio.nearest[t]
            others &= ~covered
        carried &= ~covered
        hides |= covered
    if studio.nearest is not None:
        _over(picture, studio.frames["man"][t], _soft(studio.nearest[t]))
    made = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    masks = {
        "mask": amodal & ~hides, "amodal_mask": amodal, "front_mask": amodal & hides, "others_mask": others
    }  # fmt: skip
    if clip.bag is not None or truth.carried is not None:
        masks["object_mask"] = carried
    return made, masks


def _clean(studio: Studio, clip: Set, t: int) -> Picture:
    picture = studio.plates[t].astype(np.float32)
    for thing in sorted(clip.things, key=lambda each: -_depth(each)):
        _draw_thing(picture, studio, thing, t)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _depth(thing: Thing) -> float:
    return (thing.start[1] + thing.end[1]) / 2


def _soft(mask: Masks) -> NDArray[np.float32]:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _EDGE_PX)


def _over(picture: NDArray[np.float32], above: NDArray[np.generic], alpha: NDArray[np.float32]) -> None:
    picture += alpha[..., None] * (above.astype(np.float32) - picture)


def _paste(picture: NDArray[np.float32], above: Picture, alpha: NDArray[np.float32]) -> Masks:
    _over(picture, above, alpha)
    return np.asarray(alpha >= 0.5)


def _cutout(studio: Studio, passer: Passer, t: int) -> tuple[Picture, NDArray[np.float32]]:
    pose = passer.pose(t)
    assert pose is not None
    picture = studio.frames[passer.who][pose]
    if passer.hue:
        turned = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        is_cloth = (turned[..., 0] > SKIN_HUES[0]) & (turned[..., 0] < SKIN_HUES[1])
        turned[is_cloth, 0] = (turned[is_cloth, 0].astype(np.int16) + passer.hue) % 180
        turned[is_cloth, 1] = np.minimum(turned[is_cloth, 1].astype(np.int16) + 40, 255)
        picture = np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB), np.uint8)
    feet = studio.truth.ankles[pose].mean(axis=0)
    (here_px, here_depth) = studio.projected(feet, pose)
    (there_px, there_depth) = studio.projected((*passer.ground(t), float(feet[2])), t)
    scale = passer.size * here_depth / there_depth
    turn = np.diag([-scale if passer.mirrored else scale, scale])
    matrix = np.column_stack([turn, there_px - turn @ here_px])
    size_wh = picture.shape[1], picture.shape[0]
    alpha = _soft(studio.masks[passer.who][pose])
    warped = cv2.warpAffine(picture, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8), cv2.warpAffine(alpha, matrix, size_wh, flags=cv2.INTER_LINEAR)


def _draw_thing(picture: NDArray[np.float32], studio: Studio, thing: Thing, t: int) -> Masks:
    """Draw a thing in place; return the pixels that it covers."""
    if isinstance(thing, Bar):
        start, end = (studio.projected(point, t) for point in (thing.start, thing.end))
        focal = float(studio.truth.K[t][0, 0])
        along = end[0] - start[0]
        normal = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9)
        halves = [0.5 * thing.width_m * focal / depth * normal for _, depth in (start, end)]
        corners = np.array([start[0] + halves[0], end[0] + halves[1], end[0] - halves[1], start[0] - halves[0]])
        # Round and lit from one side.
        across = np.linspace(-1, 1, 32)
        light = 0.70 + 0.35 * np.sqrt(1 - across**2) - 0.2 * across
        pattern = light[:, None, None] * np.array(thing.rgb, np.float64)
        pattern = np.repeat(pattern, 32, axis=1)
    else:
        ground = ((*thing.start, thing.high_m), (*thing.end, thing.high_m))
        lower = ((*thing.end, thing.low_m), (*thing.start, thing.low_m))
        corners = np.array([studio.projected(point, t)[0] for point in (*ground, *lower)])
        noise = np.random.default_rng(5).standard_normal((64, 160, 1))
        noise = cv2.GaussianBlur(noise, (0, 0), 1.0)[..., None] * 3.0
        pattern = np.array(thing.rgb, np.float64) + thing.leaves * noise
    rows, columns = pattern.shape[:2]
    covered = np.zeros(picture.shape[:2], np.bool_)
    left, top = (int(value) - 1 for value in np.floor(corners.min(axis=0)))
    right, bottom = (int(value) + 2 for value in np.ceil(corners.max(axis=0)))
    x0, y0, x1, y1 = clipped((left, top, right, bottom), (picture.shape[1], picture.shape[0]))
    if x1 <= x0 or y1 <= y0:
        return covered
    square = np.array([[0, 0], [columns - 1, 0], [columns - 1, rows - 1], [0, rows - 1]], np.float32)
    fine = (corners - (x0, y0) + 0.5) * _FINE - 0.5
    matrix = cv2.getPerspectiveTransform(square, fine.astype(np.float32))
    size_wh = x1 - x0, y1 - y0
    fine_wh = size_wh[0] * _FINE, size_wh[1] * _FINE
    bright = np.clip(pattern, 0, 255).astype(np.uint8)
    drawn = cv2.warpPerspective(bright, matrix, fine_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = np.zeros(fine_wh[::-1], np.uint8)
    cv2.fillConvexPoly(inside, np.rint(fine).astype(np.int32), 255)
    alpha = cv2.resize(inside, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    above = np.asarray(cv2.resize(drawn, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    covered[y0:y1, x0:x1] = _paste(picture[y0:y1, x0:x1], above, alpha)
    return covered


def _draw_bag(picture: NDArray[np.float32], studio: Studio, rgb: tuple[int, int, int], t: int) -> Masks:
    """Draw a bag that hangs from the left wrist; return the pixels that it covers."""
    wrist = studio.truth.keypoints[t, 9]
    scale = float(studio.truth.body_height_px[t])
    # It swings against the arm.
    swing = 0.35 * np.sin(2 * np.pi * t / 32)
    down, right = np.array([np.sin(swing), np.cos(swing)]), np.array([np.cos(swing), -np.sin(swing)])
    fist = wrist + np.array([0.0, 0.035 * scale])
    size_wh = picture.shape[1] * _FINE, picture.shape[0] * _FINE

    def at(x: float, y: float) -> Floats:
        return ((fist + scale * (x * right + y * down)) + 0.5) * _FINE - 0.5

    inside = np.zeros(size_wh[::-1], np.uint8)
    handle = np.rint([at(-0.05, 0.09), at(0, 0), at(0.05, 0.09)]).astype(np.int32)
    cv2.polylines(inside, [handle], False, 255, thickness=max(2, round(0.012 * scale * _FINE)))
    body = np.rint([at(-0.085, 0.09), at(0.085, 0.09), at(0.075, 0.25), at(-0.075, 0.25)]).astype(np.int32)
    cv2.fillConvexPoly(inside, body, 255)
    alpha = cv2.resize(inside, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_AREA) / np.float32(255)
    rows, columns = np.indices(alpha.shape)
    light = 1 + 0.12 * np.sin((rows - fist[1]) / (0.03 * scale)) + 0.1 * np.sin((columns - fist[0]) / (0.05 * scale))
    colors = np.clip(light[..., None] * np.array(rgb), 0, 255)
    return _paste(picture, colors.astype(np.uint8), alpha.astype(np.float32))


def _calm(picture: Picture) -> Picture:
    """Blur as a lens and a sensor do."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), _SENSOR_BLUR_PX), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder of walk_a and walk_d, each with its ideal result")
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", choices=[*SETS, []])
    arguments = parser.parse_args()
    for name in arguments.names or [*SETS]:
        footage = arguments.folder / SETS[name].footage
        make_folder(footage, Studio.load(footage), arguments.out / name, SETS[name])


if __name__ == "__main__":
    main()
