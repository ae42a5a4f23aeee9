"""Check the GPU presets on a real GPU: ``python -m benchmarks.gpu_check`` inside the image, on a rented machine.

Each preset whose weights are available runs on the bundled clip with a reference picture. Measured: seconds per frame
and per stage, throughput relative to the GPU's dense fp16 peak, the fraction of PERFORM in which the GPU is idle, peak
device memory per chunk and what remains allocated afterwards (it must drop again), one provoked out-of-memory error,
and the figures of ``benchmarks.truth``. Contact sheets of every window are kept beside the result: source, plate,
start, guides, mask, picture, matte.

``--random-weights`` needs no model hub: the real architectures are created at their published sizes with random values.
Time and memory do not depend on the values; the generated pictures are noise. ``--tiny`` creates the smallest possible
networks for a dry run on a CPU, whose figures are meaningless. ``--prepare FOLDER`` runs the passes before the
generator and keeps their files, for ``--workspace FOLDER`` on a machine that lacks the libraries of those passes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.gpu_masks import seconds_a_frame
from benchmarks.gpu_sheets import write_sheets
from benchmarks.gpu_watch import (
    Busyness,
    RehearsedPeople,
    WatchedGenerator,
    memory_limit,
    nvml_utilization,
    provoke_out_of_memory,
)
from benchmarks.random_sam import PUBLISHED_SMALL, TINY_SAM, random_sam
from benchmarks.random_wan import PUBLISHED_WAN, TINY_WAN, save_random_wan
from benchmarks.random_weights import save_random_weights
from benchmarks.stable_diffusion_sizes import PUBLISHED, TINY, tiny_overrides
from conf import compose_settings, preset_names
from pipeline.datatypes.window import Layer, Window
from pipeline.errors import Cancelled, PresetUnavailable
from pipeline.estimate import GPUS, generator_tflop, planned_chunks
from pipeline.media.decode import open_clip
from pipeline.models.diffusion.wan_loading import volume_model
from pipeline.models.fakes import IdentityGenerator
from pipeline.models.interfaces import Needs, PeopleBackend
from pipeline.models.loaded import LoadedModels, load_models
from pipeline.models.people.sam_video import SamVideo, load_sam_video
from pipeline.models.registry import make_figure, make_generator, make_people, make_safety
from pipeline.models.weights.folder import weight_folder, weights_folder
from pipeline.perform.backends import appearance_to_warm_up, empty_window
from pipeline.request import JobRequest
from pipeline.run import run_job
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings, StableDiffusionSettings

_ROOT = Path(__file__).resolve().parents[1]
_SMALL_FILES = ("movenet.tflite", "pose_landmark_full.tflite", "figure.npz", "figure.npz.json")


@dataclass(frozen=True, slots=True)
class Run:
    """What is checked, and on which clip."""

    folder: Path
    """A truth folder with ``sample.mp4``."""
    part_s: tuple[float, float] | None
    is_random: bool
    is_tiny: bool
    workspace: Path | None
    """The files of ``--prepare``; None to run the passes before the generator."""
    sheets: Path | None
    with_truth: bool

    def request(self, output_dir: Path) -> JobRequest:
        start, end = self.part_s if self.part_s is not None else (None, None)
        reference = cv2.cvtColor(
            cv2.imread(str(_ROOT / "assets" / "suit.png"), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA
        )
        return JobRequest(
            self.folder / "sample.mp4",
            output_dir,
            start_s=start,
            end_s=end,
            reference=np.asarray(reference, np.uint8),
        )


def settings_of(preset: str, run: Run) -> Settings:
    """Return a preset's settings for this machine."""
    overrides = [*(tiny_overrides(preset) if run.is_tiny else ()), *(("people=blazepose",) if run.is_random else ())]
    return compose_settings(preset, overrides)


