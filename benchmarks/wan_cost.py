"""Count operations and memory of Wan's models: ``python -m benchmarks.wan_cost`` (needs requirements-gpu.lock, no GPU).

As in ``benchmarks.generation_cost``, the networks are created on torch's meta device at their published sizes and their
operations are counted, for three window lengths; the polynomial through them is exact, since attention is the only part
that does not grow linearly. ``--write`` stores it in ``pipeline/part_costs.json``, which ``estimate`` reads. Memory is
counted likewise: weights, and the peak of a step and of the autoencoder.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPVisionConfig, CLIPVisionModel

from benchmarks.gpu_memory import activation_gb, weights_gb
from benchmarks.random_wan import PUBLISHED_WAN, animate_transformer, vace_transformer
from conf import compose_settings
from pipeline.estimate import GPUS, PART_COSTS, SHARES, estimate, seconds_on
from pipeline.models.device import quiet
from pipeline.models.diffusion.wan_cost import num_tokens, padded_frames
from pipeline.settings import AnimateSettings, VaceSettings

_SIZE_WH = (512, 768)
_LENGTHS = (5, 13, 25)
_TEXT = (1, 512, 4096)
AIMS_GB = {"wan": 40.0, "ultra": 75.0}
"""Memory of an A40 and of an H100, minus a margin."""


def count_wan(size_wh: tuple[int, int] = _SIZE_WH) -> dict[str, dict[str, float]]:
    """Return the polynomials of a step in its tokens, and of the autoencoder in frames, per megapixel."""
    megapixels = size_wh[0] * size_wh[1] / 1e6
    with torch.device("meta"), torch.inference_mode():
        vae = AutoencoderKLWan(**PUBLISHED_WAN.autoencoder)
        steps = {"vace": vace_transformer(PUBLISHED_WAN), "wan_animate": animate_transformer(PUBLISHED_WAN)}
        counted = {
            name: _through([(num_tokens(n, size_wh), _tflop(step_call(name, made, n, size_wh))) for n in _LENGTHS], 2)
            for name, made in steps.items()
        }
        encoded = [(n, _tflop(lambda n=n: vae.encode(_video(n, size_wh))) / megapixels) for n in _LENGTHS]
        decoded = [(n, _tflop(lambda n=n: vae.decode(_latents(n, size_wh))) / megapixels) for n in _LENGTHS]
    return {**counted, "encode": _through(encoded[1:], 1), "decode": _through(decoded[1:], 1)}


def step_call(name: str, transformer: Any, frames: int, size_wh: tuple[int, int]) -> Any:
    """Return a call that evaluates a transformer once for a window, including the reference's latent."""
    width, height = size_wh
    latents = (frames - 1) // 4 + 2
    side = (height // 8, width // 8)
    text = torch.empty(_TEXT)
    time = torch.tensor([1])
    if name == "vace":
        x = torch.empty(1, 16, latents, *side)
        control = torch.empty(1, 96, latents, *side)
        scale = torch.ones(len(transformer.config.vace_layers))
        return lambda: transformer(x, time, text, control_hidden_states=control, control_hidden_states_scale=scale)
    x = torch.empty(1, 36, latents, *side)
    pose = torch.empty(1, 16, latents - 1, *side)
    image = torch.empty(1, 257, 1280)
    faces = torch.empty(1, 3, frames, 512, 512)
    return lambda: transformer(
        x, time, text, encoder_hidden_states_image=image, pose_hidden_states=pose, face_pixel_values=faces
    )


def _video(frames: int, size_wh: tuple[int, int]) -> torch.Tensor:
    return torch.empty(1, 3, frames, size_wh[1], size_wh[0])


def _latents(frames: int, size_wh: tuple[int, int]) -> torch.Tensor:
    return torch.empty(1, 16, (frames - 1) // 4 + 1, size_wh[1] // 8, size_wh[0] // 8)


def _tflop(call: Any) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops()) / 1e12


def _through(points: list[tuple[int, float]], degree: int) -> dict[str, float]:
    """Return the polynomial through the points."""
    x, y = (np.array(values, np.float64) for values in zip(*points, strict=True))
    scale = x.max()
    solved = np.linalg.solve(np.vander(x / scale, degree + 1, increasing=True), y)
    names = ("constant", "linear", "quadratic")
    return {name: float(value / scale**power) for power, (name, value) in enumerate(zip(names, solved, strict=False))}


def memory_gb(settings: VaceSettings | AnimateSettings) -> tuple[dict[str, float], dict[str, float]]:
    """Return GB of weights by model, and the peak of a step and of the autoencoder."""
    width, height = settings.crop_size_wh
    frames = padded_frames(settings.window_frames)
    with torch.device("meta"), torch.inference_mode():
        is_vace = isinstance(settings, VaceSettings)
        transformer = vace_transformer(PUBLISHED_WAN) if is_vace else animate_transformer(PUBLISHED_WAN)
        transformer.to(torch.bfloat16)
        vae = AutoencoderKLWan(**PUBLISHED_WAN.autoencoder)
        weights = {"transformer": weights_gb(transformer), "autoencoder (single)": weights_gb(vae, 4)}
        if not is_vace:
            encoder = CLIPVisionModel(CLIPVisionConfig(**PUBLISHED_WAN.image_encoder))
            weights["image encoder"] = weights_gb(encoder)
        # On the meta device a step uses float32 where the model requests it; inputs are halved explicitly.
        torch.set_default_dtype(torch.bfloat16)
        try:
            held = {"step": activation_gb(step_call(settings.backend, transformer, frames, (width, height)))}
        finally:
            torch.set_default_dtype(torch.float32)
        held["decode"] = activation_gb(lambda: vae.decode(_latents(frames, (width, height))))
        held["encode"] = activation_gb(lambda: vae.encode(_video(frames, (width, height))))
    return weights, held


def main() -> int:
    """Print both tables; exit code 1 where a preset exceeds its aim."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wan_cost")
    parser.add_argument("--write", action="store_true", help=f"keep the polynomials in {PART_COSTS}")
    arguments = parser.parse_args()
    quiet()
    if arguments.write:
        table = json.loads(PART_COSTS.read_text(encoding="utf-8"))
        table["wan"] = count_wan()
        PART_COSTS.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    from benchmarks.generation_cost import clip_info

    missed = False
    for preset, aim in AIMS_GB.items():
        settings = compose_settings(preset)
        assert isinstance(settings.generate, VaceSettings | AnimateSettings)
        told = estimate(clip_info(300), settings)
        weights, held = memory_gb(settings.generate)
        total = sum(weights.values()) + max(held.values())
        missed |= total > aim
        print(
            f"{preset:6} {told.tflop / 300:6.1f} TFLOP an output frame; {told.windows} windows; {total:.1f} GB counted"
        )
        print("       weights: " + ", ".join(f"{name} {gb:.1f}" for name, gb in weights.items()))
        print("       held at once: " + ", ".join(f"{name} {gb:.1f}" for name, gb in held.items()))
        for gpu in GPUS:
            seconds = " / ".join(f"{seconds_on(gpu, told.tflop, share):.0f} s" for share in SHARES)
            print(f"       10 s at 30 fps on {gpu}: {seconds}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
