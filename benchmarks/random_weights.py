"""Random weights of Stable Diffusion in the published layout: speed and memory do not depend on the values.

``save_random_weights(folder, PUBLISHED)`` writes what the presets ``fast``, ``balanced`` and ``high`` load, each
network at its published size (7 GB in half precision), so that a machine without access to the model hub can run all
the loading and generation code. The tests load the same layout at tiny sizes.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    ControlNetModel,
    DDIMScheduler,
    MotionAdapter,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders.lora_base import LoraBaseMixin
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import (
    CLIPConfig,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from benchmarks.stable_diffusion_sizes import StableDiffusionSizes

_RESAMPLER_LAYERS = 4
"""Layers of IP-Adapter Plus's resampler; the loader supports no other number."""
_HEAD_WIDTH = 64
"""Width of its attention heads, likewise fixed."""


def unet(sizes: StableDiffusionSizes) -> UNet2DConditionModel:
    """Return Stable Diffusion's UNet."""
    down = ["CrossAttnDownBlock2D"] * len(sizes.widths)
    down[sizes.plain_block] = "DownBlock2D"
    up = [kind.replace("Down", "Up") for kind in reversed(down)]
    return UNet2DConditionModel(
        sample_size=8 * 2 ** (len(sizes.widths) - 1),
        block_out_channels=sizes.widths,
        layers_per_block=sizes.layers,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        cross_attention_dim=sizes.text_width,
        attention_head_dim=sizes.heads,
    )


def autoencoder(sizes: StableDiffusionSizes) -> AutoencoderKL:
    """Return the full autoencoder."""
    count = len(sizes.autoencoder_widths)
    return AutoencoderKL(
        block_out_channels=sizes.autoencoder_widths,
        layers_per_block=sizes.autoencoder_layers,
        down_block_types=("DownEncoderBlock2D",) * count,
        up_block_types=("UpDecoderBlock2D",) * count,
        latent_channels=4,
        norm_num_groups=sizes.norm_groups,
    )


def motion_adapter(sizes: StableDiffusionSizes) -> MotionAdapter:
    """Return the motion modules for that UNet."""
    return MotionAdapter(block_out_channels=sizes.widths, motion_layers_per_block=sizes.layers, **sizes.motion)


def image_encoder(sizes: StableDiffusionSizes) -> CLIPVisionModelWithProjection:
    """Return the encoder of the reference picture."""
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes.image_encoder))


def text_encoder(sizes: StableDiffusionSizes) -> CLIPTextModel:
    """Return the encoder of the prompt."""
    return CLIPTextModel(CLIPTextConfig(bos_token_id=0, eos_token_id=2, pad_token_id=1, **sizes.text_encoder))


def safety_checker(sizes: StableDiffusionSizes) -> StableDiffusionSafetyChecker:
    """Return a checker that flags nothing: no picture is close enough to any concept."""
    text = CLIPTextConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    config = CLIPConfig(
        text_config=text.to_dict(),
        vision_config=CLIPVisionConfig(**sizes.safety_vision).to_dict(),
        projection_dim=sizes.safety_width,
    )
    checker = StableDiffusionSafetyChecker(config)
    checker.concept_embeds_weights.data.fill_(2.0)
    checker.special_care_embeds_weights.data.fill_(2.0)
    return checker


