"""The ``animatediff`` generator: Stable Diffusion 1.5 with a motion module, windows of frames generated jointly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from diffusers.models.attention import FeedForward

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.plan import Presence
from pipeline.datatypes.window import Layer, Window
from pipeline.models.diffusion.backend import DiffusionBackend
from pipeline.models.diffusion.conditioner import composite_over, inpaint_regions, start_pictures
from pipeline.models.diffusion.denoise import DenoiseInputs, denoise
from pipeline.models.diffusion.face_pass import faces_painted_again
from pipeline.models.diffusion.latents import decode, encode, mask_tensor, noise_of_frames
from pipeline.models.diffusion.windows import FEWEST_FRAMES, mirrored_indices
from pipeline.runtime.callbacks import Check
from pipeline.settings import AnimateDiffSettings

_FEED_FORWARD_PIECES = 4


class AnimateDiff(DiffusionBackend):
    """A window's first frames are those finished by the previous window: their latents are kept at every step."""

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Encode prompt and reference picture; feed-forward layers that an earlier job split are whole again."""
        feed_forward_whole(self._parts.unet)
        return super().prepare(appearance)

    def use_less_memory(self) -> bool:
        """Half as many frames in ControlNets and autoencoder, and the UNet's feed-forward layers in a few pieces.

        The window itself cannot be split: another length produces different frames.
        """
        if not super().use_less_memory():
            return False
        feed_forward_in_pieces(self._parts.unet)
        return True

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Yield finished layers unchanged, then whole generated crops without alpha; absent frames are empty."""
        assert window.plates is not None
        parts = self._parts
        conditioner = self._conditioner
        settings = self._settings
        present = window.presence != Presence.ABSENT
        done = len(window.finished)
        if not present[done:].any():
            yield from window.finished
            yield from (Layer.empty(window.size_wh) for _ in range(done, window.num_frames))
            return
        rows = mirrored_indices(window.num_frames, FEWEST_FRAMES)
        batch = conditioner.batch()
        kept = window.plates.copy()
        for row, layer in enumerate(window.finished):
            kept[row] = composite_over(layer, kept[row])
        regions = inpaint_regions(window, range(window.num_frames))
        regions[:done] = False
        known_latents = encode(parts, kept, batch, check)[rows]
        start = None
        if window.figure is not None and settings.strength < 1:
            begun = start_pictures(window, range(window.num_frames))
            begun[:done] = kept[:done]
            start = encode(parts, begun, batch, check)[rows]
        task = DenoiseInputs(
            start=start,
            known_latents=known_latents,
            inpaint_mask=mask_tensor(parts, regions)[rows],
            noise=noise_of_frames(
                parts, seed, [window.start + place for place in range(len(rows))], conditioner.latent_hw
            ),
            guides=conditioner.guides(window, rows),
            steps=settings.steps,
            strength=settings.strength,
            guidance=settings.guidance,
            batch=batch,
        )
        latents = denoise(parts, conditioner.conditioning, task, check)
        wanted = [row for row in range(done, window.num_frames) if present[row]]
        pictures = decode(parts, latents[wanted], batch, check)
        if isinstance(settings, AnimateDiffSettings) and settings.face_px:
            pictures = faces_painted_again(conditioner, settings.face_px, window, wanted, pictures, seed, check)
        made = dict(zip(wanted, pictures, strict=True))
        yield from window.finished
        for row in range(done, window.num_frames):
            yield Layer(made[row], None) if row in made else Layer.empty(window.size_wh)


def feed_forward_in_pieces(unet: torch.nn.Module) -> None:
    """Let every feed-forward layer process a quarter of its rows at a time.

    diffusers' own ``enable_forward_chunking`` takes one number of tokens for all layers: spatial ones have thousands of
    them and temporal ones a few dozen, so a chunk size that helps the first splits the second into single tokens.
    """
    for module in unet.modules():
        if isinstance(module, FeedForward) and not isinstance(module.forward, partial):
            module.forward = partial(_in_pieces, module.forward)


def feed_forward_whole(unet: torch.nn.Module) -> None:
    """Undo ``feed_forward_in_pieces``."""
    for module in unet.modules():
        if isinstance(module, FeedForward):
            module.__dict__.pop("forward", None)


def _in_pieces(forward: Callable[..., torch.Tensor], x: torch.Tensor, *args: Any, **more: Any) -> torch.Tensor:
    pieces = torch.chunk(x, _FEED_FORWARD_PIECES, dim=0) if len(x) >= _FEED_FORWARD_PIECES else (x,)
    return torch.cat([forward(piece, *args, **more) for piece in pieces])
