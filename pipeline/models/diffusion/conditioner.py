"""The common part of the two diffusion generators: conditioning, control images, masks, and batch size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.window import Layer, Window
from pipeline.maths.boxes import box_of_mask
from pipeline.maths.masks import grow_round
from pipeline.models.device import device_errors
from pipeline.models.diffusion.denoise import Conditioning, ControlNetInput
from pipeline.models.diffusion.inpaint_mask import loose_masks
from pipeline.models.diffusion.latents import SPATIAL, picture_tensor
from pipeline.models.diffusion.loading import Components
from pipeline.models.diffusion.reference_crop import framed_face, framed_reference
from pipeline.models.interfaces import Needs
from pipeline.settings import DiffusionSettings

_MOST_FRAMES = 16
"""Larger batches do not improve GPU utilization."""
_BYTES_A_PIXEL = {"full": 2000, "tiny": 600}
"""Activation bytes per picture px and frame in half precision: the decoder's or the UNet's, whichever is more, counted
by ``benchmarks.gpu_memory`` (1540 and 400) and rounded up."""
_SILHOUETTE_ROOM_BH = 0.03
"""Margin around the figure's silhouette in the inpainting mask, body heights: hair and clothes that it lacks."""
_FACE_ALONE = 0.8
"""Weight of the reference's face where only a face is generated."""
_KEPT_BYTES = {"full": 9.1e9, "tiny": 6.8e9}
"""Weights that a worker keeps loaded, counted by ``benchmarks.gpu_memory`` (8.6 and 6.3 GB at most), and CUDA's
context."""
_SHARE_OF_MEMORY = 0.7
_TILED_PX = 1_000_000
"""Size from which the full autoencoder works in tiles."""


