"""Break the denoising loop in known ways, one at a time, and see which tests notice: ``make mutants``.

Each mutant is a line of the program and what is put in its place, in a copy of the repository; the tests that should
notice are run there, first without any mutant. Exit code 1 where one survives. Not part of ``make test``: it takes a
quarter of an hour.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_TESTS = (
    "tests/models/diffusion/test_loop_exact.py",
    "tests/models/diffusion/test_window_generation.py",
    "tests/models/diffusion/test_diffusion.py",
)
_MODELS = "pipeline/models/diffusion"
_LIBRARIES = [
    "cv2", "numba", "peft", "pytest", "safetensors.torch", "scipy.ndimage", "transformers",
    "diffusers.pipelines.animatediff.pipeline_animatediff_video2video_controlnet",
    "diffusers.pipelines.controlnet.pipeline_controlnet_inpaint", "diffusers.pipelines.wan.pipeline_wan_animate",
    "diffusers.pipelines.wan.pipeline_wan_vace",
]  # fmt: skip
"""What takes seconds to import: once for all mutants."""
_DID_NOT_RUN = 9
"""None of pytest's own statuses."""
_FORKS = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong program."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...] = _TESTS


# ruff: noqa: E501
MUTANTS = (
    Mutant("LCM's step noise left out", f"{_MODELS}/denoise.py", "x = scheduler.add_noise(x, noise, timesteps[i + 1", "x = scheduler.add_noise(x, 0 * noise, timesteps[i + 1"),
    Mutant("prev_sample for denoised", f"{_MODELS}/denoise.py", "scheduler.step(predicted, t, x).denoised", "scheduler.step(predicted, t, x).prev_sample"),
    Mutant("held region not noised", f"{_MODELS}/denoise.py", "else scheduler.add_noise(task.known_latents, noise, timesteps[i + 1 : i + 2])", "else task.known_latents"),
    Mutant("finished frames not held", f"{_MODELS}/denoise.py", "x = (1 - task.inpaint_mask) * held + task.inpaint_mask * x", "x = task.inpaint_mask * x + (1 - task.inpaint_mask) * x"),
    Mutant("mask inverted", f"{_MODELS}/denoise.py", "x = (1 - task.inpaint_mask) * held + task.inpaint_mask * x", "x = task.inpaint_mask * held + (1 - task.inpaint_mask) * x"),
    Mutant("ControlNets guide to the end", f"{_MODELS}/steps.py", "/ steps_run <= end", "/ steps_run <= 1"),
    Mutant("prompt and negative swapped", f"{_MODELS}/conditioner.py", "prompt, negative, tuple(half[1] for half in halves)", "negative, prompt, tuple(half[1] for half in halves)"),
    Mutant("positive and negative picture swapped", f"{_MODELS}/conditioner.py", "tuple(half[1] for half in halves), tuple(half[0] for half in halves)", "tuple(half[0] for half in halves), tuple(half[1] for half in halves)"),
    Mutant("reference scale never set", f"{_MODELS}/conditioner.py", "pipeline.set_ip_adapter_scale(", "(lambda scale: None)("),
    Mutant("pictures -1..1 for ControlNets", f"{_MODELS}/latents.py", "return (x.to(parts.dtype) / 255)", "return (x.to(parts.dtype) / 127.5 - 1)"),
    Mutant("no scaling factor in", f"{_MODELS}/latents.py", 'pieces.append(latents * parts.encoder.config["scaling_factor"])', "pieces.append(latents)"),
    Mutant("no scaling factor out", f"{_MODELS}/latents.py", 'latents[i : i + batch] / parts.vae.config["scaling_factor"]', "latents[i : i + batch]"),
    Mutant("decoded BGR", f"{_MODELS}/latents.py", "pixels.permute(0, 2, 3, 1).cpu()", "pixels.permute(0, 2, 3, 1).flip(-1).cpu()"),
    Mutant("one noise for all frames of a window", f"{_MODELS}/latents.py", "draw_noise(parts, (seed, step, frame), latent_hw) for frame in frames", "draw_noise(parts, (seed, step), latent_hw) for frame in frames"),
    Mutant("noise does not move with the figure", f"{_MODELS}/surface_noise.py", "of_frame[:, y, x] = table[:, rows]", "pass", ("tests/models/diffusion/test_surface_noise.py",)),
    Mutant("noise occurs twice in a frame", f"{_MODELS}/surface_noise.py", "of_frame[where[first]] = unique", "of_frame[where] = rows.ravel()[where]", ("tests/models/diffusion/test_surface_noise.py",)),
    Mutant("betas of AnimateDiff scaled_linear", f"{_MODELS}/loading.py", '{"beta_schedule": "linear"} if key.has_motion_module else {}', "{}"),
    Mutant("DPM-solver for LCM", f"{_MODELS}/loading.py", 'if key.scheduler == "lcm":', 'if key.scheduler == "never":'),
    Mutant("LoRA never fused", f"{_MODELS}/loading.py", "pipeline.fuse_lora(lora_scale=key.lora_scale)", "pass"),
    Mutant("LoRA fused at 1", f"{_MODELS}/loading.py", "pipeline.fuse_lora(lora_scale=key.lora_scale)", "pipeline.fuse_lora(lora_scale=1.0)"),
    Mutant("every ControlNet given the pose", f"{_MODELS}/conditioner.py", "window.controls[control.name][list(rows)]", 'window.controls["pose"][list(rows)]'),
    Mutant("guiding pictures in reverse", f"{_MODELS}/conditioner.py", "window.controls[control.name][list(rows)]", "window.controls[control.name][list(rows)[::-1]]"),
    Mutant("plates in reverse", f"{_MODELS}/sd15.py", "encode(parts, window.plates[rows], batch, check)", "encode(parts, window.plates[rows[::-1]], batch, check)"),
    Mutant("masks in reverse", f"{_MODELS}/sd15.py", "mask_tensor(parts, inpaint_regions(window, rows))", "mask_tensor(parts, inpaint_regions(window, rows[::-1]))"),
    Mutant("figures in reverse", f"{_MODELS}/sd15.py", "start_pictures(window, rows)", "start_pictures(window, rows[::-1])"),
    Mutant("fraction of the steps ignored", f"{_MODELS}/steps.py", "round(steps * strength)", "steps"),
    Mutant("negative half with ControlNets", f"{_MODELS}/denoise.py", "conditioning.negative_image, None)", "conditioning.negative_image, residuals)"),
    Mutant("depth inverted", "pipeline/perform/controls.py", "_HIPS_SHADE - depth /", "_HIPS_SHADE + depth /", ("tests/perform/test_controls.py",)),
    Mutant("normals not turned to the camera", "pipeline/perform/controls.py", "silhouette[..., None], -normals,", "silhouette[..., None], normals,", ("tests/perform/test_controls.py",)),
    Mutant("faces painted on heads that look away", f"{_MODELS}/face_pass.py", "is_large and face_is_seen(joints, window.skeletons[row])", "is_large", ("tests/models/diffusion/test_face.py",)),
    Mutant("the figure as prompt of the face", f"{_MODELS}/conditioner.py", "set_ip_adapter_scale([0.0, _FACE_ALONE])", "set_ip_adapter_scale([_FACE_ALONE, 0.0])", ("tests/models/diffusion/test_face.py",)),
    Mutant("faces laid back beside their place", f"{_MODELS}/face_pass.py", "invertAffineTransform(_matrix(square, length))", "invertAffineTransform(_matrix(square + 2, length))", ("tests/models/diffusion/test_face.py",)),
    Mutant("VACE's mask inverted", f"{_MODELS}/vace.py", "pil_mask(regions[row])", "pil_mask(~regions[row])", ("tests/models/diffusion/test_wan.py",)),
    Mutant("VACE's figure on black", f"{_MODELS}/vace.py", "drawn, np.uint8(_GRAY))", "drawn, np.uint8(0))", ("tests/models/diffusion/test_wan.py",)),
    Mutant("VACE's reference on gray", f"{_MODELS}/vace.py", "framed_reference(appearance, WHITE)", "framed_reference(appearance)", ("tests/models/diffusion/test_wan.py",)),
    Mutant("finished frames made again by Wan", f"{_MODELS}/wan_window.py", "regions[: len(window.finished)] = False", "pass", ("tests/models/diffusion/test_wan.py",)),
    Mutant("Animate's background with the place of the person in it", f"{_MODELS}/wan_animate.py", "background = np.where(regions[..., None], np.uint8(_BLACK), kept_pictures(window))", "background = kept_pictures(window)", ("tests/models/diffusion/test_wan.py",)),
    Mutant("Animate's faces of backs", f"{_MODELS}/wan_animate.py", "or not face_is_seen(joints, window.skeletons[row])", "", ("tests/models/diffusion/test_wan.py",)),
    Mutant("Animate's frames by number, not by time", f"{_MODELS}/wan_animate.py", "elapsed = round(float(pts_seconds[row] - pts_seconds[0]) * fps)", "elapsed = row", ("tests/models/diffusion/test_wan.py",)),
    Mutant("UMT5 kept", f"{_MODELS}/wan_loading.py", "@lru_cache(maxsize=_KEPT_PROMPTS)", "", ("tests/models/diffusion/test_wan.py",)),
    Mutant("depth believed of somebody else", "pipeline/models/people/depth.py", "if seen is not None and are_the_same(people[row], seen):", "if seen is not None:", ("tests/models/people/test_depth.py",)),
    Mutant("matte without what differs from the plate", "pipeline/perform/matting.py", "if window.plates is not None and window.figure is not None:", "if False:", ("tests/perform/test_completed_mattes.py",)),
    Mutant("the old person's outline as matte", "pipeline/perform/matting.py", "window.masks if window.figure is None else window.figure.silhouette", "window.masks", ("tests/perform/test_matting.py",)),
    Mutant("a single flag pixelates a frame", "pipeline/perform/matting.py", "if len(rows) >= needed:", "if len(rows):", ("tests/perform/test_matting.py",)),
    Mutant("no shadow under painted people", "pipeline/perform/matting.py", "layer = over_ground_shadow(layer, window.figure.layers[row], window.figure.silhouette[row])", "pass", ("tests/perform/test_completed_mattes.py",)),
    Mutant("the wrong driver blamed", "pipeline/models/device.py", 'if int(driver.partition(".")[0]) < _NEEDED_DRIVER:', "if True:", ("tests/models/diffusion/test_device.py",)),
    Mutant("LoRA fused at the build at half its scale", f"{_MODELS}/fused.py", "pipeline.fuse_lora(lora_scale=_FUSED_SCALES[name])", "pipeline.fuse_lora(lora_scale=0.5 * _FUSED_SCALES[name])", ("tests/builder/test_prepare_weights.py",)),
)  # fmt: skip


