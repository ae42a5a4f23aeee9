"""The result of a job: files and report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value of an answer. Fields that were not set are not written; fields of newer versions are ignored."""

    # The string below a field is its description in the schema, which the documents show.
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Quality(Value):
    """The quality figures of a job, measured by the job itself; null where the clip cannot tell."""

    changed_outside: int | None = None
    """Samples of any plane that differ outside the edit region, before encoding. Anything but 0 is a bug."""
    region_area_ratio: float | None = None
    """Area of the edit region over that of the subject and the new person together."""
    region_area_ratio_without_shadows: float | None = None
    """The same without what changes for the sake of shadows alone."""
    source_left_percent: float | None = None
    """Weight of the source that remains inside the subject's mask. More shows as a ghost."""
    seam_gradient_ratio: float | None = None
    """Steps in brightness across the border of the edit region, over those of the source. Above 1 an edge is drawn."""
    warping_error_source: float | None = None
    """The warping error of the source in the region."""
    warping_error_result: float | None = None
    """Mean squared difference between a frame and the next one moved onto it, inside the edit region; judged against
    the source's own."""
    plate_fit: float | None = None
    """How alike the clean background and the frame are in a ring around the subject: structural similarity, the mean
    over the frames. Below 0.65 it shows another place, or is far too soft."""
    background_unseen_percent: float | None = None
    """Background beside the new person that no frame ever showed, and that was filled in, over the subject's area."""
    foot_slide_unlocked_percent: float | None = None
    """The foot slide without foot lock."""
    foot_slide_percent: float | None = None
    """How far a planted foot of the new person drifts (RMS). Half a percent is about a centimeter for an adult."""
    placed_jitter_percent: float | None = None
    """RMS second difference of the new joints minus the subject's: trembling relative to the scene."""
    frames_replaced: int | None = None
    """Frames that were edited."""
    frames_absent: int | None = None
    """Frames without the subject; they are unchanged."""
    frames_uncertain: int | None = None
    """Frames in which the subject was barely visible or interpolated. Look at them."""
    new_to_subject_scale: float | None = None
    """Length of torso and legs, new over old; the median over the frames."""
    reference_to_subject_scale: float | None = None
    """Largest height of the person in the clip over the height in the reference picture. Above 1 detail is missing."""
    mattes_propagated: int | None = None
    """Frames in which nobody was found in the generated picture, so the last matte was reused. Look at them."""
    frames_pixelated: int | None = None
    """Frames that the safety checker flagged; they are pixelated."""
    psnr_outside_db: float | None = None
    """PSNR of the written file against the source where nothing was edited: the encoder's loss alone. A lower
    output.crf raises it, output.codec=lossless leaves no loss."""


class FanOutEstimate(Value):
    """The same for chunks shared with other workers (`fan_out`)."""

    workers: int
    """How many draw at once: no more than there are chunks."""
    seconds: dict[str, tuple[float, float, float] | float]
    """As above: the card's work divided among them, all other passes on one."""
    cost_usd: dict[str, tuple[float, float, float]]
    """As above: the others are paid for while they draw and for what it takes to begin."""


class Estimate(Value):
    """An estimate of what a job takes. The subject is assumed to be in every frame, in one shot."""

    frames: int
    """Of the clip, or of the part that is asked for."""
    windows: int
    """Windows of frames that the generator is given."""
    generator_calls: int = 0
    """Evaluations of its network, each frame and step counted."""
    tflop: float
    """Operations of all networks, counted; 0 for the mannequin."""
    other_stages_s: float = 0.0
    """Seconds of everything but the generator."""
    seconds: dict[str, tuple[float, float, float] | float]
    """By GPU type, for a quick, a usual and a slow run; one figure under ``CPU`` for the mannequin."""
    cost_usd: dict[str, tuple[float, float, float]]
    """By GPU type, likewise."""
    fan_out: FanOutEstimate | None = None
    """Where the chunks are to be shared with other workers."""


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
    """Who drew the chunks of a job that shared them (`fan_out`)."""

    workers: int
    """How many were asked for, the job's own counted in."""
    chunks_here: int
    """Drawn by the job's own worker."""
    chunks_elsewhere: int
    """Drawn by other workers."""
    chunks_taken_over: int
    """Of those drawn here: another worker had begun with them, and failed, died or was late."""


