"""The results of the modes ``people`` and ``character``, which replace no person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.result import JobResult, Value


class PersonPoint(Value):
    """A point on a person, in the form that ``subject`` accepts."""

    x: float
    """px from the left of the upright picture."""
    y: float
    """px from the top."""
    at_s: float
    """Seconds from the start of the analyzed part."""


class BoxInStill(Value):
    """Another person in a person's still."""

    number: int
    box_xyxy: tuple[float, float, float, float]
    """Left, top, right, bottom in px of the upright picture."""


class PersonReport(Value):
    """One person of a clip, in the mode ``people``."""

    number: int
    """Number to pass as `subject` in a job on the same part of the clip; people are counted in order of appearance."""
    chosen_by: tuple[str, ...]
    """Values of `subject` that select this person, such as `largest`."""
    first_s: float
    """When they first appear, in seconds from the start of the analyzed part."""
    last_s: float
    """When they are last seen."""
    seen_s: float
    """How long they are visible in total."""
    seen_frames: int
    """Number of frames in which they are visible."""
    height_percent: float
    """Median height of their box in percent of the picture's height."""
    still_frame: int
    """Number of the frame in which they are best visible, which is their still."""
    box_xyxy: tuple[float, float, float, float]
    """Their box in that frame: left, top, right, bottom in px of the upright picture."""
    point: PersonPoint | None
    """A point on them in that frame, to pass as `subject` instead of the number; null if every point would select
    another person."""
    others: tuple[BoxInStill, ...]
    """The other people in that frame."""


class PeopleReport(Value):
    """The people of a clip, without their stills."""

    preset: str
    """The preset whose people detector was used; another preset's may number people differently."""
    people: tuple[PersonReport, ...]
    """Everyone visible long enough to be replaced, in order of appearance; may be empty."""
    frames: int
    """Frames of the clip, or of the requested part."""
    duration_s: float
    """Duration of that part."""
    width: int
    """Width of the upright picture in px."""
    height: int
    """Height of the upright picture in px."""
    timings_s: dict[str, float]
    """Seconds of each pass."""
    warnings: tuple[str, ...]
    """Warnings about the clip, one sentence each."""


@dataclass(frozen=True, slots=True, eq=False)
class PeopleResult:
    """The result of the mode ``people``."""

    artifacts: dict[str, list[Path]]
    """``people``: one still for each person, in the order of their numbers; empty if no one was found."""
    report: PeopleReport
    video: None = None
    """Always None; it exists so that all results have the same fields."""


class CharacterReport(Value):
    """The new person in the mode ``character``, without the files."""

    preset: str
    """The preset that was used."""
    views: tuple[str, ...]
    """Sides that the reference pictures show and that were used: `front`, `back`, `left`, `right`; empty if the clothes
    come from the prompt alone."""
    outline_overlap: float | None
    """Intersection over union (0 to 1) of the figure's outline and the person's in the first picture."""
    frames: int
    """Frames of the turntable video."""
    width: int
    """Width of the turntable video in px."""
    height: int
    """Height of the turntable video in px."""
    timings_s: dict[str, float]
    """Seconds of fitting (`fit`) and rendering (`draw`)."""
    warnings: tuple[str, ...]
    """What could not be reproduced, one sentence each."""


@dataclass(frozen=True, slots=True, eq=False)
class CharacterResult:
    """The result of the mode ``character``."""

    video: Path
    """Turntable video of the new person, one turn."""
    artifacts: dict[str, list[Path]]
    """``character``: stills from the front, the left, the back and the right."""
    report: CharacterReport


AnyResult = JobResult | PeopleResult | CharacterResult
"""The result of any mode that produces files."""
