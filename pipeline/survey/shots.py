"""Hard cuts, fades and cross-fades, and how much of each frame stays unexplained."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detector import FlashFilter
from scenedetect.detectors import ContentDetector

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.datatypes.clip import VideoInfo
from pipeline.maths.optical_flow import LEAST_SIDE_PX
from pipeline.maths.reduce import reduced
from pipeline.survey.dissolves import DissolveDetector
from pipeline.survey.moving_dissolves import DetailEnergy
from pipeline.survey.sudden_light import correlation, without_light

_SMALL_SHORT_SIDE = 120
"""Scene detection needs no more; PySceneDetect itself reduces pictures to about 256 px across."""


_CUT_THRESHOLD = 27.0
"""PySceneDetect's default for ContentDetector (mean change of hue, saturation and value, 0..255)."""


_EXPLAINED = 0.45
"""A candidate is rejected where motion and light explain the change to this fraction."""


_BURNT_OUT, _LEAST_CLEAR = 250, 0.15
"""Saturated pixels of a flash carry no information; the others alone are compared where they are at least this
fraction."""


_BLOCK_PX = 9
_BLOCKS_QUANTILE = 0.98
"""A person covers a few blocks of the small picture."""


_SHORTEST_SHOT_SECONDS = 0.25
"""Two cuts closer together than this are a flash."""


_BLANK_LEVELS = 6.0
"""Standard deviation of a picture's gray levels: a frame of one color, between a fade out and a fade in."""


_BLANK_SECONDS = 0.1
"""A shorter one is a flash, unless another place is shown after it."""


_FADING_STEP, _FADING_STEPS = 0.85, 2
"""An editor's dip to one color takes its contrast away in steps of at least this factor; a flash is there at once."""


_DIP_REACH = 0.04
"""Of the picture's width: motion over the few frames of a dip within one shot. Flow may map even a closer framing of
the same place onto the one before the dip."""


_MOST = 0.8


_PLACE_LIKENESS = 0.65
"""Correlation of two pictures without their light: 0.74 and more of one place, up to 0.18 of two, 0.56 where three
quarters of the picture are exchanged."""


_LIGHT_REACH = 0.1
"""Of the picture's width: motion over the frames in which a light comes or goes."""


_ZOOMS = (1.15, 1.3)
"""Of a digital zoom within one frame, in and out; optical flow finds a tenth and less by itself."""


class CutDetector:
    """Detects, frame by frame and without look-ahead, where a hard cut or a fade-in starts a new shot."""

    def __init__(self, info: VideoInfo, method: Literal["content", "off"]) -> None:
        self._on = method == "content"
        self._rate = info.frame_rate if info.frame_rate > 0 else 25
        self._small_wh = small_size(info.size_wh)
        self._before: Picture | None = None
        self._blank_frames = 0
        self._shown: Picture | None = None
        """The last picture that is not blank."""
        self._contrasts: deque[float] = deque(maxlen=_FADING_STEPS + 1)
        """Of the last frames that are not blank, since the last blank one."""
        self._is_dip = False
        """Whether the blank frames ended a gradual fade."""
        self._last_fade = -math.inf
        self._unexplained: list[float] = []
        self._dissolves = DissolveDetector(self._rate, is_same_place)
        self._energy = DetailEnergy()
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # The filter counts frames: a shot with fewer frames than this is not started.
        self._detector = ContentDetector(
            threshold=_CUT_THRESHOLD,
            min_scene_len=max(1, round(_SHORTEST_SHOT_SECONDS * float(self._rate))),
            filter_mode=FlashFilter.Mode.SUPPRESS,
        )

    def push(self, picture: Picture, index: int) -> bool:
        """Take the next frame, upright RGB; return True when it starts a new shot. The first frame never does.

        PySceneDetect's ContentDetector proposes; a candidate is dropped where optical flow and a change of light
        map the previous frame onto this one (fast pans, flashes of light, a person passing close to the camera). After
        a fade to one color the first frame with content starts a shot.
        """
        if not self._on:
            self._unexplained.append(0.0)
            return False
        small = reduced(picture, self._small_wh)
        self._dissolves.push(small)
        self._energy.push(small)
        before, self._before = self._before, small
        self._unexplained.append(0.0 if before is None else self._change(before, small))
        time = FrameTimecode(index, fps=float(self._rate))
        proposed = bool(self._detector.process_frame(time, cv2.cvtColor(small, cv2.COLOR_RGB2BGR)))
        has_shown = self._shown is not None
        if self._fades_in(small, index):
            return True
        if not has_shown or self._blank_frames or index - self._last_fade < _SHORTEST_SHOT_SECONDS * float(self._rate):
            return False
        return proposed and before is not None and not _same_scene(before, small)

    def _fades_in(self, small: Picture, index: int) -> bool:
        """Return whether this is the first frame with content after a while without."""
        contrast = float(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).std())
        if contrast < _BLANK_LEVELS:
            if self._blank_frames == 0:
                self._is_dip = _is_fading(self._contrasts)
            self._contrasts.clear()
            self._blank_frames += 1
            return False
        self._contrasts.append(contrast)
        shown = self._shown
        is_first = False
        if shown is not None and self._blank_frames:
            is_long = self._blank_frames >= max(2.0, _BLANK_SECONDS * float(self._rate))
            is_first = is_long or not _is_explained(shown, small, _DIP_REACH if self._is_dip else 1.0)
        self._blank_frames = 0
        self._shown = small
        if is_first:
            self._last_fade = index
        return is_first

    def finish(self) -> NDArray[np.float32]:
        """Return (T,): gray levels by which the worst parts of each frame differ from the previous one, warped by
        optical flow and matched in exposure. A person who is suddenly elsewhere shows up, a moving one does not."""
        return np.array(self._unexplained, np.float32)

    def blend_weights(self) -> NDArray[np.float32] | None:
        """Return (T,): in cross-fades the weight of the later picture, else NaN; None where there are none."""
        weights = self._dissolves.finish()
        return weights if np.isfinite(weights).any() else None

    @property
    def energy(self) -> Sequence[float]:
        """Of the details of each frame, as in ``DetailEnergy``; nothing where cuts are not looked for."""
        return self._energy.values

    def _change(self, before: Picture, now: Picture) -> float:
        a, b = (_equalized(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)) for picture in (before, now))
        blocks = cv2.blur(np.abs(_moved(a, self._flow.calc(b, a, None)) - b), (_BLOCK_PX, _BLOCK_PX))
        return float(np.quantile(blocks[:: _BLOCK_PX - 1, :: _BLOCK_PX - 1], _BLOCKS_QUANTILE))