class SubjectReport(Value):
    """The outcome for one of several replaced people."""

    number: int
    """Place in the request's `subjects`."""
    frames_replaced: int
    """Frames in which this person was replaced."""
    frames_absent: int
    """Frames without this person."""
    frames_uncertain: int
    """Frames in which this person was interpolated or barely visible."""
    contacts: int
    """Foot contacts of this person; each is locked separately."""
    quality: Quality
    """The quality figures that concern a person rather than the whole picture."""


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
    """Of the result."""
    width: int
    """Of the result, px as coded."""
    height: int
    """Of the result, px as coded."""
    segments: tuple[SegmentReport, ...]
    """Shot, kind, first frame and end (exclusive), in seconds too."""
    timings_s: dict[str, float]
    """Seconds of each pass."""
    quality: Quality
    """Measured by the job itself."""
    warnings: tuple[str, ...]
    """Warnings: what could not be done as requested."""
    versions: dict[str, str]
    """Of the libraries that determine the result's bytes."""
    stills: tuple[int, ...] = ()
    """In the mode `frame`: the numbers of the frames that were made."""
    subjects: tuple[SubjectReport, ...] = ()
    """Where several people were replaced: what became of each, in the order of the request."""
    fan_out: FanOutReport | None = None
    """Where the chunks were shared with other workers: who drew how many."""


class PersonPoint(Value):
    """A point on a person, in the form that ``subject`` accepts."""

    x: float
    """Px from the left of the upright picture."""
    y: float
    """Px from the top."""
    at_s: float
    """Seconds from the start of the analyzed part."""


class BoxInStill(Value):
    """Somebody else in a person's still."""

    number: int
    box_xyxy: tuple[float, float, float, float]
    """Left, top, right, bottom, px of the upright picture."""


class PersonReport(Value):
    """One person of a clip, in the mode ``people``."""

    number: int
    """Number to pass as `subject` in a job on the same part of the clip; people are counted in order of appearance."""
    chosen_by: tuple[str, ...]
    """Words for `subject` that mean this person: `largest` and so on."""
    first_s: float
    """When they first appear, in seconds from the start of the analyzed part."""
    last_s: float
    """When they are last seen."""
    seen_s: float
    """How long they are visible in total."""
    seen_frames: int
    """Number of frames in which they are visible."""
    height_percent: float
    """Median height of their box, percent of the picture's."""
    still_frame: int
    """Number of the frame in which they are best visible: that of their still."""
    box_xyxy: tuple[float, float, float, float]
    """Their box in it: left, top, right, bottom, px of the upright picture."""
    point: PersonPoint | None
    """A point on them in that frame, to pass as `subject` instead of the number; null where every point would select
    another person."""
    others: tuple[BoxInStill, ...]
    """Who else is in that frame."""


class PeopleReport(Value):
    """The people of a clip, without their stills."""

    preset: str
    """The preset whose people detector was used; another preset's may number people differently."""
    people: tuple[PersonReport, ...]
    """Everybody who is long enough in the clip to be replaced, in order of appearance; empty where nobody is."""
    frames: int
    """Frames of the clip, or of the part that was asked for."""
    duration_s: float
    """Duration of that part."""
    width: int
    """Of the upright picture, px."""
    height: int
    """Of the upright picture, px."""
    timings_s: dict[str, float]
    """Seconds of each pass."""
    warnings: tuple[str, ...]
    """Sentences about the clip."""


@dataclass(frozen=True, slots=True, eq=False)
class PeopleResult:
    """What the mode ``people`` made, under its output folder."""

    artifacts: dict[str, list[Path]]
    """``people``: one still for each person, in the order of their numbers; empty where nobody was found."""
    report: PeopleReport
    video: None = None
    """There never is one."""


class CharacterReport(Value):
    """What is known of the new person beside the pictures of them."""

    preset: str
    """The preset that was used."""
    views: tuple[str, ...]
    """Sides that the reference pictures show and that were taken over: `front`, `back`, `left`, `right`; empty where
    the person is dressed by the prompt alone."""
    outline_overlap: float | None
    """How well the figure's outline lies on the first picture's person: intersection over union, 0 to 1."""
    frames: int
    """Frames of the film."""
    width: int
    """Of the film, px."""
    height: int
    """Of the film, px."""
    timings_s: dict[str, float]
    """Seconds of fitting (`fit`) and of drawing (`draw`)."""
    warnings: tuple[str, ...]
    """Sentences about what could not be taken over."""


@dataclass(frozen=True, slots=True, eq=False)
class CharacterResult:
    """What the mode ``character`` made, under its output folder."""

    video: Path
    """The person turning once."""
    artifacts: dict[str, list[Path]]
    """``character``: stills from the front, the left, the back and the right."""
    report: CharacterReport


@dataclass(frozen=True, slots=True, eq=False)
class JobResult:
    """What a job made, under its output folder."""

    video: Path | None
    """None in the mode ``frame``: there the artifact ``frame`` is the result."""
    artifacts: dict[str, list[Path]]
    report: JobReport
    """Everything of the result except its files."""
    timings_s: dict[str, float] = field(default_factory=dict)


AnyResult = JobResult | PeopleResult | CharacterResult
"""Of any mode that makes files."""