def survives(mutant: Mutant, copy: Path) -> bool:
    """Whether all tests pass on a copy of the repository with the mutant in it. Raises ``ValueError`` where its line is
    not there, or where the tests do not run."""
    path = copy / mutant.file
    kept = path.read_text(encoding="utf-8")
    if kept.count(mutant.before) < 1:
        raise ValueError(f"{mutant.name}: {mutant.file} has no {mutant.before!r}")
    path.write_text(kept.replace(mutant.before, mutant.after, 1), encoding="utf-8")
    try:
        return run_tests(mutant.tests, copy)
    finally:
        path.write_text(kept, encoding="utf-8")


def run_tests(tests: tuple[str, ...], copy: Path) -> bool:
    """Run tests in a copy. Raises ``ValueError`` where it is not a test that fails, but the run itself."""
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as output:
        child = _FORKS.Process(target=_run_pytest, args=(tests, copy, output.name))
        child.start()
        child.join()
        # An import that fails would count as a mutant caught, whatever the mutant is.
        if child.exitcode not in (0, 1):
            raise ValueError(f"the tests did not run: {output.read()[-500:]}")
    return child.exitcode == 0


def _run_pytest(tests: tuple[str, ...], copy: Path, output: str) -> None:
    """Run tests in this process, a fork whose libraries are loaded already, and end it with pytest's status."""
    with Path(output).open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        os.chdir(copy)
        # What is imported from here on is the copy's.
        sys.path[:] = [str(copy), *(path for path in sys.path if Path(path).resolve() != _ROOT)]
        for name in [name for name in sys.modules if (_ROOT / name.partition(".")[0]).is_dir()]:
            del sys.modules[name]
        # A mutant may be as long and as old as what was there before: a cache would confuse them.
        sys.dont_write_bytecode = True
        status: int = _DID_NOT_RUN
        try:
            # pytest would rewrite the assertions of its plugins, which are loaded already.
            quiet = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
            status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *quiet, *tests])
        finally:
            sys.stdout.flush()
            os._exit(int(status))


