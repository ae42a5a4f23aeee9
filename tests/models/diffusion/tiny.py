"""The real classes at tiny sizes, with random weights, saved as the real weights lie: what the loading code loads in
tests."""

from __future__ import annotations

from pathlib import Path

from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel

from benchmarks.random_weights import save_random_weights
from benchmarks.stable_diffusion_sizes import TINY


def save_tiny_weights(folder: Path) -> Path:
    """Write a whole weights folder of the diffusion presets, about 10 MB; return it."""
    return save_random_weights(folder, TINY)


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
    number = int(block)
    part = int(layer)
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