def check_preset(preset: str, run: Run) -> dict[str, Any]:
    """Run one preset and return what was measured. Raises ``PresetUnavailable``."""
    settings = settings_of(preset, run)
    begin = time.perf_counter()
    busyness = Busyness(nvml_utilization())
    models, watched = _watched_models(settings, run, busyness)
    loading = time.perf_counter() - begin
    _warm_up(settings)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as temporary:
        work = Path(temporary)
        passes = _workspace(run, work / "passes")
        begin = time.perf_counter()
        result = run_job(run.request(work / "out"), settings, models, passes)
        seconds = time.perf_counter() - begin
        busyness.stop()
        request = run.request(work / "out")
        info = open_clip(request.video, settings.limits, start_s=request.start_s, end_s=request.end_s).info
        tflop = generator_tflop(planned_chunks(info, settings.segment), settings)
        told: dict[str, Any] = {
            "preset": preset,
            "weights": "random" if run.is_random else "real",
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "loading_s": round(loading, 2),
            "seconds": round(seconds, 2),
            "stages_s": {name: round(value, 2) for name, value in result.timings_s.items()},
            "generation_s": round(watched.seconds, 2),
            "generation_s_a_frame": round(watched.seconds / max(1, info.num_frames), 4),
            "perform_s_a_frame": round(result.timings_s["perform"] / max(1, info.num_frames), 4),
            "gpu_idle_share_of_perform": busyness.idle_share,
            "peak_gb_a_chunk": [round(value, 2) for value in watched.peaks_gb],
            "reserved_gb_after_a_chunk": [round(value, 2) for value in watched.left_gb],
            "tflop_estimated": tflop,
            "quality": result.report.quality.model_dump(exclude_unset=True),
        }
        gpu = next((name for name in GPUS if name in told["device"]), None)
        if gpu is not None and tflop:
            told["share_of_peak"] = round(tflop / watched.seconds / GPUS[gpu], 3)
        if settings.generate.backend != "mannequin" and watched.last is not None:
            limit = memory_limit(watched.inner, watched.last)
            told["provoked_out_of_memory"] = provoke_out_of_memory(watched.inner, watched.last, limit)
        if settings.generate.backend != "mannequin":
            told["carried_masks_s_a_frame"] = seconds_a_frame(_carrier(settings, run))
        if run.sheets is not None:
            told["sheets"] = [str(path) for path in write_sheets(watched, passes, run.sheets / preset)]
        if run.with_truth and not run.is_random:
            # Imports the worker's code, which a bare machine may not have.
            from benchmarks.truth import judge

            figures = judge(run.folder, work / "truth", f"preset={preset}")
            told["truth"] = {figure.name: figure.value for figure in figures}
    return told


def _watched_models(settings: Settings, run: Run, busyness: Busyness) -> tuple[LoadedModels, WatchedGenerator]:
    if not run.is_random:
        models = load_models(settings)
        watched = WatchedGenerator(models.generator, busyness, keeps_panels=run.sheets is not None)
        return LoadedModels(models.people, watched, models.figure, models.safety), watched
    generator = make_generator(settings.generate)
    watched = WatchedGenerator(generator, busyness, keeps_panels=run.sheets is not None)
    # Files prepared elsewhere need neither a people backend here nor its library.
    finder = make_people(settings.people) if run.workspace is None else None
    people = RehearsedPeople(finder, _random_yolo(settings, run), watched.asked)
    return LoadedModels(people, watched, make_figure(settings.generate), make_safety(settings.generate)), watched


def _warm_up(settings: Settings) -> None:
    """Warm up as a worker does at its start, without loading the people models again."""
    if settings.generate.backend == "mannequin":
        return
    generator = make_generator(settings.generate.model_copy(update={"steps": 1}))
    generator.prepare(appearance_to_warm_up())
    for _ in generator.generate(empty_window(generator.needs), 0, lambda: None):
        pass
    generator.rest()


def _random_yolo(settings: Settings, run: Run) -> PeopleBackend | None:
    if settings.generate.backend == "mannequin":
        return None
    from pipeline.models.people.yolo import YoloPeople, import_ultralytics

    size = "n" if run.is_tiny else "m"
    made = [import_ultralytics().YOLO(f"yolo26{size}-{task}.yaml") for task in ("seg", "pose")]
    return YoloPeople("cpu" if run.is_tiny else "cuda", settings.people.min_score, models=(made[0], made[1]))


def _carrier(settings: Settings, run: Run) -> SamVideo:
    """Return the model that carries masks; its speed does not depend on the weights."""
    device = "cpu" if run.is_tiny else "cuda"
    if run.is_random:
        return SamVideo(random_sam(TINY_SAM if run.is_tiny else PUBLISHED_SMALL), device)
    return load_sam_video(weight_folder("sam2"), settings.people.device)


def _workspace(run: Run, folder: Path) -> Path:
    """Return a folder for the job's passes, with copies of the prepared files."""
    folder.mkdir(parents=True)
    for path in run.workspace.rglob("*") if run.workspace is not None else ():
        if path.is_file():
            target = folder / path.relative_to(run.workspace)  # type: ignore[arg-type]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return folder


