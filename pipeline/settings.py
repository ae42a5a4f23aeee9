"""Typed settings, one frozen class per stage. All defaults are here; the files in ``conf/`` hold what differs.

Lengths are in body heights (``_bh``), seconds or px, as their names say, so that a setting means the same on every
clip.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Settings(BaseModel):
    # The string below a field is its description in the schema, which the web page and the documentation show.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=False, allow_inf_nan=False, use_attribute_docstrings=True
    )


LoraFile = Annotated[str, Field(pattern=r"^([\w-][\w.-]*\.safetensors)?$")]
"""Name of a file, without a path; empty: none."""


class LimitSettings(_Settings):
    """The operator's limits; a caller cannot change them."""

    max_side_px: Annotated[int, Field(ge=16)] = 4096
    max_megapixels: Annotated[float, Field(gt=0)] = 8.9
    max_fps: Annotated[float, Field(gt=0)] = 120.0
    max_frames: Annotated[int, Field(ge=1)] = 20_000
    max_bytes: Annotated[int, Field(ge=1)] = 2 * 1024**3
    fetch_seconds: Annotated[float, Field(gt=0)] = 300.0
    max_reference_bytes: Annotated[int, Field(ge=1)] = 15_000_000
    max_reference_megapixels: Annotated[float, Field(gt=0)] = 40.0
    seconds_per_megapixel: Annotated[float, Field(gt=0)] = 0.3
    """Processing time per megapixel of source frames, to compare with the time limit (preview, 720p, four cores)."""
    usd_per_hour: dict[str, Annotated[float, Field(ge=0)]] = {"A40": 1.224, "L40S": 1.908, "H100": 4.176}
    """GPU prices for the mode ``estimate``: those of RunPod's flex workers in 2026. Set your own."""


class StabilizeSettings(_Settings):
    """Camera motion and its smoothing."""

    features: Annotated[int, Field(ge=20, le=2000)] = 200
    scale: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Scale at which features are detected and tracked, relative to the source."""
    model: Literal["auto", "homography", "similarity"] = "auto"
    """Motion model between two frames; auto uses a homography if enough points support one."""
    window_seconds: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Length of the window over which the camera path is smoothed."""


class PeopleSettings(_Settings):
    """Detection, tracking and selection of people."""

    backend: Literal["blazepose", "yolo"] = "blazepose"
    device: Literal["cuda", "cpu"] = "cpu"
    """Device for ``yolo``; BlazePose always runs on the CPU."""
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.2
    masks: Literal["detector", "sam2"] = "detector"
    """Where masks come from: detector is the ``backend`` itself; sam2 carries those of ``yolo`` from frame to frame
    with SAM 2.1, which also keeps people apart who cross."""
    max_gap_seconds: Annotated[float, Field(ge=0, le=5)] = 0.5
    """Longest gap over which a hidden person is interpolated; the frames of longer gaps are left unchanged."""

    @model_validator(mode="after")
    def _masks_have_their_detector(self) -> Self:
        if self.masks == "sam2" and self.backend != "yolo":
            raise ValueError("people.masks=sam2 needs people.backend=yolo")
        return self


class SegmentSettings(_Settings):
    """Shots, segments and chunks."""

    count: Annotated[int, Field(ge=0, le=12)] = 0
    """Segments per shot; 0 chooses automatically: one below ``short_shot_seconds``, else three."""
    short_shot_seconds: Annotated[float, Field(ge=0)] = 5.5
    chunk_seconds: Annotated[float, Field(gt=0, le=20)] = 4.0
    overlap_frames: Annotated[int, Field(ge=0, le=30)] = 5
    """Frames over which the new person of one segment is crossfaded into that of the next."""
    cut_method: Literal["content", "off"] = "content"
    """How hard cuts are detected; off treats the clip as one shot."""


FillMethod = Literal["patches", "telea", "ns"]


class PlateSettings(_Settings):
    """The clean background."""

    method: Literal["median", "off"] = "median"
    """How the clean background is made: median is a masked median of the frames that show it, off inpaints each
    frame."""
    samples: Annotated[int, Field(ge=1, le=61)] = 9
    anchor_seconds: Annotated[float, Field(gt=0, le=60)] = 1.5
    inpaint: FillMethod = "patches"
    """How background that no frame shows is inpainted: with patches of its surroundings, which continues lines and
    texture, or smoothly by the method of Telea or Navier-Stokes."""
    gain: bool = True
    """Match the background to the brightness of each frame."""
    grain: bool = True
    """Add the source's grain to the background."""


