"""Stable Diffusion's safety checker, on finished pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from numpy.typing import NDArray
from transformers import CLIPImageProcessor

from pipeline.datatypes.arrays import Picture
from pipeline.models.device import device_errors, quiet

_BATCH = 8


class SafetyChecker:
    """Flags pictures with content that it was trained to detect (sexual concepts; not violence)."""

    def __init__(self, folder: Path, device: str) -> None:
        """Load the checker in ``folder``, offline."""
        quiet()
        variant = "fp16" if any(folder.glob("*.fp16.safetensors")) else None
        checker = StableDiffusionSafetyChecker.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, variant=variant
        )
        self._device = torch.device(device)
        # In full precision: its thresholds are narrow, and it costs little.
        with device_errors():
            self._checker = checker.to(self._device, torch.float32).eval()
        side = int(checker.config.vision_config.image_size)
        self._processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})

    def flagged(self, pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return (N,) of (N, h, w, 3) RGB."""
        found: list[bool] = []
        with device_errors(), torch.inference_mode():
            for i in range(0, len(pictures), _BATCH):
                some = np.stack([_square(picture) for picture in pictures[i : i + _BATCH]])
                seen = self._processor(list(some), return_tensors="pt").pixel_values.to(self._device)
                # It blacks out what it flags in the second argument; only its verdict is needed.
                _, flags = self._checker(clip_input=seen, images=[np.zeros((1, 1, 3), np.float32)] * len(some))
                found.extend(bool(flag) for flag in flags)
        return np.array(found, np.bool_)


def _square(picture: Picture) -> Picture:
    """Return the picture on a gray square: CLIP's preprocessing crops to the center, and head and feet would be
    lost."""
    height, width = picture.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    gray = (127, 127, 127)
    padded = cv2.copyMakeBorder(
        picture, top, side - height - top, left, side - width - left, cv2.BORDER_CONSTANT, value=gray
    )
    return np.asarray(padded, np.uint8)