def copy_repository(copy: Path) -> None:
    """Copy the repository without what is fetched, made or kept in its root; the weights are linked."""
    ignored = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache")

    def left_out(folder: str, names: list[str]) -> set[str]:
        # Packages of the program may be called so as well.
        in_root = {"weights", "outputs"} if Path(folder) == _ROOT else set()
        return set(ignored(folder, names)) | in_root

    shutil.copytree(_ROOT, copy, ignore=left_out)
    (copy / "weights").symlink_to((_ROOT / "weights").resolve())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("only", nargs="*", help="parts of names; default: all")
    arguments = parser.parse_args()
    chosen = [m for m in MUTANTS if not arguments.only or any(part in m.name for part in arguments.only)]
    alive = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "repository"
        copy_repository(copy)
        _FORKS.set_forkserver_preload(_LIBRARIES)
        for tests in sorted({mutant.tests for mutant in chosen}):
            if not run_tests(tests, copy):
                print(f"{', '.join(tests)}: fails without any mutant")
                return 2
        for number, mutant in enumerate(chosen, 1):
            is_alive = survives(mutant, copy)
            alive += is_alive
            print(f"{number:3}/{len(chosen)}  {'SURVIVES' if is_alive else 'caught':9} {mutant.name}", flush=True)
    print(f"{len(chosen) - alive} of {len(chosen)} mutants are caught")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