def save_random_weights(
    folder: Path, sizes: StableDiffusionSizes, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Path:
    """Write a complete weights folder of the Stable Diffusion presets, without YOLO, and return it.

    The values are generated on ``device``: a GPU initializes 4 billion of them in seconds.
    """
    torch.manual_seed(7)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            _save_networks(folder, sizes)
    finally:
        torch.set_default_dtype(before)
    return folder


def _save_networks(folder: Path, sizes: StableDiffusionSizes) -> None:
    _save_vocabulary(folder / "made")
    network = unet(sizes)
    vae = autoencoder(sizes)
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder(sizes),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "made", model_max_length=77),
        unet=network,
        scheduler=DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder / "sd15")
    vae.save_pretrained(folder / "vae")
    AutoencoderTiny(**sizes.tiny_autoencoder).save_pretrained(folder / "taesd")
    for name in ("pose", "depth", "normal", "canny"):
        controlnet = ControlNetModel.from_unet(network, conditioning_embedding_out_channels=sizes.hint_widths)
        # A new ControlNet has no effect: its last convolutions are 0.
        for block in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
            torch.nn.init.normal_(block.weight, std=0.05)
        controlnet.save_pretrained(folder / "controlnet" / name, variant="fp16")
    for name in ("motion_adapter", "animatelcm"):
        motion_adapter(sizes).save_pretrained(folder / name)
    _save_lora(network, sizes.lora_rank, folder / "lcm_lora" / "pytorch_lora_weights.safetensors")
    _save_lora(network, sizes.lora_rank, folder / "animatelcm" / "AnimateLCM_sd15_t2v_lora.safetensors")
    image_encoder(sizes).save_pretrained(folder / "ip_adapter" / "image_encoder")
    for name in ("ip-adapter-plus_sd15", "ip-adapter-plus-face_sd15"):
        save_file(adapter_state(network, sizes), folder / "ip_adapter" / f"{name}.safetensors")
    safety_checker(sizes).save_pretrained(folder / "safety_checker")


def _save_vocabulary(folder: Path) -> None:
    """Write a tokenizer that knows only letters."""
    folder.mkdir(parents=True)
    letters = [chr(code) for code in range(33, 127)]
    words = ["<|startoftext|>", "<pad>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")


def _save_lora(network: UNet2DConditionModel, rank: int, path: Path) -> None:
    with_lora = UNet2DConditionModel.from_config(network.config)
    with_lora.add_adapter(LoraConfig(r=rank, init_lora_weights=False, target_modules=["to_q", "to_k", "to_v"]))
    state = convert_state_dict_to_diffusers(get_peft_model_state_dict(with_lora))
    packed = LoraBaseMixin.pack_weights(state, "unet")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in packed.items()}, path)


def adapter_state(network: UNet2DConditionModel, sizes: StableDiffusionSizes) -> dict[str, torch.Tensor]:
    """Return an IP-Adapter Plus with its published names: the resampler, and keys and values per cross attention."""
    width = sizes.adapter_width
    seen = int(sizes.image_encoder["hidden_size"])
    tokens = sizes.adapter_tokens
    state = {
        "image_proj.latents": torch.randn(1, tokens, width) / width**0.5,
        **_linear("image_proj.proj_in", width, seen),
        **_linear("image_proj.proj_out", sizes.text_width, width),
        **_norm("image_proj.norm_out", sizes.text_width),
    }
    for number in range(_RESAMPLER_LAYERS):
        attention = f"image_proj.layers.{number}.0"
        forward = f"image_proj.layers.{number}.1"
        inner = max(1, width // _HEAD_WIDTH) * _HEAD_WIDTH
        state |= {
            **_norm(f"{attention}.norm1", width),
            **_norm(f"{attention}.norm2", width),
            f"{attention}.to_q.weight": _random(inner, width),
            f"{attention}.to_kv.weight": _random(2 * inner, width),
            f"{attention}.to_out.weight": _random(width, inner),
            **_norm(f"{forward}.0", width),
            f"{forward}.1.weight": _random(4 * width, width),
            f"{forward}.3.weight": _random(width, 4 * width),
        }
    # Numbered as in the published file: in the UNet's own order, in which every second one is a cross attention.
    crossed = [name.removesuffix(".processor") for name in network.attn_processors if "attn2" in name]
    for number, name in enumerate(crossed):
        queries = network.get_submodule(name).to_q.weight.shape[0]
        state[f"ip_adapter.{2 * number + 1}.to_k_ip.weight"] = _random(queries, sizes.text_width)
        state[f"ip_adapter.{2 * number + 1}.to_v_ip.weight"] = _random(queries, sizes.text_width)
    return state


def _linear(name: str, rows: int, columns: int) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": _random(rows, columns), f"{name}.bias": torch.zeros(rows)}


def _norm(name: str, width: int) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}


def _random(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns) / columns**0.5
