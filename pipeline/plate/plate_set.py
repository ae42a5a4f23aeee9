"""The plates of a clip as stored on disk, and each frame's view of them."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.maths.boxes import Box
from pipeline.maths.grain import Grain
from pipeline.maths.masks import resized_mask
from pipeline.maths.reduce import reduced
from pipeline.plate.graphics_behind import GraphicsBehind, load_graphics_behind
from pipeline.plate.warp import Warp
from pipeline.runtime.compiled import njit
from pipeline.shaped import Shaped, Shapes

NODES = "plate_nodes.bin"
_CACHED_PLATES = 3
"""As many bytes as these have are kept: those of a frame, and one more for frames in progress on the other side of an
anchor, or made smaller."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlateSet(Shaped):
    """The plates of a clip and each frame's registration to them."""

    SHAPES: ClassVar[Shapes] = {
        "anchors": ("K",), "plate_from_source": ("T", 3, 3), "plate_rows": ("T", 2), "second_weight": ("T",),
        "from_source": ("T", 2, 3, 3), "bright_levels": ("K",),
    }  # fmt: skip

    folder: Path
    size_wh: tuple[int, int]
    anchors: NDArray[np.int64]
    """(K,) frame numbers, ascending; may be empty."""
    plate_from_source: Transforms
    """(T, 3, 3) best single homography from frame t to its nearest anchor's plate."""
    plate_rows: NDArray[np.int32]
    """(T, 2) rows of ``anchors``: the nearer and the farther one, -1 for none."""
    second_weight: NDArray[np.float32]
    """(T,) weight of the farther one, 0..0.5; larger where it fits the frame better."""
    from_source: Transforms
    """(T, 2, 3, 3) homographies to the plates of ``plate_rows``."""
    node_shape: tuple[int, int]
    """Rows and columns of each frame's parallax nodes (float16, in ``plate_nodes.bin``: two maps per frame)."""
    bright_levels: NDArray[np.float64]
    """(K,) gray level of each plate's brightest tenth."""
    grain: Grain
    graphics: GraphicsBehind = GraphicsBehind()  # noqa: RUF009 - frozen
    """What an editor laid between the background and the people."""
    _cache: OrderedDict[tuple[int, float], tuple[Picture, NDArray[np.uint8]]] = field(
        default_factory=OrderedDict, repr=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """Frames are rendered in several threads."""

    def render(
        self, frame: int, box_xyxy: Box, size_wh: tuple[int, int] | None = None, *, is_blended: bool = True
    ) -> tuple[Picture, Mask]:
        """Return the plate as seen by source frame ``frame`` inside the box (may extend beyond the picture), with the
        graphics behind people.

        Each plate is resampled once, bicubically; between two anchors they are blended. Without ``is_blended`` it is
        the plate with more weight, which shows nothing twice. The mask is False where no frame of the clip ever showed
        the background (those pixels are inpainted or replicated). ``size_wh``, no larger than the box, reduces both:
        from reduced plates, since the time depends on the number of pixels.
        """
        picture, known = self._view(frame, box_xyxy, size_wh, is_blended)
        self.graphics.lay_over(picture, known, frame, box_xyxy)
        return picture, known

    def _view(
        self, frame: int, box_xyxy: Box, size_wh: tuple[int, int] | None, is_blended: bool
    ) -> tuple[Picture, Mask]:
        w, h = size_wh or (box_xyxy[2] - box_xyxy[0], box_xyxy[3] - box_xyxy[1])
        step = _step((box_xyxy[3] - box_xyxy[1]) / h)
        if size_wh is not None and step == 1:
            whole, is_known = self._view(frame, box_xyxy, None, is_blended)
            return reduced(whole, size_wh), resized_mask(is_known, size_wh)
        views = []
        single = int(self.second_weight[frame] > 0.5)
        for side, weight in ((0, 1 - self.second_weight[frame]), (1, self.second_weight[frame])):
            row = int(self.plate_rows[frame, side])
            if row < 0 or (weight <= 0 and side) or (side != single and not is_blended):
                continue
            plate, seen = self.plate(row, step)
            at = self.positions(frame, side, box_xyxy, (w, h))
            if step > 1:
                scale = np.array(plate.shape[1::-1], np.float32) / np.array(self.size_wh, np.float32)
                at = np.asarray((at + np.float32(0.5)) * scale - np.float32(0.5), np.float32)
            picture = cv2.remap(plate, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            # What is known would grow by a pixel of the reduced plate.
            between = cv2.INTER_LINEAR if step == 1 else cv2.INTER_NEAREST
            views.append((picture, _seen_at(seen, at, between), np.float32(max(float(weight), 1e-3))))
        if not views:
            return np.full((h, w, 3), 128, np.uint8), np.zeros((h, w), np.bool_)
        everywhere = np.ones((h, w), np.bool_)
        if len(views) == 1:
            picture, known, _ = views[0]
            return np.asarray(picture, np.uint8), everywhere if known is None else known > 0
        (first, first_known, first_weight), (second, second_known, second_weight) = views
        if first_known is None and second_known is None:
            return _mixed_evenly(first, first_weight, second, second_weight), everywhere
        first_known, second_known = (
            np.full((h, w), 255, np.uint8) if known is None else known for known in (first_known, second_known)
        )
        return _mixed(first, first_known, first_weight, second, second_known, second_weight)

    def positions(
        self, frame: int, side: int, box_xyxy: tuple[int, int, int, int], size_wh: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return (h, w, 2): plate px of the box reduced to ``size_wh``, in the plate ``plate_rows[frame, side]``."""
        x0, y0, x1, y1 = box_xyxy
        columns = x0 + (np.arange(size_wh[0], dtype=np.float64) + 0.5) * ((x1 - x0) / size_wh[0]) - 0.5
        rows = y0 + (np.arange(size_wh[1], dtype=np.float64) + 0.5) * ((y1 - y0) / size_wh[1]) - 0.5
        warp = Warp(self.from_source[frame, side], self.nodes(frame, side), 0)
        return warp.coordinates_at(columns, rows, self.size_wh)

    def nodes(self, frame: int, side: int) -> NDArray[np.float32]:
        """Return (rows, columns, 2): a frame's parallax at the nodes, px of the plate ``plate_rows[frame, side]``."""
        count = self.node_shape[0] * self.node_shape[1] * 2
        stored = np.fromfile(self.folder / NODES, np.float16, count, offset=2 * count * (2 * frame + side))
        return stored.astype(np.float32).reshape(*self.node_shape, 2)

    def plate(self, row: int, step: float = 1.0) -> tuple[Picture, NDArray[np.uint8]]:
        """Return one plate, (H, W, 3) RGB, and where it is known, (H, W) 0 or 255, reduced by ``step``; the last few
        are kept."""
        with self._lock:
            return self._kept(row, step)

    def _kept(self, row: int, step: float) -> tuple[Picture, NDArray[np.uint8]]:
        if (row, step) not in self._cache:
            self._cache[row, step] = read_plate(self.folder, row) if step == 1 else self._reduced(row, step)
            most = _CACHED_PLATES * 4 * self.size_wh[0] * self.size_wh[1]
            while sum(picture.nbytes + seen.nbytes for picture, seen in self._cache.values()) > most:
                self._cache.popitem(last=False)
        self._cache.move_to_end((row, step))
        return self._cache[row, step]

    def _reduced(self, row: int, step: float) -> tuple[Picture, NDArray[np.uint8]]:
        # The whole plate is kept as well: as people approach it is soon needed at the next size.
        picture, seen = self._kept(row, 1.0)
        size_wh = max(1, round(self.size_wh[0] / step)), max(1, round(self.size_wh[1] / step))
        return reduced(picture, size_wh), np.asarray(
            cv2.resize(seen, size_wh, interpolation=cv2.INTER_NEAREST), np.uint8
        )


def _seen_at(seen: NDArray[np.uint8], at: NDArray[np.float32], interpolation: int) -> NDArray[np.uint8] | None:
    """Return (h, w) 0..255 where a plate is known at positions (h, w, 2), by its ``seen`` (H, W) 0 or 255; None where
    all of it is known."""
    least, most = _column_ranges(at)
    (left, top), (right, bottom) = least.min(axis=0), most.max(axis=0)
    if left >= 0 and top >= 0 and right <= seen.shape[1] - 1 and bottom <= seen.shape[0] - 1:
        area = seen[int(top) : int(np.ceil(bottom)) + 1, int(left) : int(np.ceil(right)) + 1]
        # Mostly all of it is known, and to look at it takes a fraction of the time.
        if cv2.countNonZero(area) == area.size:
            return None
    return np.asarray(cv2.remap(seen, at, None, interpolation, borderMode=cv2.BORDER_CONSTANT), np.uint8)


@njit(cache=True, nogil=True)
def _column_ranges(at: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the least and the largest of each column of positions (h, w, 2), (w, 2) each; ``h`` > 0."""
    width = 2 * at.shape[1]
    least = at[0].copy().reshape(width)
    most = least.copy()
    for r in range(1, at.shape[0]):
        row = at[r].reshape(width)
        for k in range(width):
            value = row[k]
            least[k] = value if value < least[k] else least[k]
            most[k] = value if value > most[k] else most[k]
    return least.reshape(at.shape[1], 2), most.reshape(at.shape[1], 2)


def _step(factor: float) -> float:
    """Return by how much plates are reduced before they are sampled at every ``factor``-th px: the nearest eighth of an
    octave, so that few sizes are made while a person approaches, and the view is as sharp as a reduced frame."""
    return float(2 ** (round(8 * np.log2(factor)) / 8))


@njit(cache=True, nogil=True)
def _mixed(
    first: Picture,
    first_known: NDArray[np.uint8],
    first_weight: np.float32,
    second: Picture,
    second_known: NDArray[np.uint8],
    second_weight: np.float32,
) -> tuple[Picture, Mask]:
    """Blend two plates, (h, w, 3), with the masks (h, w) of where each is known.

    Where one plate is unknown the other is used, however small its weight; where neither is known, both count a little.
    """
    height, width = first_known.shape
    picture = np.empty((height, width, 3), np.uint8)
    seen = np.empty((height, width), np.bool_)
    least = np.float32(1e-4)
    top = np.float32(255)
    half = np.float32(0.5)
    for r in range(height):
        for c in range(width):
            a = max(first_known[r, c] / top, least) * first_weight
            b = max(second_known[r, c] / top, least) * second_weight
            seen[r, c] = first_known[r, c] > 0 or second_known[r, c] > 0
            share = a / (a + b)
            for channel in range(3):
                one, other = np.float32(first[r, c, channel]), np.float32(second[r, c, channel])
                picture[r, c, channel] = np.uint8(other + (one - other) * share + half)
    return picture, seen


@njit(cache=True, nogil=True)
def _mixed_evenly(first: Picture, first_weight: np.float32, second: Picture, second_weight: np.float32) -> Picture:
    """Blend two plates, (h, w, 3), that are known everywhere."""
    picture = np.empty(first.shape, np.uint8)
    half = np.float32(0.5)
    share = first_weight / (first_weight + second_weight)
    for r in range(len(picture)):
        row = picture[r].reshape(-1)
        ones = first[r].reshape(-1)
        others = second[r].reshape(-1)
        for k in range(len(row)):
            one, other = np.float32(ones[k]), np.float32(others[k])
            row[k] = np.uint8(other + (one - other) * share + half)
    return picture


def bright_level(plate: Picture) -> float:
    """Return the gray level of the brightest tenth of a plate (H, W, 3)."""
    return float(np.percentile(plate[::4, ::4], 90))


def read_plate(folder: Path, row: int) -> tuple[Picture, NDArray[np.uint8]]:
    """Read one plate, (H, W, 3) RGB, and where it is known, (H, W) 0 or 255."""
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
            plate_rows=saved["plate_rows"],
            second_weight=saved["second_weight"],
            from_source=saved["from_source"],
            node_shape=(facts["node_shape"][0], facts["node_shape"][1]),
            bright_levels=saved["bright_levels"],
            grain=Grain(tuple(facts["sigma"]), facts["common"], facts["radius_px"], facts["on_people"]),
            graphics=load_graphics_behind(folder),
        )
