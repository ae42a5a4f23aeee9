"""Random weights of SAM 2.1's video model in the published layout, at any size: see ``random_weights``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Sam2HieraDetConfig, Sam2VideoConfig, Sam2VideoModel, Sam2VisionConfig

_STRIDES = (4, 8, 16)
"""Of the feature maps that the mask decoder reads."""


@dataclass(frozen=True, slots=True)
class SamSizes:
    """Sizes of the networks."""

    side: int
    """Side of the square picture that the model sees, px."""
    widths: tuple[int, int, int, int]
    """Of the image encoder's stages."""
    blocks: tuple[int, int, int, int]
    global_blocks: tuple[int, ...]
    windows: tuple[int, int, int, int]
    background_windows: tuple[int, int]
    hidden: int
    """Width of memory attention and mask decoder."""
    feed_forward: int
    memory_layers: int


PUBLISHED_SMALL = SamSizes(1024, (96, 192, 384, 768), (1, 2, 11, 2), (7, 10, 13), (8, 4, 14, 7), (7, 7), 256, 2048, 4)
"""``facebook/sam2.1-hiera-small``: 46 M parameters."""
TINY_SAM = SamSizes(128, (8, 16, 32, 64), (1, 1, 2, 1), (3,), (8, 4, 8, 4), (7, 7), 128, 64, 1)


def sam_config(sizes: SamSizes) -> Sam2VideoConfig:
    """Return the configuration of a model of these sizes."""
    maps = [[sizes.side // stride] * 2 for stride in _STRIDES]
    encoder = Sam2HieraDetConfig(
        hidden_size=sizes.widths[0],
        num_attention_heads=1,
        image_size=[sizes.side, sizes.side],
        blocks_per_stage=list(sizes.blocks),
        embed_dim_per_stage=list(sizes.widths),
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=list(sizes.windows),
        global_attention_blocks=list(sizes.global_blocks),
        window_positional_embedding_background_size=list(sizes.background_windows),
    )
    vision = Sam2VisionConfig(
        backbone_config=encoder,
        backbone_channel_list=list(reversed(sizes.widths)),
        backbone_feature_sizes=maps,
        fpn_hidden_size=sizes.hidden,
    )
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": sizes.hidden, "image_size": sizes.side, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": sizes.hidden,
            "mlp_dim": sizes.feed_forward,
            "iou_head_hidden_dim": sizes.hidden,
        },
        image_size=sizes.side,
        memory_attention_hidden_size=sizes.hidden,
        memory_attention_num_layers=sizes.memory_layers,
        memory_attention_feed_forward_hidden_size=sizes.feed_forward,
        memory_attention_rope_feat_sizes=maps[-1],
        memory_encoder_hidden_size=sizes.hidden,
        mask_downsampler_embed_dim=sizes.hidden,
        memory_fuser_embed_dim=sizes.hidden,
        memory_fuser_intermediate_dim=4 * sizes.hidden,
    )


def random_sam(sizes: SamSizes) -> Sam2VideoModel:
    """Return a model with random weights, the same at every call."""
    torch.manual_seed(7)
    return Sam2VideoModel(sam_config(sizes)).eval()


def save_random_sam(weights: Path, sizes: SamSizes) -> None:
    """Write ``sam2/`` as the hub's files lie."""
    random_sam(sizes).save_pretrained(weights / "sam2")
