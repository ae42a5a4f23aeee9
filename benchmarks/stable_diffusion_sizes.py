"""Sizes of Stable Diffusion 1.5's networks: the published ones, and tiny ones for tests and dry runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StableDiffusionSizes:
    """Sizes of Stable Diffusion 1.5's networks and of the models around them."""

    widths: tuple[int, ...]
    """Channels of the UNet's blocks."""
    plain_block: int
    """Index of the block without attention: the last as published, the first where there are two."""
    layers: int
    heads: int
    text_width: int
    autoencoder_widths: tuple[int, ...]
    autoencoder_layers: int
    tiny_autoencoder: dict[str, Any]
    norm_groups: int
    hint_widths: tuple[int, ...]
    """Channels of the ControlNets' first convolutions."""
    motion: dict[str, Any]
    lora_rank: int
    text_encoder: dict[str, Any]
    image_encoder: dict[str, Any]
    adapter_width: int
    adapter_tokens: int
    safety_vision: dict[str, Any]
    safety_width: int


PUBLISHED = StableDiffusionSizes(
    widths=(320, 640, 1280, 1280),
    plain_block=-1,
    layers=2,
    heads=8,
    text_width=768,
    autoencoder_widths=(128, 256, 512, 512),
    autoencoder_layers=2,
    tiny_autoencoder={},
    norm_groups=32,
    hint_widths=(16, 32, 96, 256),
    motion={"motion_max_seq_length": 32, "use_motion_mid_block": True},
    lora_rank=64,
    text_encoder={
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
    },
    image_encoder={
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "patch_size": 14,
        "projection_dim": 1024,
    },
    adapter_width=768,
    adapter_tokens=16,
    safety_vision={
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
    },
    safety_width=768,
)
"""As on the model hub."""
TINY = StableDiffusionSizes(
    widths=(32, 64),
    plain_block=0,
    layers=1,
    heads=4,
    text_width=32,
    autoencoder_widths=(8, 16, 16, 16),
    autoencoder_layers=1,
    tiny_autoencoder={
        "encoder_block_out_channels": (8, 8, 8, 8),
        "decoder_block_out_channels": (8, 8, 8, 8),
        "num_encoder_blocks": (1, 1, 1, 1),
        "num_decoder_blocks": (1, 1, 1, 1),
    },
    norm_groups=4,
    hint_widths=(8, 8, 8, 8),
    motion={"motion_num_attention_heads": 2, "motion_norm_num_groups": 4},
    lora_rank=2,
    text_encoder={
        "vocab_size": 600,
        "hidden_size": 32,
        "intermediate_size": 37,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    },
    image_encoder={
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "projection_dim": 16,
    },
    adapter_width=64,
    adapter_tokens=4,
    safety_vision={
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    },
    safety_width=16,
)
"""The smallest possible networks, for tests and dry runs."""


def tiny_overrides(preset: str, size_wh: tuple[int, int] = (64, 128)) -> tuple[str, ...]:
    """Return the overrides with which a preset runs on ``TINY`` weights, on a CPU."""
    faces = ("generate.face_px=64",) if preset in ("balanced", "high") else ()
    return ("generate.device=cpu", f"generate.crop_size_wh=[{size_wh[0]},{size_wh[1]}]", *faces)
