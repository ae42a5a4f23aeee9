"""A clip as it looks beneath the translucent panels that an editor laid over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.datatypes.arrays import Plane
from pipeline.datatypes.clip import Frame, FrameSource, VideoInfo
from pipeline.datatypes.panels import Panel, Panels
from pipeline.maths.translucent import beneath_panel, panel_weight
from pipeline.media.pixels import coded_from_upright, planes_from_rgb


@dataclass(frozen=True, slots=True, eq=False)
class ClipWithoutPanels:
    """Reads a clip's frames without its panels."""

    clip: FrameSource
    panels: Panels

    @property
    def info(self) -> VideoInfo:
        """Of the clip."""
        return self.clip.info

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the frames ``start`` to ``stop`` (exclusive), in order."""
        for frame in self.clip.frames(start, stop):
            yield frame_without_panels(frame, self.panels.shown(frame.index))

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames of some rising indices."""
        for frame in self.clip.frames_at(indices):
            yield frame_without_panels(frame, self.panels.shown(frame.index))


def frame_without_panels(frame: Frame, panels: Sequence[Panel]) -> Frame:
    """Return a frame as it was beneath its panels, whose mixture is undone in the frame's own planes."""
    for panel in reversed(panels):
        frame = _without(frame, panel)
    return frame


def _without(frame: Frame, panel: Panel) -> Frame:
    info = frame.info
    width, height = info.size_wh
    weight = coded_from_upright(panel_weight(panel, (0, 0, width, height)), info)
    one_color = np.full((2, 2, 3), panel.color, np.float32)
    planes: list[Plane] = list(frame.planes)
    for number, samples in enumerate(planes_from_rgb(one_color, info)):
        plane = planes[number]
        of_plane = cv2.resize(weight, (plane.shape[1], plane.shape[0]), interpolation=cv2.INTER_AREA)
        beneath = beneath_panel(plane.astype(np.float32), np.asarray(of_plane, np.float32), float(samples[0, 0]))
        planes[number] = np.clip(np.rint(beneath), 0, 2**info.bit_depth - 1).astype(plane.dtype)
    return replace(frame, planes=tuple(planes))
