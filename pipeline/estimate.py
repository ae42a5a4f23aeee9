"""Estimate of a job's time and cost, from counted operations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Chunk, Segment
from pipeline.models.diffusion.steps import FACE_STRENGTH, guides_in_step, num_steps_run
from pipeline.models.diffusion.wan_cost import padded_frames, window_tflop
from pipeline.perform.windows import chunk_spans, windows_of
from pipeline.plan.segments import cut_chunks, equal_borders, num_segments
from pipeline.result import Estimate, FanOutEstimate
from pipeline.settings import (
    AnimateDiffSettings,
    AnimateSettings,
    DiffusionSettings,
    MannequinSettings,
    PaintingSettings,
    SegmentSettings,
    Settings,
    VaceSettings,
)

PART_COSTS = Path(__file__).resolve().parent / "part_costs.json"
"""TFLOP per frame of each network, counted by ``python -m benchmarks.generation_cost --write``, and Wan's, by
``benchmarks.wan_cost``."""
GPUS: Mapping[str, float] = {"A40": 149.7, "L40S": 362.0, "H100": 989.0}
"""Dense fp16 peak, TFLOP per second, from NVIDIA's data sheets."""
SHARES = (0.15, 0.25, 0.35)
"""Fraction of the peak that such networks reach: slow, typical, fast. Not measured by us."""
_MANNEQUIN_SHARE = 0.15
"""Fraction of a preview job's time spent on drawing (``worker.progress.STAGE_SHARE``)."""
_BEGIN_SECONDS = (10.0, 30.0, 90.0)
"""Seconds for a further worker to fetch a bundle and load its models: warm, typical, cold. Not measured."""
_LEAST_MEGAPIXELS = 0.17
"""Frames below this size take as long as one of it: people are detected at the same size in every clip."""
_FURTHER_SUBJECT_SHARE = 0.4
"""Fraction of the other stages' time that each further subject adds: ``benchmarks.duet`` measured 0.35 of the CPU time
for one that is in four fifths of the frames."""
_UNSURE = 3.0
"""A machine may be this many times as fast as the one on which the CPU stages were measured."""


def planned_chunks(info: VideoInfo, settings: SegmentSettings) -> tuple[Chunk, ...]:
    """Return the chunks assumed for a clip before SURVEY: one shot, cut into equal segments."""
    total = info.num_frames
    seconds = info.pts_seconds
    borders = equal_borders(0, total, num_segments(float(seconds[-1]), total, settings))
    segments = tuple(Segment(0, start, stop, "part") for start, stop in pairwise(borders))
    return cut_chunks(segments, seconds, settings.chunk_seconds)


def seconds_on(gpu: str, tflop: float, share: float) -> float:
    """Return the seconds that ``tflop`` take at a fraction of a GPU's peak."""
    return tflop / (GPUS[gpu] * share)


def estimate(info: VideoInfo, settings: Settings, workers: int = 1, subjects: int = 1) -> Estimate:
    """Estimate a job before it runs: windows, generator calls, TFLOP, seconds and cost per GPU type.

    ``seconds`` has three figures for each GPU type, for a fast, a typical and a slow run: the generator's counted
    operations at a fraction of the GPU's peak, and all other stages, which run on the CPU, as measured there. All
    ``subjects`` are assumed to be in every frame, in one shot. With more than one of the ``workers`` the same is
    estimated for shared chunks.
    """
    frames = info.num_frames
    chunks = planned_chunks(info, settings.segment)
    counted = {name: number * subjects for name, number in counted_frames(chunks, settings).items()}
    tflop = subjects * _tflop(chunks, settings) + _detection_tflop(frames, settings)
    others = frames * max(info.width * info.height / 1e6, _LEAST_MEGAPIXELS) * settings.limits.seconds_per_megapixel
    others *= 1 + _FURTHER_SUBJECT_SHARE * (subjects - 1)
    seconds: dict[str, tuple[float, float, float] | float] = {"CPU": round(others, 1)}
    cost: dict[str, tuple[float, float, float]] = {}
    if settings.generate.backend != "mannequin":
        quick_to_slow = {gpu: _quick_to_slow(gpu, tflop, others) for gpu in GPUS}
        seconds = {**quick_to_slow}
        for gpu, price in settings.limits.usd_per_hour.items():
            if gpu in quick_to_slow:
                quick, usual, slow = (round(value / 3600 * price, 4) for value in quick_to_slow[gpu])
                cost[gpu] = (quick, usual, slow)
    told = Estimate(
        frames=frames,
        windows=counted["windows"],
        generator_calls=sum(
            counted.get(name, 0) for name in ("unet", "unet_motion", "face_unet_motion", "transformer")
        ),
        tflop=round(tflop, 1),
        other_stages_s=round(others, 1),
        seconds=seconds,
        cost_usd={gpu: cost[gpu] for gpu in GPUS if gpu in cost},
    )
    if workers == 1:
        return told
    return told.model_copy(update={"fan_out": _shared(info, settings, workers, tflop, others)})