def prepare(run: Run, workspace: Path) -> None:
    """Run the passes before the generator with the presets' crop size, and keep their files."""
    settings = settings_of("fast", run)
    assert isinstance(settings.generate, StableDiffusionSettings)
    models = LoadedModels(make_people(settings.people), _Stopping(settings.generate.crop_size_wh))
    try:
        run_job(run.request(workspace / "out"), settings, models, workspace)
    except Cancelled:
        for begun in ("layers", "out"):
            shutil.rmtree(workspace / begun, ignore_errors=True)


class _Stopping(IdentityGenerator):
    """Has the crop size of the diffusion presets, and ends the job where generation would begin."""

    def __init__(self, crop_size_wh: tuple[int, int]) -> None:
        super().__init__()
        self._needs = Needs(crop_size_wh=crop_size_wh, window_frames=8)

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        raise Cancelled("prepared")


def use_random_weights(folder: Path, presets: Sequence[str], *, is_tiny: bool) -> None:
    """Create the presets' networks in ``folder`` where they are missing, and make the loading code use it."""
    small_files = weights_folder()
    device, half = ("cpu", torch.float32) if is_tiny else ("cuda", torch.float16)
    if not (folder / "sd15").is_dir():
        # Includes the safety checker, which every preset uses.
        save_random_weights(folder, TINY if is_tiny else PUBLISHED, device=device, dtype=half)
    for preset, backend in {"wan": "vace", "ultra": "wan_animate"}.items():
        if preset in presets and not (folder / volume_model(backend).folder).is_dir():
            dtype = torch.float32 if is_tiny else torch.bfloat16
            save_random_wan(folder, TINY_WAN if is_tiny else PUBLISHED_WAN, backend, device=device, dtype=dtype)
    for name in _SMALL_FILES:
        if (small_files / name).is_file() and not (folder / name).exists():
            (folder / name).symlink_to((small_files / name).resolve())
    os.environ["UNDERSTUDY_WEIGHTS"] = str(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=_ROOT / "assets" / "walk_a", help="a truth folder")
    parser.add_argument("--preset", action="append", help="only these (default: all whose weights are there)")
    parser.add_argument("--part", nargs=2, type=float, metavar=("START", "END"), help="seconds of the clip")
    parser.add_argument("--no-truth", action="store_true", help="leave out the figures against the truth (3 more runs)")
    parser.add_argument(
        "--random-weights",
        type=Path,
        metavar="FOLDER",
        help="random values instead of the real weights; made in FOLDER where they are not there yet (7 GB; for wan 17 "
        "more, for ultra 43)",
    )
    parser.add_argument(
        "--tiny", action="store_true", help="with --random-weights: tiny networks on the CPU, a dry run"
    )
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="run the passes before the generator, and end")
    parser.add_argument("--workspace", type=Path, metavar="FOLDER", help="what --prepare left, of the same clip")
    parser.add_argument("--sheets", type=Path, metavar="FOLDER", help="keep sheets of every window there")
    parser.add_argument("--json", type=Path, help="write everything there, too")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    run = Run(
        folder=options.folder,
        part_s=tuple(options.part) if options.part else None,
        is_random=options.random_weights is not None or options.prepare is not None,
        is_tiny=options.tiny,
        workspace=options.workspace,
        sheets=options.sheets,
        with_truth=not options.no_truth,
    )
    if options.prepare is not None:
        prepare(run, options.prepare)
        return 0
    if not run.is_tiny and not torch.cuda.is_available():
        print("gpu_check: there is no GPU; --random-weights FOLDER --tiny does a dry run", file=sys.stderr)
        return 2
    # Prepared files and random values are for the image presets; those of Wan must be requested by name.
    usual = [name for name in preset_names() if name not in ("preview", "wan", "ultra") or not run.is_random]
    presets = options.preset or usual
    if options.random_weights is not None:
        use_random_weights(options.random_weights, presets, is_tiny=run.is_tiny)
    table = []
    for preset in presets:
        try:
            told = check_preset(preset, run)
        except PresetUnavailable as error:
            print(f"{preset}: left out: {error.message}")
            continue
        table.append(told)
        print(json.dumps(told, indent=1, ensure_ascii=False), flush=True)
        if options.json:
            # After each preset: measurements from before a crash are kept.
            options.json.write_text(json.dumps(table, indent=1, ensure_ascii=False), encoding="utf-8")
    return 0 if table else 1


if __name__ == "__main__":
    sys.exit(main())