class Conditioner:
    """Converts a window to inputs of the denoising loop. One per generator; holds the job's ``Conditioning``."""

    def __init__(self, parts: Components, settings: DiffusionSettings) -> None:
        self.parts = parts
        self.settings = settings
        width, height = settings.crop_size_wh
        self.latent_hw = (height // SPATIAL, width // SPATIAL)
        self._divisor = 1
        self._conditioning: Conditioning | None = None
        self._scales: list[float] = []
        if settings.decoder == "full" and width * height > _TILED_PX:
            parts.vae.enable_tiling()

    def needs(self) -> Needs:
        """Return what both need: a crop of fixed size, source, plate and mask, and the control images."""
        return Needs(
            crop_size_wh=self.settings.crop_size_wh,
            window_frames=self.settings.window_frames,
            conditioning_frames=self.settings.conditioning_frames,
            controls=tuple(control.name for control in self.settings.controls),
            inputs=frozenset(("pictures", "plates", "masks", "figure")),
            output="pictures",
        )

    def prepare(self, appearance: Appearance) -> None:
        """Encode prompt and reference; without one, or without a face in it, that IP-Adapter's weight is 0.

        The batch is whole again: what an earlier job ran out of memory with does not change this one's rounding.
        """
        self._divisor = 1
        pipeline = self.parts.pipeline
        settings = self.settings
        whole = framed_reference(appearance)
        looked_at = [(whole, settings.reference_scale)]
        if settings.face_scale:
            looked_at.append((framed_face(appearance), settings.face_scale))
        self._scales = [scale if picture is not None else 0.0 for picture, scale in looked_at]
        gray = np.full((64, 64, 3), 128, np.uint8)
        given = [picture if picture is not None else gray for picture, _ in looked_at]
        with device_errors(), torch.inference_mode():
            self.look_at_figure()
            prompt, negative = pipeline.encode_prompt(
                full_prompt(appearance.prompt, settings.default_prompt),
                self.parts.device,
                1,
                True,
                appearance.negative_prompt or settings.negative_prompt,
            )
            images = pipeline.prepare_ip_adapter_image_embeds(given, None, self.parts.device, 1, True)
        halves = [image.chunk(2) for image in images]
        self._conditioning = Conditioning(
            prompt, negative, tuple(half[1] for half in halves), tuple(half[0] for half in halves)
        )

    def look_at_figure(self) -> None:
        """Set the weights of the reference's whole figure and its face from the settings."""
        self.parts.pipeline.set_ip_adapter_scale(self._scales)

    def look_at_face(self) -> None:
        """Use the reference's face alone; its whole figure where no face is known."""
        if len(self._scales) > 1 and self._scales[1] > 0:
            self.parts.pipeline.set_ip_adapter_scale([0.0, _FACE_ALONE])

    @property
    def conditioning(self) -> Conditioning:
        """The job's; ``prepare`` comes first."""
        assert self._conditioning is not None
        return self._conditioning

    def halve(self) -> bool:
        """Halve the batch size for the rest of the job; False where it is one already."""
        if self.batch() == 1:
            return False
        self._divisor *= 2
        return True

    def batch(self) -> int:
        """Return how many frames are on the device at once."""
        return max(1, self._whole_batch() // self._divisor)

    def _whole_batch(self) -> int:
        settings = self.settings
        if settings.batch_frames:
            return settings.batch_frames
        if self.parts.device.type != "cuda":
            return 4
        # Not by what is free: that depends on the jobs before, and another batch size rounds differently.
        _, total = torch.cuda.mem_get_info(self.parts.device)
        width, height = settings.crop_size_wh
        bytes_a_frame = width * height * _BYTES_A_PIXEL[settings.decoder]
        fits = int(_SHARE_OF_MEMORY * (total - _KEPT_BYTES[settings.decoder]) / bytes_a_frame)
        return int(np.clip(fits, 1, _MOST_FRAMES))

    def guides(self, window: Window, rows: Sequence[int]) -> tuple[ControlNetInput, ...]:
        """Return the ControlNets with the control images of some of the window's frames."""
        return tuple(
            ControlNetInput(
                control.name,
                control.weight,
                control.end,
                picture_tensor(self.parts, window.controls[control.name][list(rows)]),
            )
            for control in self.settings.controls
        )


def full_prompt(prompt: str, default: str) -> str:
    """Return the caller's words followed by the default's, which request a whole figure and a sharp picture."""
    return f"{prompt.strip().rstrip(',')}, {default}" if prompt.strip() else default


def inpaint_regions(window: Window, rows: Sequence[int]) -> NDArray[np.bool_]:
    """Return (N, h, w): the loose region where the new person may be; it contains the dilated silhouette of the
    figure."""
    assert window.masks is not None
    chosen = list(rows)
    regions = loose_masks(window.masks[chosen], window.joints[chosen], window.body_height_px[chosen])
    if window.figure is None:
        return regions
    silhouettes = window.figure.silhouette[chosen]
    heights = window.body_height_px[chosen]
    return regions | np.stack([_grown(*pair) for pair in zip(silhouettes, heights, strict=True)])


def _grown(silhouette: NDArray[np.bool_], body_height_px: float) -> NDArray[np.bool_]:
    if not silhouette.any():
        return silhouette
    return grow_round(silhouette, _SILHOUETTE_ROOM_BH * body_height_px)


def start_pictures(window: Window, rows: Sequence[int]) -> NDArray[np.uint8]:
    """Return (N, h, w, 3): the figure over the plate, from which denoising starts.

    It is complete in every frame and does not depend on previous frames. The plate alone without a figure.
    """
    assert window.plates is not None
    if window.figure is None:
        return window.plates[list(rows)]
    return np.stack([composite_over(window.figure.layers[row], window.plates[row]) for row in rows])


def composite_over(layer: Layer, plate: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composite a layer over its plate, both (h, w, 3)."""
    assert layer.alpha is not None
    x0, y0, x1, y1 = box_of_mask(layer.alpha > 0)
    part = np.s_[y0:y1, x0:x1]
    alpha = layer.alpha[part][..., None].astype(np.float32) / 255
    made = plate.copy()
    made[part] = np.rint(layer.picture[part] * alpha + plate[part] * (1 - alpha))
    return made
