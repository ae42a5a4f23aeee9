"""Depth Anything V2 small, through transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional
from numpy.typing import NDArray
from transformers import AutoModelForDepthEstimation

from pipeline.models.device import device_errors, quiet

_SHORT_SIDE_PX = 518
"""What the model was trained at; sides must be multiples of its patch."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BATCH = 4


class DepthAnything:
    """Relative inverse depth of single pictures: larger is nearer (Yang et al., "Depth Anything V2", NeurIPS 2024)."""

    def __init__(self, folder: Path, device: str) -> None:
        """Load the model in ``folder``, offline."""
        quiet()
        self._device = torch.device(device)
        self._dtype = torch.float16 if device == "cuda" else torch.float32
        model = AutoModelForDepthEstimation.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=self._dtype
        )
        self._model = model.to(self._device).eval().requires_grad_(False)
        self._patch = int(model.config.patch_size)

    def estimate(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, h, w) of (N, h, w, 3) RGB. Raises ``OutOfMemory`` and ``GpuError``."""
        pieces = []
        with device_errors(), torch.inference_mode():
            for i in range(0, len(pictures), _BATCH):
                x = torch.from_numpy(np.ascontiguousarray(pictures[i : i + _BATCH])).to(self._device)
                x = x.permute(0, 3, 1, 2).float() / 255
                height, width = x.shape[2:]
                scale = _SHORT_SIDE_PX / min(height, width)
                size = [max(1, round(side * scale / self._patch)) * self._patch for side in (height, width)]
                x = torch.nn.functional.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False)
                mean = torch.tensor(_MEAN, device=self._device)[:, None, None]
                std = torch.tensor(_STD, device=self._device)[:, None, None]
                depth = self._model(pixel_values=((x - mean) / std).to(self._dtype)).predicted_depth[:, None].float()
                depth = torch.nn.functional.interpolate(depth, (height, width), mode="bilinear", align_corners=False)
                pieces.append(depth[:, 0].cpu().numpy())
        return np.concatenate(pieces)
