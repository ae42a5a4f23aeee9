"""Count the operations per generated frame: `python -m benchmarks.generation_cost` (requirements-gpu.lock, no GPU).

The networks of Stable Diffusion 1.5 are created on torch's meta device at their real size, where tensors have shapes
but no values; ``torch.utils.flop_counter`` counts each part once (two floating point operations per multiply-add). Then
our own generators run over the windows of a 10 s clip with components that only count the frames they receive. The
figure is the sum over the clip, including overlaps and lead-ins, divided by the clip's frames. What every preset runs
beside its generator is counted separately: the people detector on each source frame and each generated one, the safety
checker on the latter. Encoding prompt and reference (once per job), SAM and BlazePose are left out.

``--write`` stores the table of parts in ``pipeline/part_costs.json``, which the mode ``estimate`` reads.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    ControlNetModel,
    LCMScheduler,
    MotionAdapter,
    UNet2DConditionModel,
    UNetMotionModel,
)
from diffusers.pipelines.free_noise_utils import AnimateDiffFreeNoiseMixin
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.random_weights import safety_checker
from benchmarks.stable_diffusion_sizes import PUBLISHED
from conf import compose_settings
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.window import FigureGuide, Layer, Window
from pipeline.estimate import GPUS, PART_COSTS, SHARES, part_costs, planned_chunks, seconds_on
from pipeline.models.diffusion.animatediff import AnimateDiff
from pipeline.models.diffusion.denoise import Conditioning
from pipeline.models.diffusion.loading import CONTEXT_FRAMES, CONTEXT_STRIDE, Components
from pipeline.models.diffusion.sd15 import StableDiffusion
from pipeline.models.interfaces import Generator
from pipeline.models.people.yolo import SIDE_PX, import_ultralytics
from pipeline.perform.windows import chunk_spans, windows_of
from pipeline.settings import AnimateDiffSettings, DiffusionSettings, Settings

AIMS_TFLOP = {"fast": 6.0, "balanced": 22.0, "high": 42.0}
_SIZE_WH = (512, 768)
_FPS = 30
_SECONDS = 10
_TEXT = (1, 77, 768)
_DETECTED_WIDTH = 448
"""Of the crop reduced to ``SIDE_PX`` in height, in multiples of 32."""
_COUNTED_FRAMES = 32
"""Processed by the motion modules in overlapping contexts, as in the presets."""


def count_parts(size_wh: tuple[int, int] = _SIZE_WH) -> dict[str, float]:
    """Return TFLOP per frame of each part at a picture size."""
    width, height = size_wh
    latent = (1, 4, height // 8, width // 8)
    picture = (1, 3, height, width)
    frames = _COUNTED_FRAMES
    with torch.device("meta"), torch.inference_mode():
        unet = UNet2DConditionModel(cross_attention_dim=768)
        motion = UNetMotionModel.from_unet2d(unet, MotionAdapter(motion_max_seq_length=32), load_weights=False)
        see_in_contexts(motion)
        controlnet = ControlNetModel(cross_attention_dim=768)
        vae = autoencoder()
        tiny = AutoencoderTiny()
        text = torch.empty(_TEXT)
        time = torch.tensor(1)
        return {
            "unet": _tflop(lambda: unet(torch.empty(latent), time, text)),
            "unet_motion": _tflop(
                lambda: motion(torch.empty(1, 4, frames, *latent[2:]), time, text.expand(frames, -1, -1))
            )
            / frames,
            "controlnet": _tflop(
                lambda: controlnet(torch.empty(latent), time, text, controlnet_cond=torch.empty(picture))
            ),
            "full_encode": _tflop(lambda: vae.encode(torch.empty(picture))),
            "full_decode": _tflop(lambda: vae.decode(torch.empty(latent))),
            "tiny_encode": _tflop(lambda: tiny.encode(torch.empty(picture))),
            "tiny_decode": _tflop(lambda: tiny.decode(torch.empty(latent))),
        }


def count_people() -> float:
    """Return TFLOP per picture of both people models, at the size that ultralytics makes of the crop.

    As in training, with the head's second branch: inference needs values, which tensors on the meta device lack.
    """
    import_ultralytics()
    from ultralytics.nn.tasks import PoseModel, SegmentationModel

    total = 0.0
    for kind, description in ((SegmentationModel, "yolo26m-seg.yaml"), (PoseModel, "yolo26m-pose.yaml")):
        model = kind(description, verbose=False).to("meta")
        with torch.no_grad():
            total += _tflop(partial(model, torch.empty(1, 3, SIDE_PX, _DETECTED_WIDTH, device="meta")))
    return total


def count_safety() -> float:
    """Return TFLOP per picture of the safety checker's vision model."""
    with torch.device("meta"), torch.inference_mode():
        checker = safety_checker(PUBLISHED)
        side = int(checker.config.vision_config.image_size)
        return _tflop(lambda: checker.vision_model(torch.empty(1, 3, side, side)))


def see_in_contexts(motion: UNetMotionModel) -> None:
    """Make the motion modules process overlapping contexts, as the loading code does through the pipeline."""
    mixin: Any = AnimateDiffFreeNoiseMixin()
    mixin.unet = motion
    mixin.device = motion.device
    mixin.dtype = motion.dtype
    mixin.motion_adapter = SimpleNamespace(config=SimpleNamespace(motion_max_seq_length=CONTEXT_FRAMES))
    mixin.enable_free_noise(context_length=CONTEXT_FRAMES, context_stride=CONTEXT_STRIDE)


def autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )


def _tflop(call: Any) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops()) / 1e12


class _Counter:
    """Components that count the frames they receive, by name."""

    def __init__(self, settings: DiffusionSettings) -> None:
        self.frames: dict[str, int] = {}
        self._face_side = settings.face_px // 8 if isinstance(settings, AnimateDiffSettings) else 0
        has_motion_module = settings.backend == "animatediff"
        self._unet = "unet_motion" if has_motion_module else "unet"
        self.parts = Components(
            pipeline=SimpleNamespace(set_ip_adapter_scale=lambda scales: None),
            unet=self._predict,
            controlnets={control.name: self._control for control in settings.controls},
            vae=self._autoencoder(settings.decoder),
            encoder=self._autoencoder(settings.encoder),
            scheduler=LCMScheduler(),
            device=torch.device("cpu"),
            dtype=torch.float32,
            has_motion_module=has_motion_module,
        )

    def _autoencoder(self, kind: str) -> Any:
        vae: Any = object.__new__(AutoencoderTiny)
        torch.nn.Module.__init__(vae)
        vae.encode = partial(self._encode, kind)
        vae.decode = partial(self._decode, kind)
        vae.register_to_config(scaling_factor=1.0)
        return vae

    def _add(self, name: str, frames: int, latents: torch.Tensor) -> None:
        # Face passes are recognized by the size of their square.
        name = f"face_{name}" if latents.shape[-1] == self._face_side else name
        self.frames[name] = self.frames.get(name, 0) + frames

    def _predict(self, x: torch.Tensor, t: torch.Tensor, **more: Any) -> tuple[torch.Tensor]:
        self._add(self._unet, x.shape[2] if x.dim() == 5 else len(x), x)
        return (torch.zeros_like(x),)

    def _control(self, x: torch.Tensor, t: torch.Tensor, **more: Any) -> tuple[list[torch.Tensor], torch.Tensor]:
        self._add("controlnet", len(x), x)
        return [], torch.zeros(len(x), 1)

    def _encode(self, kind: str, x: torch.Tensor) -> Any:
        latents = torch.zeros(len(x), 4, x.shape[2] // 8, x.shape[3] // 8)
        self._add(f"{kind}_encode", len(x), latents)
        return SimpleNamespace(latents=latents)

    def _decode(self, kind: str, x: torch.Tensor) -> Any:
        self._add(f"{kind}_decode", len(x), x)
        return SimpleNamespace(sample=torch.zeros(len(x), 3, x.shape[2] * 8, x.shape[3] * 8))


def clip_info(frames: int) -> VideoInfo:
    """Return the facts of a 720p clip at 30 fps that costs depend on."""
    info: Any = SimpleNamespace(num_frames=frames, pts_seconds=np.arange(frames) / _FPS, width=1280, height=720)
    made: VideoInfo = info
    return made


def count_calls(settings: Settings) -> tuple[dict[str, float], int]:
    """Return how many frames each part processes per output frame, and the number of windows."""
    # Costs are proportional to area, so a small crop yields the same counts.
    assert isinstance(settings.generate, DiffusionSettings)
    update: dict[str, Any] = {"crop_size_wh": (64, 64), "device": "cpu", "batch_frames": 16}
    if isinstance(settings.generate, AnimateDiffSettings):
        update["face_px"] = 128
    small = settings.generate.model_copy(update=update)
    counter = _Counter(small)
    kind = AnimateDiff if small.backend == "animatediff" else StableDiffusion
    generator: Any = kind(counter.parts, small)
    empty = torch.zeros(1, 1, 1)
    generator._conditioner._conditioning = Conditioning(empty, empty, (), ())
    total = _FPS * _SECONDS
    windows = 0
    overlap = min(settings.segment.overlap_frames, small.conditioning_frames)
    chunks = planned_chunks(clip_info(total), settings.segment)
    for chunk in chunk_spans(chunks, settings.segment.overlap_frames):
        finished = min(small.conditioning_frames, chunk.num_lead_in_frames) if chunk.continues is not None else 0
        for span in windows_of(chunk.start, chunk.chunk.stop, small.window_frames, overlap):
            windows += 1
            is_first = span.start == chunk.start
            _generate(generator, small, span.stop - span.start, finished if is_first else span.overlap)
    return {name: frames / total for name, frames in counter.frames.items()}, windows


def _generate(generator: Generator, settings: DiffusionSettings, frames: int, finished: int) -> None:
    width, height = settings.crop_size_wh
    pictures = np.zeros((frames, height, width, 3), np.uint8)
    layer = Layer(pictures[0], np.zeros((height, width), np.uint8))
    # A face visible in every frame: the nose is nearer than the ears.
    joints = np.full((frames, 21, 3), 0.9, np.float32)
    joints[..., :2] = width / 2
    skeletons = np.zeros((frames, 23, 3), np.float32)
    skeletons[:, 0, 2] = -1
    window = Window(
        start=0,
        size_wh=(width, height),
        pts_seconds=np.arange(frames) / _FPS,
        joints=joints,
        skeletons=skeletons,
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, 200.0),
        presence=np.full(frames, 2, np.uint8),
        pictures=pictures,
        plates=pictures,
        masks=np.zeros((frames, height, width), np.bool_),
        controls={control.name: pictures for control in settings.controls},
        finished=(layer,) * finished,
        figure=FigureGuide(
            (layer,) * frames,
            np.full((frames, height, width), np.nan, np.float32),
            np.zeros((frames, height, width, 3), np.float32),
        ),
    )
    for _ in generator.generate(window, 0, lambda: None):
        pass


