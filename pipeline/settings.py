"""Typed settings, one frozen class a stage, mirroring ``conf/``. Hydra composes, these validate.

Lengths are in body heights (``_bh``), seconds or px as their names say, so that a setting means the same on every clip.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Settings(BaseModel):
    # What stands below a field is its description in the schema: the web page and the README show it.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=False, allow_inf_nan=False, use_attribute_docstrings=True
    )


class LimitSettings(_Settings):
    """The operator's caps; a caller cannot change them."""

    max_side_px: Annotated[int, Field(ge=16)] = 4096
    max_megapixels: Annotated[float, Field(gt=0)] = 8.9
    max_fps: Annotated[float, Field(gt=0)] = 120.0
    max_frames: Annotated[int, Field(ge=1)] = 20_000
    max_bytes: Annotated[int, Field(ge=1)] = 2 * 1024**3
    fetch_seconds: Annotated[float, Field(gt=0)] = 300.0
    max_reference_bytes: Annotated[int, Field(ge=1)] = 15_000_000
    max_reference_megapixels: Annotated[float, Field(gt=0)] = 40.0
    seconds_per_megapixel: Annotated[float, Field(gt=0)] = 0.3
    """What a job takes for a million pixels of a frame, to compare with the time it has (preview, 720p, four cores)."""
    usd_per_hour: dict[str, Annotated[float, Field(ge=0)]] = {"A40": 1.224, "L40S": 1.908, "H100": 4.176}
    """For the mode ``estimate``: flex workers, docs.runpod.io/serverless/pricing as stored in 2026. Set your own."""


class StabilizeSettings(_Settings):
    """Camera motion and its smoothing."""

    features: Annotated[int, Field(ge=20, le=2000)] = 200
    scale: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Size at which features are found and tracked, of the source's."""
    model: Literal["auto", "homography", "similarity"] = "auto"
    """What a camera's motion may be between two frames; auto is a homography where the points carry one."""
    window_seconds: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Over so long the camera's path is smoothed before the person is drawn."""


class PeopleSettings(_Settings):
    """Finding, following and choosing."""

    backend: Literal["blazepose", "yolo"] = "blazepose"
    device: Literal["cuda", "cpu"] = "cpu"
    """Of ``yolo``; BlazePose runs on the CPU."""
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.2
    max_gap_seconds: Annotated[float, Field(ge=0, le=5)] = 0.5
    """So long a person may be unseen and is still filled in; what is longer passes untouched."""


class SegmentSettings(_Settings):
    """Cutting time."""

    count: Annotated[int, Field(ge=0, le=12)] = 0
    """Segments a shot; 0 is automatic: one under ``short_shot_seconds``, else three."""
    short_shot_seconds: Annotated[float, Field(ge=0)] = 5.5
    chunk_seconds: Annotated[float, Field(gt=0, le=20)] = 4.0
    overlap_frames: Annotated[int, Field(ge=0, le=30)] = 5
    """Frames over which one segment's person is blended into the next one's."""
    detect_cuts: bool = True


class PlateSettings(_Settings):
    """The clean background."""

    method: Literal["median", "off"] = "median"
    """The clean background, rebuilt from frames that saw it; off: the source itself."""
    samples: Annotated[int, Field(ge=1, le=61)] = 9
    anchor_seconds: Annotated[float, Field(gt=0, le=60)] = 1.5
    inpaint: Literal["telea", "ns"] = "telea"
    """How background is filled that no frame ever saw: Telea, or Navier-Stokes."""
    gain: bool = True
    """The background takes on each frame's brightness."""
    grain: bool = True
    """The background gets the source's grain."""


