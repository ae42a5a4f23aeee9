"""Count the diffusion presets' peak memory: `python -m benchmarks.gpu_memory` (needs requirements-gpu.lock, no GPU).

Weights: parameters and buffers of every model that a worker of the preset keeps loaded, in the precision they are
loaded in. Activations: each network runs once on torch's meta device at its real size and the preset's batch, under
``inference_mode``, while a dispatch mode adds up the live storages; attention counts as one operation that allocates
only its output, as the fused kernels do. The figure is the sum of all weights plus the largest activation. CUDA's
context (about 0.5 GB), cuDNN's workspaces and the allocator's slack are not included.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional
from diffusers import AutoencoderTiny, ControlNetModel, MotionAdapter, UNet2DConditionModel, UNetMotionModel
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.generation_cost import autoencoder
from benchmarks.random_weights import image_encoder, text_encoder
from benchmarks.stable_diffusion_sizes import PUBLISHED
from conf import compose_settings
from pipeline.models.device import quiet
from pipeline.settings import DiffusionSettings

AIMS_GB = {"fast": 8.0, "balanced": 13.0, "high": 16.0}
_HALF = 2
_BATCH = 8
"""Batch size of ControlNets and autoencoder; the worker may choose up to 16 where memory allows."""
_ADAPTER_GB = 0.098
"""Parameters of an IP-Adapter Plus: keys and values of each cross attention, and its resampler."""
_OTHER_GB = {
    "yolo26m seg and pose (24 M each, single)": 0.2,
    "SAM 2.1 small (46 M, half)": 0.09,
    "safety checker (304 M, single)": 1.22,
}
"""Small models, by their published parameter counts."""


class _Alive(TorchDispatchMode):  # type: ignore[misc]
    """Adds up the bytes of live storages."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        size = storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


@contextmanager
def _fused_attention() -> Iterator[None]:
    real = torch.nn.functional.scaled_dot_product_attention

    def fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **more: Any) -> torch.Tensor:
        return query.new_empty(*query.shape[:-1], value.shape[-1])

    torch.nn.functional.scaled_dot_product_attention = fused
    try:
        yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = real


def activation_gb(call: Callable[[], Any]) -> float:
    """Return the peak memory that a call allocates, GB."""
    with _Alive() as alive, _fused_attention():
        call()
    return alive.peak / 1e9


def weights_gb(module: torch.nn.Module, width: int = _HALF) -> float:
    """Return the size of a module's weights at ``width`` bytes per value, GB."""
    return sum(tensor.numel() for tensor in (*module.parameters(), *module.buffers())) * width / 1e9


def count(settings: DiffusionSettings) -> tuple[dict[str, float], dict[str, float]]:
    """Return GB of weights by model, and of activations by network."""
    width, height = settings.crop_size_wh
    has_motion_module = settings.backend == "animatediff"
    frames = settings.window_frames if has_motion_module else min(settings.window_frames, _BATCH)
    latent_hw = (height // 8, width // 8)
    with torch.device("meta"), torch.inference_mode():
        torch.set_default_dtype(torch.float16)
        unet: Any = UNet2DConditionModel(cross_attention_dim=768)
        if has_motion_module:
            unet = UNetMotionModel.from_unet2d(unet, MotionAdapter(motion_max_seq_length=32), load_weights=False)
        unet = unet.to(torch.float16)
        controlnet = ControlNetModel(cross_attention_dim=768).to(torch.float16)
        vae: Any = (autoencoder() if settings.decoder == "full" else AutoencoderTiny()).to(torch.float16)
        text = torch.empty(1, 77, 768)
        time = torch.tensor(1)
        shape = (1, 4, frames, *latent_hw) if has_motion_module else (frames, 4, *latent_hw)
        batch = min(frames, _BATCH)
        weights = {
            "unet": weights_gb(unet),
            "controlnets": len(settings.controls) * weights_gb(controlnet),
            "autoencoder": weights_gb(vae),
            "text encoder": weights_gb(text_encoder(PUBLISHED)),
            "image encoder": weights_gb(image_encoder(PUBLISHED)),
            "adapters": _ADAPTER_GB * (2 if settings.face_scale else 1),
            **_OTHER_GB,
        }
        activations = {
            "unet": activation_gb(lambda: unet(torch.empty(shape), time, text.expand(frames, -1, -1))),
            "controlnet": activation_gb(
                lambda: controlnet(
                    torch.empty(batch, 4, *latent_hw),
                    time,
                    text.expand(batch, -1, -1),
                    controlnet_cond=torch.empty(batch, 3, height, width),
                )
            ),
            "encode": activation_gb(lambda: vae.encode(torch.empty(batch, 3, height, width))),
            "decode": activation_gb(lambda: vae.decode(torch.empty(batch, 4, *latent_hw))),
        }
    torch.set_default_dtype(torch.float32)
    return weights, activations


def main() -> int:
    quiet()
    missed = False
    for preset, aim in AIMS_GB.items():
        generate = compose_settings(preset).generate
        assert isinstance(generate, DiffusionSettings)
        weights, activations = count(generate)
        total = sum(weights.values()) + max(activations.values())
        missed |= total > aim
        print(f"{preset:9} {total:5.1f} GB counted (aim {aim:g}) {'ok' if total <= aim else 'MISSED'}")
        print("          weights: " + ", ".join(f"{name} {gb:.2f}" for name, gb in weights.items()))
        print("          activations: " + ", ".join(f"{name} {gb:.2f}" for name, gb in activations.items()))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
