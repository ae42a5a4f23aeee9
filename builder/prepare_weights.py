"""Make the diffusion presets' weights smaller and faster to load, once, when the image is built.

``python -m builder.prepare_weights`` fuses each LoRA into a copy of Stable Diffusion's UNet in half precision, removes
the inputs, and converts weights published in single precision to half. ``weights/prepared.json`` records the outcome
for each fetched file, so that a check of the weights still recognizes them. Needs requirements-gpu.lock.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.models.weights.lock import DEFAULT_WEIGHTS, read_lock, sha256_of
from pipeline.models.weights.prepared import MadeFile, Prepared, read_prepared, write_prepared

_UNET = "sd15/unet/diffusion_pytorch_model.safetensors"
_HALVED = (
    "sd15/text_encoder/model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "taesd/diffusion_pytorch_model.safetensors",
    "ip_adapter/image_encoder/model.safetensors",
)
"""Published in single precision; the worker runs them in half."""


def prepare_weights(weights: Path, say: Callable[[str], None]) -> None:
    """Prepare the weights that are present and not prepared yet."""
    prepared = read_prepared(weights)
    for name in _HALVED:
        if name not in prepared and (weights / name).is_file():
            prepared[name] = _halved(weights, name)
            say(f"{name}: {_megabytes(prepared[name])} in half precision")
    if _UNET not in prepared and (weights / _UNET).is_file():
        prepared |= _fused(weights)
        say(f"{_UNET}: {_megabytes(prepared[_UNET])} with LoRAs fused into it, in half precision")
    write_prepared(weights, prepared)


def _halved(weights: Path, name: str) -> Prepared:
    from pipeline.models.diffusion.fused import halve

    path = weights / name
    before = _known_hash(weights, name)
    halve(path)
    return Prepared(before, (_made(weights, path),))


def _fused(weights: Path) -> dict[str, Prepared]:
    """Write ``sd15/unet_NAME`` for each LoRA that is there; the UNet alone and the LoRAs are removed."""
    from pipeline.models.diffusion.fused import fuse_loras

    used = [_UNET]
    made: list[MadeFile] = []
    for lora, target in fuse_loras(weights).items():
        used.append(lora)
        made += [_made(weights, path) for path in sorted(target.glob("*.safetensors"))]
    if not made:
        # Nothing to fuse: a preset without a LoRA loads the plain UNet.
        return {_UNET: _halved(weights, _UNET)}
    entries = {name: Prepared(_known_hash(weights, name), tuple(made)) for name in used}
    for name in used:
        (weights / name).unlink()
    return entries


def _known_hash(weights: Path, name: str) -> str:
    known = next((file.sha256 for source in read_lock() for file in source.files if file.name == name), None)
    return known or sha256_of(weights / name)


def _made(weights: Path, path: Path) -> MadeFile:
    return MadeFile(path.relative_to(weights).as_posix(), path.stat().st_size, sha256_of(path))


def _megabytes(entry: Prepared) -> str:
    return f"{sum(made.size for made in entry.made) / 1e6:.0f} MB"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m builder.prepare_weights",
        description="Fuse the presets' LoRAs into copies of the UNet and convert single precision to half.",
    )
    parser.add_argument("--weights", type=Path, help="folder of the weights (default: $UNDERSTUDY_WEIGHTS or weights/)")
    options = parser.parse_args(arguments)
    weights = options.weights or Path(os.environ.get("UNDERSTUDY_WEIGHTS") or DEFAULT_WEIGHTS)
    prepare_weights(weights, lambda line: print(line, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