def small_size(size_wh: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the small pictures in which places are compared."""
    width, height = size_wh
    ratio = min(1.0, _SMALL_SHORT_SIDE / min(width, height))
    return max(LEAST_SIDE_PX, round(width * ratio)), max(LEAST_SIDE_PX, round(height * ratio))


def _is_fading(contrasts: Sequence[float]) -> bool:
    """Return whether the contrast fell in each of the last steps before a blank frame."""
    falls = [now < _FADING_STEP * before for before, now in pairwise(contrasts)]
    return len(falls) == _FADING_STEPS and all(falls)


def _same_scene(before: Picture, now: Picture) -> bool:
    """Return whether flow and gain map one small picture onto the next, where neither is saturated; one of them may be
    a zoomed part of the other."""
    if is_same_place(before, now, _DIP_REACH):
        return True
    return any(
        _is_explained(*pair) for zoom in _ZOOMS for pair in ((_middle(before, zoom), now), (before, _middle(now, zoom)))
    )


def is_same_place(before: Picture, now: Picture, reach: float = _LIGHT_REACH) -> bool:
    """Return whether flow maps one small picture onto the next, also in a light that is not the same everywhere, like
    that of a light leak: then by motion of at most ``reach`` picture widths."""
    if _is_explained(before, now):
        return True
    a, b = (without_light(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)) for picture in (before, now))
    flow = _flow(a, b)
    if _motion(flow) > reach * now.shape[1]:
        return False
    return correlation(_moved(a, flow), b) >= _PLACE_LIKENESS


def _middle(picture: Picture, zoom: float) -> Picture:
    """Return the picture's middle, enlarged to its size."""
    h, w = picture.shape[:2]
    center = np.array([(w - 1) / 2, (h - 1) / 2])
    matrix = np.column_stack([zoom * np.eye(2), (1 - zoom) * center])
    return np.asarray(cv2.warpAffine(picture, matrix, (w, h), flags=cv2.INTER_LINEAR), np.uint8)


def _is_explained(before: Picture, now: Picture, reach: float = 1.0) -> bool:
    """Return the same without a zoom, by motion of at most ``reach`` picture widths in most of the picture."""
    clear = np.maximum(before.max(axis=2), now.max(axis=2)) < _BURNT_OUT
    if clear.mean() < _LEAST_CLEAR:
        clear[:] = True
    a, b = (_equalized(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), clear) for picture in (before, now))
    flow = _flow(a, b)
    if _motion(flow) > reach * now.shape[1]:
        return False
    left = np.abs(_moved(a, flow) - b)[clear].mean()
    # Compared with an unrelated picture: the frame itself rotated, with the same values at other places.
    unrelated = np.abs(b[::-1, ::-1].astype(np.float32) - b)[clear].mean()
    return bool(left < _EXPLAINED * unrelated and left < 20.0)


def _flow(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> Float32Array:
    """Return (h, w, 2): where in ``before`` each pixel of ``now`` was, relative to it, in pixels."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(now, before, None)
    return np.asarray(flow, np.float32)


def _motion(flow: Float32Array) -> float:
    """Return the pixels by which most of the picture moves at most."""
    return float(np.quantile(np.hypot(flow[..., 0], flow[..., 1]), _MOST))


def _moved(gray: NDArray[np.uint8], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Warp a gray picture onto the next one by the flow from there, float32."""
    h, w = gray.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    moved = cv2.remap(gray, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _equalized(gray: NDArray[np.uint8], clear: Mask | None = None) -> NDArray[np.uint8]:
    """Normalize a gray picture's mean and contrast over its ``clear`` pixels, so that light does not count."""
    values = gray.astype(np.float32)
    told = values if clear is None else values[clear]
    return np.asarray(np.clip((values - told.mean()) / (told.std() + 1e-3) * 48 + 128, 0, 255), np.uint8)
