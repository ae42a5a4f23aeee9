"""Random weights of Wan's video models in the published layout, at any size: see ``random_weights``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanAnimateTransformer3DModel,
    WanVACETransformer3DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedTokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

from pipeline.models.diffusion.wan_loading import volume_model


@dataclass(frozen=True, slots=True)
class WanSizes:
    """Sizes of Wan's networks, named as in the classes of diffusers and transformers."""

    vace: dict[str, Any]
    animate: dict[str, Any]
    autoencoder: dict[str, Any]
    text_encoder: dict[str, Any]
    image_encoder: dict[str, Any]


PUBLISHED_WAN = WanSizes(
    vace={
        "num_attention_heads": 12,
        "ffn_dim": 8960,
        "num_layers": 30,
        "vace_layers": list(range(0, 30, 2)),
        "vace_in_channels": 96,
    },
    animate={},
    autoencoder={},
    text_encoder={
        "vocab_size": 256384,
        "d_model": 4096,
        "d_kv": 64,
        "d_ff": 10240,
        "num_layers": 24,
        "num_heads": 64,
        "feed_forward_proj": "gated-gelu",
    },
    image_encoder={
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "patch_size": 14,
        "projection_dim": 1024,
    },
)
"""Wan2.1-VACE-1.3B and Wan2.2-Animate-14B as on the model hub."""
_TINY_TRANSFORMER: dict[str, Any] = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "text_dim": 32,
    "freq_dim": 32,
    "ffn_dim": 32,
    "num_layers": 2,
    "rope_max_seq_len": 64,
}
TINY_WAN = WanSizes(
    vace={**_TINY_TRANSFORMER, "vace_layers": [0, 1], "vace_in_channels": 96},
    animate={
        **_TINY_TRANSFORMER,
        "image_dim": 4,
        "motion_encoder_channel_sizes": {"4": 16, "8": 16, "16": 16},
        "motion_encoder_size": 16,
        "motion_style_dim": 8,
        "motion_dim": 4,
        "motion_encoder_dim": 16,
        "face_encoder_hidden_dim": 16,
        "face_encoder_num_heads": 2,
        "inject_face_latents_blocks": 2,
    },
    autoencoder={"base_dim": 3, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1},
    text_encoder={
        "vocab_size": 128,
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 2,
        "num_heads": 2,
        "feed_forward_proj": "gated-gelu",
    },
    image_encoder={
        "hidden_size": 4,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 4,
        "patch_size": 1,
        "projection_dim": 4,
    },
)
"""The smallest possible networks, for tests and dry runs."""


def vace_transformer(sizes: WanSizes) -> WanVACETransformer3DModel:
    """Return VACE's transformer."""
    return WanVACETransformer3DModel(**sizes.vace)


def animate_transformer(sizes: WanSizes) -> WanAnimateTransformer3DModel:
    """Return Animate's transformer."""
    return WanAnimateTransformer3DModel(**sizes.animate)


def save_random_wan(
    folder: Path, sizes: WanSizes, backend: str, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Path:
    """Write the weights of the backend ``vace`` or ``wan_animate`` under ``folder``; return their own folder."""
    target = folder / volume_model(backend).folder
    torch.manual_seed(11)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            make = vace_transformer if backend == "vace" else animate_transformer
            make(sizes).save_pretrained(target / "transformer")
            AutoencoderKLWan(**sizes.autoencoder).save_pretrained(target / "vae")
            UMT5EncoderModel(UMT5Config(**sizes.text_encoder)).save_pretrained(target / "text_encoder")
            if backend != "vace":
                side = int(sizes.image_encoder.get("image_size", 224))
                CLIPVisionModel(CLIPVisionConfig(**sizes.image_encoder)).save_pretrained(target / "image_encoder")
                CLIPImageProcessor(
                    size={"shortest_edge": side}, crop_size={"height": side, "width": side}
                ).save_pretrained(target / "image_processor")
    finally:
        torch.set_default_dtype(before)
    UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=3.0
    ).save_pretrained(target / "scheduler")
    _tokenizer().save_pretrained(target / "tokenizer")
    return target


def _tokenizer() -> PreTrainedTokenizerFast:
    """Write a tokenizer that knows only letters."""
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2} | {chr(code): code - 30 for code in range(33, 127)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )
