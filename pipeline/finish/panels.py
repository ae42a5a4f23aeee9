"""Translucent panels stay on top of the new person: the frame is edited as it is beneath them, and they are laid over
what replaces it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.panels import Panel
from pipeline.finish.inputs import FinishInputs
from pipeline.finish.reshake import PlacedLayer
from pipeline.maths.boxes import Box
from pipeline.maths.translucent import panel_weight, with_panels, without_panels


def panels_of(inputs: FinishInputs, frame: int) -> Sequence[Panel]:
    """Return the panels of a frame."""
    overlays = inputs.plan.overlays
    return [] if overlays is None or overlays.panels is None else overlays.panels.shown(frame)


def beneath_panels(picture: Picture, panels: Sequence[Panel]) -> Picture:
    """Return a frame (H, W, 3) as it is beneath its panels; itself where it has none."""
    if not panels:
        return picture
    whole = (0, 0, picture.shape[1], picture.shape[0])
    beneath = without_panels(np.asarray(picture, np.float32), panels, whole)
    return np.clip(np.rint(beneath), 0, 255).astype(np.uint8)


def layer_under_panels(layer: PlacedLayer | None, panels: Sequence[Panel]) -> PlacedLayer | None:
    """Return a layer in the colors that it has under panels."""
    if layer is None or not panels:
        return layer
    premultiplied = layer.premultiplied.copy()
    for panel in panels:
        weight = panel_weight(panel, layer.box_xyxy)[..., None]
        # As far as there is a layer: over the rest it lies over what is behind.
        premultiplied += weight * (layer.alpha[..., None] * np.asarray(panel.color, np.float32) - premultiplied)
    return PlacedLayer(layer.box_xyxy, premultiplied, layer.alpha)


def background_under_panels(background: Picture, box_xyxy: Box, panels: Sequence[Panel]) -> Picture:
    """Return the background (h, w, 3) of a box in the colors that it has under panels."""
    if not panels:
        return background
    return np.clip(np.rint(with_panels(background.astype(np.float32), panels, box_xyxy)), 0, 255).astype(np.uint8)