def _shared(info: VideoInfo, settings: Settings, workers: int, tflop: float, others: float) -> FanOutEstimate:
    """Estimate a job that shares its chunks: GPU time is divided, everything else unchanged.

    Several subjects are generated one after the other, each by all workers.
    """
    chunks = len(planned_chunks(info, settings.segment))
    overlap = settings.segment.overlap_frames if settings.composite.crossfade else 0
    # Chunks of one shot that continue from each other's frames are generated sequentially, on whichever worker.
    is_chain = overlap > 0 and getattr(settings.generate, "conditioning_frames", 0) > 0
    drawing = 1 if is_chain else min(workers, chunks)
    share = -(-chunks // drawing) / chunks
    if settings.generate.backend == "mannequin":
        seconds = round(others * (1 - _MANNEQUIN_SHARE * (1 - share)), 1)
        return FanOutEstimate(workers=drawing, seconds={"CPU": seconds}, cost_usd={})
    times: dict[str, tuple[float, float, float] | float] = {}
    cost: dict[str, tuple[float, float, float]] = {}
    for gpu in GPUS:
        card = [seconds_on(gpu, tflop, of_peak) for of_peak in SHARES[::-1]]
        quick, usual, slow = (round(each * share + others, 1) for each in card)
        times[gpu] = quick, usual, slow
        price = settings.limits.usd_per_hour.get(gpu)
        if price is not None:
            began = [(drawing - 1) * each for each in _BEGIN_SECONDS]
            quick, usual, slow = (
                round((each + others + begin) / 3600 * price, 4) for each, begin in zip(card, began, strict=True)
            )
            cost[gpu] = quick, usual, slow
    return FanOutEstimate(workers=drawing, seconds=times, cost_usd=cost)


def _quick_to_slow(gpu: str, tflop: float, others_seconds: float) -> tuple[float, float, float]:
    quick, usual, slow = (round(seconds_on(gpu, tflop, share) + others_seconds, 1) for share in SHARES[::-1])
    return quick, usual, slow


def seconds_of_job(info: VideoInfo, settings: Settings, subjects: int = 1) -> tuple[float, float]:
    """Return a lower bound of a job's time, on the fastest machine, and its typical time on an A40."""
    told = estimate(info, settings, subjects=subjects)
    others = told.other_stages_s
    by_gpu = [figures for figures in told.seconds.values() if isinstance(figures, tuple)]
    if not by_gpu:
        return others / _UNSURE, others
    quickest = min(quick for quick, *_ in by_gpu)
    return quickest - others * (1 - 1 / _UNSURE), by_gpu[list(GPUS).index("A40")][1]


def generation_share(settings: Settings) -> float:
    """Return the fraction of a job's time that the generator takes on an A40, 0..1, for 10 s of 720p at 30 fps."""
    if isinstance(settings.generate, MannequinSettings):
        return 0.0
    seconds = np.arange(300) / 30.0
    chunks = cut_chunks((Segment(0, 0, len(seconds), "part"),), seconds, settings.segment.chunk_seconds)
    drawing = seconds_on("A40", _tflop(chunks, settings), SHARES[1])
    others = len(seconds) * 1280 * 720 / 1e6 * settings.limits.seconds_per_megapixel
    return drawing / (drawing + others)


def generator_tflop(chunks: Sequence[Chunk], settings: Settings) -> float:
    """Return the operations of the generator alone, over all its windows."""
    if isinstance(settings.generate, MannequinSettings):
        return 0.0
    if isinstance(settings.generate, VaceSettings | AnimateSettings):
        costs_of_wan = _kept("wan")
        return sum(window_tflop(frames, settings.generate, costs_of_wan) for frames, _ in _windows(chunks, settings))
    costs = part_costs(settings.generate)
    return sum(costs[name] * number for name, number in counted_frames(chunks, settings).items() if name != "windows")


def _tflop(chunks: Sequence[Chunk], settings: Settings) -> float:
    """Return the operations of the generator, and of each generated frame's matte and safety check."""
    if isinstance(settings.generate, MannequinSettings):
        return 0.0
    beside = _kept("beside")
    made = sum(frames - held for frames, held in _windows(chunks, settings))
    finishing = made * (beside["people"] + beside["safety"] * settings.generate.safety)
    return generator_tflop(chunks, settings) + finishing


def _detection_tflop(frames: int, settings: Settings) -> float:
    """Return the operations of finding the people in the source, once for all subjects."""
    return 0.0 if isinstance(settings.generate, MannequinSettings) else frames * _kept("beside")["people"]


def part_costs(settings: DiffusionSettings) -> dict[str, float]:
    """Return TFLOP per frame of each part at the settings' sizes of crop and faces, in proportion to the area."""
    tflop: dict[str, float] = _kept("tflop")
    width, height = settings.crop_size_wh
    whole = math.prod(_kept("size_wh"))
    of_crop = {name: value * width * height / whole for name, value in tflop.items()}
    if not isinstance(settings, AnimateDiffSettings):
        return of_crop
    return of_crop | {f"face_{name}": value * settings.face_px**2 / whole for name, value in tflop.items()}


@lru_cache(maxsize=4)
def _kept(name: str) -> Any:
    return json.loads(PART_COSTS.read_text(encoding="utf-8"))[name]


def counted_frames(chunks: Sequence[Chunk], settings: Settings) -> dict[str, int]:
    """Return the number of frames that each part processes, and the number of windows, as the generators compute
    them."""
    generate = settings.generate
    if isinstance(generate, MannequinSettings):
        frames = sum(chunk.stop - chunk.start for chunk in chunks)
        return {"windows": -(-frames // 32)}
    counts: dict[str, int] = {"windows": 0}
    for frames, held in _windows(chunks, settings):
        if isinstance(generate, DiffusionSettings):
            counted = _of_window(frames, held, generate)
        else:
            counted = {"transformer": padded_frames(frames) * generate.steps * (2 if generate.guidance > 1 else 1)}
        for name, number in counted.items():
            counts[name] = counts.get(name, 0) + number
        counts["windows"] += 1
    return counts


def _windows(chunks: Sequence[Chunk], settings: Settings) -> Iterator[tuple[int, int]]:
    """Yield (frames, finished frames given) of each window of an image generator."""
    generate = settings.generate
    assert isinstance(generate, PaintingSettings)
    overlap = settings.segment.overlap_frames if settings.composite.crossfade else 0
    shared = min(overlap, generate.conditioning_frames)
    for chunk in chunk_spans(chunks, overlap):
        held_at_start = min(shared, chunk.num_lead_in_frames) if chunk.continues is not None else 0
        for span in windows_of(chunk.start, chunk.chunk.stop, generate.window_frames, shared):
            yield span.stop - span.start, span.overlap if span.start > chunk.start else held_at_start


def _of_window(frames: int, held: int, generate: DiffusionSettings) -> dict[str, int]:
    has_motion_module = generate.backend == "animatediff"
    made = frames - held
    starts = generate.strength < 1
    steps = num_steps_run(generate.steps, generate.strength, has_start=starts)
    # A motion module processes the whole window, at least 16 frames; single frames are generated alone.
    seen = max(frames, 16) if has_motion_module else made
    guided = sum(
        sum(guides_in_step(step, steps, control.end) for step in range(steps))
        for control in generate.controls
        if control.weight
    )
    counted = {
        "unet_motion" if has_motion_module else "unet": seen * steps * (2 if generate.guidance > 1 else 1),
        "controlnet": seen * guided,
        f"{generate.encoder}_encode": (frames if has_motion_module else made) * (2 if starts else 1),
        f"{generate.decoder}_decode": made,
    }
    if isinstance(generate, AnimateDiffSettings) and generate.face_px and made:
        # Assumes that every face is visible.
        steps = num_steps_run(generate.steps, FACE_STRENGTH, has_start=True)
        counted |= {
            "face_unet_motion": max(made, 16) * steps,
            f"face_{generate.encoder}_encode": made,
            f"face_{generate.encoder}_decode": made,
        }
    return counted


def estimate_lines(told: Estimate) -> list[str]:
    """Return an estimate as sentences: the work to do, then time and cost for each GPU type."""
    work = f", {told.tflop:,.0f} TFLOP in {told.windows} windows" if told.tflop else ""
    lines = [f"{told.frames} frames{work}"]
    for name, seconds in told.seconds.items():
        if isinstance(seconds, tuple):
            quick, usual, slow = seconds
            time = f"about {usual:.0f} s ({quick:.0f} to {slow:.0f})"
        else:
            time = f"about {seconds:.0f} s"
        cost = told.cost_usd.get(name)
        money = f", {cost[1]:.3f} US dollars ({cost[0]:.3f} to {cost[2]:.3f})" if cost else ""
        lines.append(f"{name}: {time}{money}")
    if told.fan_out is not None:
        shared = told.model_copy(
            update={"seconds": told.fan_out.seconds, "cost_usd": told.fan_out.cost_usd, "fan_out": None}
        )
        lines += [f"{told.fan_out.workers} workers, {line}" for line in estimate_lines(shared)[1:]]
    return lines
