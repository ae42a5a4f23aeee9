"""Everything that only a GPU can tell, in one command: `python -m benchmarks.gpu_check` inside the image, on a rented
pod.

Each preset whose weights are there runs on the bundled clip: seconds a stage, the peak of the device's memory in each
chunk and what is left of it afterwards (it must come back down), operations a second as a share of the GPU's dense
fp16 peak, and the figures of ``benchmarks.truth``. ``--tiny`` runs the same on a CPU with the real classes at tiny
sizes: it shows that the command works, its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.truth import judge
from conf import compose_settings, preset_names
from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.window import Layer, Window
from pipeline.errors import PresetUnavailable
from pipeline.estimate import GPUS, estimate
from pipeline.media.decode import open_clip
from pipeline.models.interfaces import Generator, Needs
from pipeline.models.loaded import load_models
from pipeline.request import JobRequest
from pipeline.run import run_job
from pipeline.runtime.callbacks import Check

_ROOT = Path(__file__).resolve().parents[1]
_TINY = ("generate.device=cpu", "people=blazepose", "generate.crop_size_wh=[64,128]")


@dataclass
class _Watched:
    """A generator whose memory is looked at after every chunk."""

    inner: Generator
    peaks_gb: list[float] = field(default_factory=list)
    left_gb: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def needs(self) -> Needs:
        return self.inner.needs

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        return self.inner.prepare(appearance)

    def use_less_memory(self) -> bool:
        return self.inner.use_less_memory()

    def rest(self) -> None:
        if torch.cuda.is_available():
            self.peaks_gb.append(torch.cuda.max_memory_allocated() / 1e9)
        self.inner.rest()
        if torch.cuda.is_available():
            self.left_gb.append(torch.cuda.memory_reserved() / 1e9)
            torch.cuda.reset_peak_memory_stats()

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        layers = self.inner.generate(window, seed, check)
        while True:
            begin = time.perf_counter()
            layer = next(layers, None)
            self.seconds += time.perf_counter() - begin
            if layer is None:
                return
            yield layer


def check_preset(preset: str, folder: Path, overrides: tuple[str, ...], with_truth: bool) -> dict[str, Any]:
    """Run one preset on a truth folder's clip and return what was measured. Raises ``PresetUnavailable``."""
    settings = compose_settings(preset, overrides)
    models = load_models(settings)
    watched = _Watched(models.generator)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as temporary:
        work = Path(temporary)
        clip = folder / "sample.mp4"
        begin = time.perf_counter()
        result = run_job(JobRequest(clip, work / "out"), settings, replace(models, generator=watched), work / "passes")
        seconds = time.perf_counter() - begin
        tflop = estimate(open_clip(clip, settings.limits).info, settings).tflop
        told: dict[str, Any] = {
            "preset": preset,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "seconds": round(seconds, 2),
            "stages_s": {name: round(value, 2) for name, value in result.timings_s.items()},
            "generation_s": round(watched.seconds, 2),
            "peak_gb_a_chunk": [round(value, 2) for value in watched.peaks_gb],
            "reserved_gb_after_a_chunk": [round(value, 2) for value in watched.left_gb],
            "tflop_estimated": tflop,
            "quality": result.report.quality.model_dump(exclude_unset=True),
        }
        gpu = next((name for name in GPUS if name in told["device"]), None)
        if gpu is not None and tflop:
            told["share_of_peak"] = round(tflop / watched.seconds / GPUS[gpu], 3)
        if with_truth:
            figures = judge(folder, work / "truth", f"preset={preset}", *overrides)
            told["truth"] = {figure.name: figure.value for figure in figures}
    return told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=_ROOT / "assets" / "walk_a", help="a truth folder")
    parser.add_argument("--preset", action="append", help="only these (default: all whose weights are there)")
    parser.add_argument("--no-truth", action="store_true", help="leave out the figures against the truth (3 more runs)")
    parser.add_argument("--tiny", type=Path, metavar="WEIGHTS", help="a folder of tiny weights, on the CPU: a dry run")
    parser.add_argument("--json", type=Path, help="write everything there, too")
    arguments = parser.parse_args()
    if arguments.tiny is None and not torch.cuda.is_available():
        print("gpu_check: there is no GPU; --tiny WEIGHTS does a dry run", file=sys.stderr)
        return 2
    table = []
    for preset in arguments.preset or preset_names():
        overrides = _TINY if arguments.tiny is not None and preset != "preview" else ()
        try:
            told = check_preset(preset, arguments.folder, overrides, not arguments.no_truth)
        except PresetUnavailable as error:
            print(f"{preset}: left out: {error.message}")
            continue
        table.append(told)
        print(json.dumps(told, indent=1, ensure_ascii=False), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1, ensure_ascii=False), encoding="utf-8")
    return 0 if table else 1


if __name__ == "__main__":
    sys.exit(main())
