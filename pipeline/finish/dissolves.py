"""The cross-fades of a clip while its frames are finished one after the other."""

from __future__ import annotations

from dataclasses import replace

from pipeline.datatypes.arrays import Mask
from pipeline.finish.compose_frame import make_frame
from pipeline.finish.composite import EditedFrame
from pipeline.finish.dissolved import Dissolve, dissolve_runs, make_dissolve
from pipeline.finish.inputs import FinishInputs, read_frame_inputs
from pipeline.finish.motion import Motion
from pipeline.finish.panels import background_under_panels, layer_under_panels, panels_of
from pipeline.workspace.layers import ChunkedLayers

_IN_PROGRESS = 32
"""More frames than are in progress at a time."""


class Dissolves:
    """The cross-fades between two shots with one subject, each analyzed when its first frame is reached.

    ``advance`` is for one thread, which reads layers and motion; ``mixed`` for any number, once it was called.
    """

    def __init__(self, inputs: FinishInputs, layers: ChunkedLayers, motion: Motion) -> None:
        self._inputs = inputs
        self._layers = layers
        self._motion = motion
        runs = [] if inputs.further else dissolve_runs(inputs.plan)
        self._runs = {first: (first, stop, cut) for first, stop, cut in runs}
        self._of_frame: dict[int, Dissolve] = {}

    def advance(self, frame: int) -> None:
        """Analyze the cross-fade that begins with a frame. It waits for the layers of the frame after its last one."""
        run = self._runs.get(frame)
        if run is None:
            return
        self._motion.advance(run[1])
        if (dissolve := make_dissolve(self._inputs.clip, self._inputs.plan, run, self._made)) is not None:
            kept = {number: each for number, each in self._of_frame.items() if number > frame - _IN_PROGRESS}
            self._of_frame = {**kept, **dict.fromkeys(range(run[0], run[1]), dissolve)}

    def mixed(self, edited: EditedFrame, overlay_mask: Mask | None) -> EditedFrame:
        """Return an edited frame with both people replaced if it lies in a cross-fade. ``overlay_mask`` (H, W) are
        graphics, which stay as they are; None where there are none."""
        dissolve = self._of_frame.get(edited.source.index)
        if dissolve is None or edited.around is not None:
            return edited
        return dissolve.mixed(self._under_panels(edited), overlay_mask)

    def _made(self, number: int) -> EditedFrame:
        """Return a frame as it is composed outside cross-fades."""
        (frame,) = self._inputs.clip.frames_at([number])
        of_frame = read_frame_inputs(self._inputs, self._layers, frame)
        motion = self._motion
        made = make_frame(self._inputs, of_frame, motion.joints_unlocked[number], motion.foot_offsets_px[number], None)
        return self._under_panels(made)

    def _under_panels(self, edited: EditedFrame) -> EditedFrame:
        """Return an edited frame whose background and layer are as its panels let them appear, like its source."""
        panels = panels_of(self._inputs, edited.source.index)
        if not panels or edited.weights is None or edited.background is None:
            return edited
        background = background_under_panels(edited.background, edited.weights.box_xyxy, panels)
        return replace(edited, background=background, layer=layer_under_panels(edited.layer, panels))
