"""The result of a job: files and report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Base of an answer's frozen values. Unset fields are omitted in JSON; unknown fields are ignored when reading."""

    # The string below a field is its description in the schema, which the documentation shows.
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Quality(Value):
    """The quality metrics of a job, measured by the job itself; null if the clip does not allow the measurement."""

    changed_outside: int | None = None
    """Samples of any plane that differ outside the edit region, before encoding. Anything but 0 is a bug."""
    region_area_ratio: float | None = None
    """Area of the edit region divided by that of the subject and the new person together."""
    region_area_ratio_without_shadows: float | None = None
    """The same without the areas that changed only because of shadows."""
    source_left_percent: float | None = None
    """Weight of the source that remains inside the subject's mask. High values are visible as a ghost."""
    seam_gradient_ratio: float | None = None
    """Brightness gradient across the border of the edit region, divided by the source's. Above 1 the seam is
    visible."""
    warping_error_source: float | None = None
    """The warping error of the source inside the edit region."""
    warping_error_result: float | None = None
    """Mean squared difference between a frame and the next one warped to it by optical flow, inside the edit region;
    to be compared with the source's."""
    plate_fit: float | None = None
    """Structural similarity of the clean background and the frame in a ring around the subject, averaged over the
    frames. Below 0.65 the background shows another place or is much too soft."""
    background_unseen_percent: float | None = None
    """Visible background that no frame showed and that was inpainted, relative to the subject's area."""
    foot_slide_unlocked_percent: float | None = None
    """The foot slide without foot lock."""
    foot_slide_percent: float | None = None
    """RMS drift of the new person's planted feet, relative to body height. Half a percent is about a centimeter for an
    adult."""
    placed_jitter_percent: float | None = None
    """RMS second difference of the new person's joints minus the subject's, relative to body height: jitter relative to
    the scene."""
    frames_replaced: int | None = None
    """Frames that were edited."""
    frames_absent: int | None = None
    """Frames without the subject; they are unchanged."""
    frames_uncertain: int | None = None
    """Frames in which the subject was barely visible or interpolated; worth a look."""
    new_to_subject_scale: float | None = None
    """Length of torso and legs of the new person divided by the subject's; median over the frames."""
    body_scale: float | None = None
    """Height of the new person over the subject's as `generate.body_scale` sets it; 1 for `subject`."""
    reference_to_subject_scale: float | None = None
    """Largest height of the subject in the clip divided by the person's height in the reference picture. Above 1 the
    reference lacks detail."""
    mattes_propagated: int | None = None
    """Frames in which no person was found in the generated picture, so that the previous matte was propagated; worth a
    look."""
    frames_pixelated: int | None = None
    """Frames that the safety checker flagged; they are pixelated."""
    psnr_outside_db: float | None = None
    """PSNR of the written file against the source outside the edit region: the encoder's loss alone. A lower output.crf
    raises it, output.codec=lossless has no loss."""


class FanOutEstimate(Value):
    """The estimate for chunks shared with other workers (`fan_out`)."""

    workers: int
    """Workers that generate in parallel: no more than there are chunks."""
    seconds: dict[str, tuple[float, float, float] | float]
    """By GPU type: generation divided among the workers, all other passes on one."""
    cost_usd: dict[str, tuple[float, float, float]]
    """By GPU type: other workers are paid for while they start and generate."""


class Estimate(Value):
    """An estimate of a job's time and cost. Assumes that the subject is in every frame, in one shot."""

    frames: int
    """Frames of the clip, or of the requested part."""
    windows: int
    """Windows of frames that the generator processes."""
    generator_calls: int = 0
    """Evaluations of the generator's network, counted per frame and step."""
    tflop: float
    """Operations of all networks; 0 for the mannequin."""
    other_stages_s: float = 0.0
    """Seconds of everything except the generator."""
    seconds: dict[str, tuple[float, float, float] | float]
    """By GPU type, for a fast, a typical and a slow run; a single number under ``CPU`` for the mannequin."""
    cost_usd: dict[str, tuple[float, float, float]]
    """By GPU type, in the same way."""
    fan_out: FanOutEstimate | None = None
    """The estimate for shared chunks, if the request has `fan_out`."""


class SegmentReport(Value):
    """A part of a shot with one kind of motion."""

    shot: int
    kind: Literal["approach", "hold", "exit", "whole", "part"]
    start_frame: int
    end_frame: int
    """Exclusive."""
    start_s: float
    """Seconds from the clip's start."""
    end_s: float


class FanOutReport(Value):
    """Which workers generated the chunks of a job with `fan_out`."""

    workers: int
    """Requested workers, including the job's own."""
    chunks_here: int
    """Chunks generated by the job's own worker."""
    chunks_elsewhere: int
    """Chunks generated by other workers."""
    chunks_taken_over: int
    """Chunks generated by the job's own worker after another one had failed, died or was late."""


class SubjectReport(Value):
    """The outcome for one of several replaced people."""

    number: int
    """Index in the request's `subjects`."""
    frames_replaced: int
    """Frames in which this person was replaced."""
    frames_absent: int
    """Frames without this person."""
    frames_uncertain: int
    """Frames in which this person was interpolated or barely visible."""
    contacts: int
    """Foot contacts of this person; each is locked separately."""
    quality: Quality
    """The quality metrics that concern a person rather than the whole picture."""


class JobReport(Value):
    """The fields of a result other than its files."""

    preset: str
    """The preset that was used."""
    seed: int
    """The seed that was used."""
    frames: int
    """Frames of the result: as many as in the source's range."""
    frames_replaced: int
    """Frames that were edited."""
    frames_absent: int
    """Frames without the subject; they are unchanged."""
    frames_uncertain: int
    """Frames in which the subject was interpolated or barely visible."""
    duration_s: float
    """Duration of the result."""
    width: int
    """Width of the result in px, as coded."""
    height: int
    """Height of the result in px, as coded."""
    segments: tuple[SegmentReport, ...]
    """Segments with shot, kind, first frame and end (exclusive), also in seconds."""
    timings_s: dict[str, float]
    """Seconds of each pass; `perform` overlaps with others."""
    quality: Quality
    """Quality metrics, measured by the job itself."""
    warnings: tuple[str, ...]
    """What could not be done as requested, one sentence each."""
    versions: dict[str, str]
    """Versions of the libraries that determine the result's bytes."""
    stills: tuple[int, ...] = ()
    """In the mode `frame`: the numbers of the finished frames."""
    subjects: tuple[SubjectReport, ...] = ()
    """If several people were replaced: the outcome for each, in the order of the request."""
    fan_out: FanOutReport | None = None
    """If chunks were shared with other workers: which worker generated how many."""


@dataclass(frozen=True, slots=True, eq=False)
class JobResult:
    """The result of a job."""

    video: Path | None
    """None in the mode ``frame``, whose result is the artifact ``frame``."""
    artifacts: dict[str, list[Path]]
    report: JobReport
    """The fields of the result other than its files."""
    timings_s: dict[str, float] = field(default_factory=dict)
