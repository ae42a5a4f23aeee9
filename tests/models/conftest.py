from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the diffusion presets' weights at tiny sizes, and the real small models.

    Without torch the test is skipped; with ``FAIL_WITHOUT_TORCH=1``, as CI sets it, it fails.
    """
    if not os.environ.get("FAIL_WITHOUT_TORCH"):
        pytest.importorskip("torch")
    from benchmarks.random_sam import TINY_SAM, save_random_sam
    from benchmarks.random_wan import TINY_WAN, save_random_wan
    from tests.models.diffusion.tiny import save_tiny_weights

    folder = save_tiny_weights(tmp_path_factory.mktemp("weights"))
    for backend in ("vace", "wan_animate"):
        save_random_wan(folder, TINY_WAN, backend)
    save_random_sam(folder, TINY_SAM)
    for name in ("movenet.tflite", "pose_landmark_full.tflite", "figure.npz"):
        (folder / name).symlink_to(_ROOT / "weights" / name)
    return folder