def naive_tflop(parts: Mapping[str, float], *, steps: int = 25, controls: int = 3) -> float:
    """Return the cost of a frame with guidance, every ControlNet in every step for both halves, and the full
    autoencoder."""
    return 2 * steps * (parts["unet"] + controls * parts["controlnet"]) + parts["full_encode"] + parts["full_decode"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation_cost")
    parser.add_argument("--write", action="store_true", help=f"keep the parts' table in {PART_COSTS}")
    arguments = parser.parse_args()
    parts = count_parts()
    print(f"TFLOP a frame of each part at {_SIZE_WH[0]} x {_SIZE_WH[1]}:")
    for name, tflop in parts.items():
        print(f"  {name:14} {tflop:6.2f}")
    if arguments.write:
        kept = json.loads(PART_COSTS.read_text(encoding="utf-8"))
        kept |= {
            "size_wh": _SIZE_WH,
            "tflop": {name: round(tflop, 4) for name, tflop in parts.items()},
            "beside": {"people": round(count_people(), 3), "safety": round(count_safety(), 3)},
        }
        PART_COSTS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(f"naive (25 steps, guidance, 3 ControlNets, full autoencoder): {naive_tflop(parts):.1f}")
    missed = False
    for preset, aim in AIMS_TFLOP.items():
        calls, windows = count_calls(compose_settings(preset))
        settings = compose_settings(preset).generate
        assert isinstance(settings, DiffusionSettings)
        costs = part_costs(settings)
        tflop = sum(costs[name] * frames for name, frames in calls.items())
        missed |= tflop > aim
        told = ", ".join(f"{name} {frames:.2f}" for name, frames in calls.items())
        verdict = "ok" if tflop <= aim else "MISSED"
        print(f"{preset:9} {tflop:5.1f} TFLOP an output frame (aim {aim:g}) {verdict}; {windows} windows")
        print(f"          frames a part is given, an output frame: {told}")
        shares = " / ".join(f"{share:.0%}" for share in SHARES)
        print(f"          estimate: generation of {_SECONDS} s at {_FPS} fps, at {shares} of dense fp16 peak:")
        for gpu in GPUS:
            print(
                f"            {gpu:5} "
                + " / ".join(f"{seconds_on(gpu, tflop * _FPS * _SECONDS, s):.0f} s" for s in SHARES)
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