class ControlSettings(_Settings):
    """One ControlNet."""

    name: Literal["pose", "depth", "canny"]
    weight: Annotated[float, Field(ge=0, le=2)] = 1.0
    end: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the steps in which it guides."""


class GenerateSettings(_Settings):
    """Which generator, and how it works. What begins below ``figure`` concerns the diffusion generators."""

    backend: Literal["mannequin", "sd15", "animatediff"] = "mannequin"
    crop_height_px: Annotated[int, Field(ge=128, le=2048)] = 768
    """Largest crop height of generators that take any size."""
    figure: Literal["auto", "female", "male"] = "auto"
    """Body of the mannequin; auto is the mean of both."""
    crop_size_wh: tuple[
        Annotated[int, Field(ge=64, le=2048, multiple_of=64)], Annotated[int, Field(ge=64, le=2048, multiple_of=64)]
    ] = (512, 768)
    window_frames: Annotated[int, Field(ge=2, le=32)] = 8
    """Motion modules hold at most 32 places."""
    conditioning_frames: Annotated[int, Field(ge=0, le=8)] = 1
    """Finished frames that the next window begins with."""
    steps: Annotated[int, Field(ge=1, le=30)] = 4
    """Denoising steps of the diffusion generators; time and cost grow with them."""
    guidance: Annotated[float, Field(ge=1, le=15)] = 1.0
    """Classifier-free guidance; 1 is none, at half the cost, and the negative prompt does nothing."""
    strength: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Share of the steps that are run where there is a picture to begin from (the frame before, carried along)."""
    scheduler: Literal["lcm", "dpmpp"] = "lcm"
    lora: Literal["none", "lcm", "animatelcm"] = "lcm"
    lora_scale: Annotated[float, Field(ge=0, le=1)] = 1.0
    motion: Literal["animatelcm", "v1-5-3"] = "animatelcm"
    """Motion module of ``animatediff``."""
    controls: tuple[ControlSettings, ...] = (ControlSettings(name="pose", end=0.75),)
    reference_scale: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Weight of the reference picture (IP-Adapter)."""
    decoder: Literal["full", "tiny"] = "tiny"
    """Autoencoder: Stable Diffusion's, or TAESD at a fifteenth of the cost."""
    batch_frames: Annotated[int, Field(ge=0, le=64)] = 0
    """Frames in the device's memory at once; 0: from the memory that is free."""
    device: Literal["cuda", "cpu"] = "cuda"
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    compile: bool = False
    """``torch.compile`` of the UNet: minutes at start-up, less time a step."""
    safety: bool = True
    """Look at what was generated with Stable Diffusion's safety checker, and coarsen what it flags."""
    default_prompt: str = "photo of a person, full body, natural light, sharp focus"
    """Where a job has none."""
    negative_prompt: str = "deformed, extra limbs, bad hands, bad anatomy, lowres, blurry, jpeg artifacts, watermark"
    """Where a job has none."""


class TemporalSettings(_Settings):
    """Flicker removal."""

    method: Literal["off", "flow"] = "off"
    """Against flicker: each layer is blended with the one before, carried along by optical flow."""
    strength: Annotated[float, Field(ge=0, le=1)] = 0.7
    """How much of the frame before comes in; 0 is none."""


class FootLockSettings(_Settings):
    """Contacts and pinning."""

    enabled: bool = True
    """The new person's feet are held where the old one's stood."""
    speed_in_bh_per_s: Annotated[float, Field(gt=0)] = 0.30
    speed_out_bh_per_s: Annotated[float, Field(gt=0)] = 0.50
    velocity_px: Annotated[float, Field(ge=0)] = 0.0
    """Above 0: the seed design's rule, ankle speed in px a frame in the picture."""
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the way to the held place that a planted foot is moved."""
    ease_seconds: Annotated[float, Field(ge=0, le=1)] = 0.15
    """So long a foot takes into the lock and out of it."""
    min_contact_seconds: Annotated[float, Field(ge=0, le=1)] = 0.13


class CompositeSettings(_Settings):
    """Layer over plate over source."""

    feather_px: Annotated[float, Field(ge=0, le=64)] = 2.0
    """At 360 lines; grows with the picture's short side."""
    dilate_bh: Annotated[float, Field(ge=0, le=0.3)] = 0.025
    """Dilation of the old person's mask beyond the feather, body heights."""
    complete_mask: bool = True
    """What the mask misses of the old person, such as a hand, is found by its difference from the clean background."""
    reshake: bool = True
    """Off: the layer is put where the smoothed camera would have had it (to see what reshake is worth)."""
    crossfade: bool = True
    """Segments are blended into each other; off: they are cut."""


class OutputSettings(_Settings):
    """Encoding."""

    codec: Literal["h264", "lossless"] = "h264"
    """Lossless keeps every sample outside the edit region as it was; the file is many times as large."""
    crf: Annotated[int, Field(ge=0, le=40)] = 16
    """Quality of h264: smaller is better and larger; 16 is hard to tell from the source."""
    encoder_preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = "veryfast"
    threads: Annotated[int, Field(ge=1, le=64)] = 4
    """Pinned: x264's bytes depend on it."""
    provenance_tag: bool = True


class Settings(_Settings):
    """One preset, whole."""

    preset: str = "preview"
    limits: LimitSettings = LimitSettings()
    stabilize: StabilizeSettings = StabilizeSettings()
    people: PeopleSettings = PeopleSettings()
    segment: SegmentSettings = SegmentSettings()
    plate: PlateSettings = PlateSettings()
    generate: GenerateSettings = GenerateSettings()
    temporal: TemporalSettings = TemporalSettings()
    foot_lock: FootLockSettings = FootLockSettings()
    composite: CompositeSettings = CompositeSettings()
    output: OutputSettings = OutputSettings()
