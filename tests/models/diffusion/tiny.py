"""The real classes at tiny sizes, with random weights, saved as the real weights lie: what the loading code loads in
tests."""

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

_WIDTHS = (32, 64)
_TEXT_WIDTH = 32


def save_tiny_weights(folder: Path) -> Path:
    """Write a whole weights folder of the diffusion presets, about 10 MB; return it."""
    torch.manual_seed(7)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=_WIDTHS,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=_TEXT_WIDTH,
        attention_head_dim=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
    )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=_text_encoder(),
        tokenizer=_tokenizer(folder / "made"),
        unet=unet,
        scheduler=DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder / "sd15")
    vae.save_pretrained(folder / "vae")
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    ).save_pretrained(folder / "taesd")
    for name in ("pose", "depth", "normal", "canny"):
        controlnet = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 8, 8))
        # A new ControlNet adds nothing: its last convolutions are 0.
        for block in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
            torch.nn.init.normal_(block.weight, std=0.05)
        controlnet.save_pretrained(folder / "controlnet" / name, variant="fp16")
    for name in ("motion_adapter", "animatelcm"):
        adapter = MotionAdapter(
            block_out_channels=_WIDTHS,
            motion_layers_per_block=1,
            motion_num_attention_heads=2,
            motion_norm_num_groups=4,
        )
        adapter.save_pretrained(folder / name)
    _save_lora(unet, folder / "lcm_lora" / "pytorch_lora_weights.safetensors")
    _save_lora(unet, folder / "animatelcm" / "AnimateLCM_sd15_t2v_lora.safetensors")
    _save_ip_adapter(unet, folder / "ip_adapter")
    _save_safety_checker(folder / "safety_checker")
    return folder


def _text_encoder() -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=600,
            hidden_size=_TEXT_WIDTH,
            intermediate_size=37,
            num_hidden_layers=2,
            num_attention_heads=4,
            bos_token_id=0,
            eos_token_id=2,
            pad_token_id=1,
        )
    )


def _tokenizer(folder: Path) -> CLIPTokenizer:
    """A tokenizer that knows letters alone."""
    folder.mkdir(parents=True)
    letters = [chr(code) for code in range(33, 127)]
    words = ["<|startoftext|>", "<pad>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def _save_lora(unet: UNet2DConditionModel, path: Path) -> None:
    with_lora = UNet2DConditionModel.from_config(unet.config)
    with_lora.add_adapter(LoraConfig(r=2, init_lora_weights=False, target_modules=["to_q", "to_k", "to_v"]))
    state = convert_state_dict_to_diffusers(get_peft_model_state_dict(with_lora))
    packed = LoraBaseMixin.pack_weights(state, "unet")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in packed.items()}, path)


def _save_ip_adapter(unet: UNet2DConditionModel, folder: Path) -> None:
    """The plain adapter: one projection of the picture to four tokens, and keys and values a cross attention."""
    encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
            projection_dim=16,
        )
    )
    encoder.save_pretrained(folder / "image_encoder")
    state = {
        "image_proj.proj.weight": torch.randn(4 * _TEXT_WIDTH, 16) * 0.2,
        "image_proj.proj.bias": torch.zeros(4 * _TEXT_WIDTH),
        "image_proj.norm.weight": torch.ones(_TEXT_WIDTH),
        "image_proj.norm.bias": torch.zeros(_TEXT_WIDTH),
    }
    key = 1
    for name in unet.attn_processors:
        if not name.endswith("attn2.processor"):
            continue
        block = int(name.split(".")[1]) if name.startswith(("down", "up")) else -1
        width = _WIDTHS[-1] if block < 0 else (_WIDTHS if name.startswith("down") else _WIDTHS[::-1])[block]
        state[f"ip_adapter.{key}.to_k_ip.weight"] = torch.randn(width, _TEXT_WIDTH) * 0.2
        state[f"ip_adapter.{key}.to_v_ip.weight"] = torch.randn(width, _TEXT_WIDTH) * 0.2
        key += 2
    save_file(state, folder / "ip-adapter-plus_sd15.safetensors")


def _save_safety_checker(folder: Path) -> None:
    config = CLIPConfig(
        text_config=CLIPTextConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2).to_dict(),
        vision_config=CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
        ).to_dict(),
        projection_dim=16,
    )
    checker = StableDiffusionSafetyChecker(config)
    # No picture is near enough to any concept.
    checker.concept_embeds_weights.data.fill_(2.0)
    checker.special_care_embeds_weights.data.fill_(2.0)
    checker.save_pretrained(folder)


def save_single_file(weights: Path, target: Path) -> None:
    """Write ``weights/sd15`` as one file under the original (latent-diffusion) names, and its configuration."""
    unet = UNet2DConditionModel.from_pretrained(weights / "sd15" / "unet")
    text = CLIPTextModel.from_pretrained(weights / "sd15" / "text_encoder")
    state = {f"model.diffusion_model.{_original(name)}": value for name, value in unet.state_dict().items()}
    state |= {f"cond_stage_model.transformer.{_text_name(name)}": value for name, value in text.state_dict().items()}
    save_file({name: value.contiguous() for name, value in state.items()}, target / "sd15.safetensors")
    for path in (weights / "sd15").rglob("*"):
        if path.suffix in (".json", ".txt"):
            copy = target / "sd15_config" / path.relative_to(weights / "sd15")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


def _text_name(name: str) -> str:
    return name if name.startswith("text_model.") else f"text_model.{name}"


def _original(name: str) -> str:
    """The original name of a UNet's tensor, for one layer a block."""
    for ours, theirs in (
        ("time_embedding.linear_1", "time_embed.0"),
        ("time_embedding.linear_2", "time_embed.2"),
        ("conv_in", "input_blocks.0.0"),
        ("conv_norm_out", "out.0"),
        ("conv_out", "out.2"),
    ):
        if name.startswith(ours + "."):
            return name.replace(ours, theirs, 1)
    if name.startswith("mid_block."):
        place = {"resnets.0": 0, "attentions.0": 1, "resnets.1": 2}
        kind = ".".join(name.split(".")[1:3])
        return _original_resnet(name.replace(f"mid_block.{kind}", f"middle_block.{place[kind]}", 1))
    side, block, kind, layer, rest = name.split(".", 4)
    number, part = int(block), int(layer)
    if kind == "downsamplers":
        return f"input_blocks.{2 * (number + 1)}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        has_attention = number == 0
        return f"output_blocks.{2 * number + 1}.{2 if has_attention else 1}.{rest}"
    column = 0 if kind == "resnets" else 1
    if side == "down_blocks":
        return _original_resnet(f"input_blocks.{2 * number + part + 1}.{column}.{rest}")
    return _original_resnet(f"output_blocks.{2 * number + part}.{column}.{rest}")


def _original_resnet(name: str) -> str:
    for ours, theirs in (
        ("norm1", "in_layers.0"),
        ("conv1", "in_layers.2"),
        ("norm2", "out_layers.0"),
        ("conv2", "out_layers.3"),
        ("time_emb_proj", "emb_layers.1"),
        ("conv_shortcut", "skip_connection"),
    ):
        # A transformer's own norm1 and norm2 keep their names.
        if "transformer_blocks" not in name:
            name = name.replace(f".{ours}.", f".{theirs}.")
    return name