class ControlSettings(_Settings):
    """One ControlNet."""

    name: Literal["pose", "depth", "normal", "canny"]
    weight: Annotated[float, Field(ge=0, le=2)] = 1.0
    end: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Fraction of the denoising steps, from the first one, in which it is active."""


Body = Literal["auto", "female", "male"]
BodyScale = Literal["subject", "reference"]


class MannequinSettings(_Settings):
    """The mannequin: a rigged figure, rendered on the CPU."""

    backend: Literal["mannequin"] = "mannequin"
    crop_height_px: Annotated[int, Field(ge=128, le=2048)] = 768
    """Maximum height of the picture that the figure is rendered in."""
    figure: Body = "auto"
    """Body shape of the mannequin; auto is the mean of both."""
    body_scale: BodyScale = "subject"
    """Height of the new person: as the subject's, or by the proportions in the reference picture. reference: the new
    person's head is as large as the subject's, and the height follows from their own ratio of body to head, so that a
    small child stays small; the feet keep their places. A picture does not show height itself: two adults are equally
    tall."""


class PaintingSettings(_Settings):
    """Settings shared by all generative models, which are guided by the posed mannequin."""

    backend: str
    figure: Body = "auto"
    """Body shape of the mannequin; auto is the mean of both."""
    body_scale: BodyScale = "subject"
    """Height of the new person: as the subject's, or by the proportions in the reference picture. reference: the new
    person's head is as large as the subject's, and the height follows from their own ratio of body to head, so that a
    small child stays small; the feet keep their places. A picture does not show height itself: two adults are equally
    tall."""
    crop_size_wh: tuple[
        Annotated[int, Field(ge=64, le=2048, multiple_of=64)], Annotated[int, Field(ge=64, le=2048, multiple_of=64)]
    ] = (512, 768)
    window_frames: Annotated[int, Field(ge=2, le=32)] = 8
    """Frames generated at once; motion modules accept at most 32, Wan's models at most 81."""
    conditioning_frames: Annotated[int, Field(ge=0, le=8)] = 0
    """Number of finished frames that condition the next window."""
    steps: Annotated[int, Field(ge=1, le=30)] = 5
    """Denoising steps of the diffusion generators; time and cost are proportional to them."""
    guidance: Annotated[float, Field(ge=1, le=15)] = 1.0
    """Classifier-free guidance scale; 1 disables it, which halves the cost and makes the negative prompt
    ineffective."""
    device: Literal["cuda", "cpu"] = "cuda"
    safety: bool = True
    """Check generated frames with Stable Diffusion's safety checker and pixelate those that it flags."""
    default_prompt: str = "photo of a person, full body, natural light, sharp focus"
    """Prompt for jobs without one."""
    negative_prompt: str = "deformed, extra limbs, bad hands, bad anatomy, lowres, blurry, jpeg artifacts, watermark"
    """Negative prompt for jobs without one."""


class DiffusionSettings(PaintingSettings):
    """Settings shared by the generators based on Stable Diffusion 1.5."""

    strength: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Fraction of the denoising steps that is run, starting from a picture of the posed mannequin; 1 starts from pure
    noise."""
    scheduler: Literal["lcm", "dpmpp"] = "lcm"
    lora: Literal["none", "lcm", "animatelcm"] = "lcm"
    lora_scale: Annotated[float, Field(ge=0, le=1)] = 1.0
    controls: tuple[ControlSettings, ...] = (
        ControlSettings(name="pose", end=0.67),
        ControlSettings(name="depth", weight=0.6, end=0.34),
    )
    reference_scale: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Weight of the reference picture (IP-Adapter scale)."""
    face_scale: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Weight of the face in the reference picture (a second IP-Adapter); 0 disables it."""
    decoder: Literal["full", "tiny"] = "tiny"
    """VAE that decodes the generated frames: the full one, or TAESD at a fifteenth of the cost."""
    encoder: Literal["full", "tiny"] = "tiny"
    """VAE that encodes the start picture and the kept region; in the face pass it also decodes."""
    batch_frames: Annotated[int, Field(ge=0, le=64)] = 0
    """Frames per batch; 0 chooses by the size of the device memory."""
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    compile: bool = False
    """Compile the UNet with ``torch.compile``: a start that is minutes longer, and less time per step."""


class StableDiffusionSettings(DiffusionSettings):
    """Stable Diffusion frame by frame; consistent only through shared noise and the posed mannequin."""

    backend: Literal["sd15"] = "sd15"


class AnimateDiffSettings(DiffusionSettings):
    """Stable Diffusion with a motion module, which makes the frames of a window consistent."""

    backend: Literal["animatediff"] = "animatediff"
    motion: Literal["animatelcm", "v1-5-3"] = "animatelcm"
    """Motion module."""
    face_px: Annotated[int, Field(ge=0, le=768, multiple_of=64)] = 0
    """Side of the square in which each face is generated again at a larger scale; 0 disables this."""


class VaceSettings(PaintingSettings):
    """A video model that inpaints a region, guided by a control video of the mannequin (Wan2.1-VACE)."""

    backend: Literal["vace"] = "vace"
    window_frames: Annotated[int, Field(ge=5, le=81)] = 8
    control: Literal["depth", "pose"] = "depth"
    """Kind of the control video."""
    control_scale: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Weight of the control video and of the kept region."""
    few_step_lora: LoraFile = ""
    """File in the model's folder with a LoRA for few steps, fused when the model is loaded; set ``steps`` and
    ``guidance`` to those it was made for."""


class AnimateSettings(PaintingSettings):
    """A video model for replacing a person, driven by pose and face (Wan2.2-Animate)."""

    backend: Literal["wan_animate"] = "wan_animate"
    window_frames: Annotated[int, Field(ge=5, le=77)] = 8
    model_fps: Annotated[float, Field(ge=8, le=60)] = 30.0
    """Frame rate of the model's training data."""
    offload: Literal["none", "blocks"] = "none"
    """Keep the transformer in main memory and move its blocks to the GPU one by one, for GPUs with 48 GB."""
    few_step_lora: LoraFile = ""
    """File in the model's folder with a LoRA for few steps, fused when the model is loaded; set ``steps`` and
    ``guidance`` to those it was made for."""


GenerateSettings = MannequinSettings | StableDiffusionSettings | AnimateDiffSettings | VaceSettings | AnimateSettings
"""The settings of one generator, discriminated by ``backend``."""


class TemporalSettings(_Settings):
    """Flicker reduction."""

    method: Literal["off", "flow"] = "off"
    """Flicker reduction: flow blends each layer with the previous one, warped by optical flow."""
    strength: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Weight of the previous layer in flicker reduction."""


class FootLockSettings(_Settings):
    """Ground contacts and the foot lock."""

    method: Literal["pin", "off"] = "pin"
    """How planted feet are locked: pin holds the new person's foot where the original subject's stood."""
    speed_in_bh_per_s: Annotated[float, Field(gt=0)] = 0.30
    speed_out_bh_per_s: Annotated[float, Field(gt=0)] = 0.50
    velocity_px: Annotated[float, Field(ge=0)] = 0.0
    """If above 0, a foot counts as planted below this ankle speed (px per frame, camera motion included)."""
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Fraction of the offset to the pinned position that is applied to a planted foot."""
    ease_seconds: Annotated[float, Field(ge=0, le=1)] = 0.15
    """Time over which the lock fades in and out."""
    min_contact_seconds: Annotated[float, Field(ge=0, le=1)] = 0.13


class CompositeSettings(_Settings):
    """Compositing of layer over plate over source."""

    feather_px: Annotated[float, Field(ge=0, le=64)] = 2.0
    """Feather width for a picture with a short side of 360 px; scales with the short side."""
    dilate_bh: Annotated[float, Field(ge=0, le=0.3)] = 0.025
    """Dilation of the subject's mask beyond the feather, in body heights."""
    complete_mask: bool = True
    """Add parts of the subject that segmentation missed, such as a hand, by their difference from the clean
    background."""
    carried: Literal["keep", "remove"] = "keep"
    """Whether objects that the subject carries are kept in the new person's hands or removed with the subject."""
    shadows: Literal["recast", "remove", "keep"] = "recast"
    """Whether the subject's shadow on ground and walls and the reflection on a wet floor are replaced by the new
    person's, removed, or kept."""
    match_sharpness: bool = True
    """Blur the new person like the original subject: defocus, motion blur, compression."""
    light: Literal["scene", "daylight"] = "scene"
    """Lighting of the new person. scene: as the original subject's, estimated from the clip; the mannequin is shaded
    with it, generated people are matched to it, and both have the tones of black-and-white or toned footage. daylight:
    soft daylight for the mannequin, generated people are left unchanged, and both keep their colors."""
    crossfade: bool = True
    """Crossfade adjacent segments; off makes hard transitions."""


class OutputSettings(_Settings):
    """Encoding."""

    codec: Literal["auto", "h264", "lossless"] = "auto"
    """Auto is H.264, or HEVC if the source is 10-bit HEVC, AV1 or VP9; lossless preserves every sample outside the edit
    region exactly, in a file many times larger."""
    crf: Annotated[int, Field(ge=0, le=40)] = 16
    """Constant rate factor of H.264 and HEVC: lower means better quality and larger files; 16 is visually close to the
    source."""
    encoder_preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = "veryfast"
    threads: Annotated[int, Field(ge=1, le=64)] = 4
    """Encoder threads; fixed, since x264's output depends on their number."""
    provenance_tag: bool = True


class Settings(_Settings):
    """All settings of a preset."""

    preset: str = "preview"
    limits: LimitSettings = LimitSettings()
    stabilize: StabilizeSettings = StabilizeSettings()
    people: PeopleSettings = PeopleSettings()
    segment: SegmentSettings = SegmentSettings()
    plate: PlateSettings = PlateSettings()
    generate: Annotated[GenerateSettings, Field(discriminator="backend")] = MannequinSettings()
    temporal: TemporalSettings = TemporalSettings()
    foot_lock: FootLockSettings = FootLockSettings()
    composite: CompositeSettings = CompositeSettings()
    output: OutputSettings = OutputSettings()


def classes_of(group: str) -> tuple[type[BaseModel], ...]:
    """Return the classes that a group of ``Settings`` may have: ``generate`` has one per generator."""
    annotation = Settings.model_fields[group].annotation
    return get_args(annotation) or (annotation,)


def class_with(settings: Settings, key: str) -> type[BaseModel]:
    """Return the class that defines the setting ``group.name``: the active one if it does, else another generator's."""
    group, name = key.split(".")
    own = type(getattr(settings, group))
    return next(kind for kind in (own, *classes_of(group)) if name in kind.model_fields)
