"""The quality metrics in words: what each one measures, what is good, and which three matter most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.result import Quality

Verdict = Literal["good", "fair", "poor", "not known", "note"]
"""``note`` is a metric that is neither good nor bad by itself."""

_SEVERITY: Mapping[Verdict, int] = {"poor": 0, "fair": 1, "good": 2, "not known": 3, "note": 4}


@dataclass(frozen=True, slots=True)
class Judged:
    """One metric in readable form."""

    name: str
    """Key in ``quality``."""
    label: str
    value: str
    """With its unit; ``not known`` where the clip does not provide it."""
    aim: str
    """The criterion for good; empty for a note."""
    verdict: Verdict
    meaning: str
    """A sentence: what was measured, and, if possible, what to do about a poor value."""

    @property
    def sentence(self) -> str:
        """The metric on one line of a terminal."""
        aim = f"; aim: {self.aim}" if self.aim and self.verdict != "good" else ""
        return f"{self.label}: {self.value} ({self.verdict}{aim})"


@dataclass(frozen=True, slots=True)
class _Rule:
    label: str
    form: str
    aim: str = ""
    good: float | None = None
    fair: float | None = None
    """Limits of ``measure``: good at or below them (with ``larger_is_better``: at or above). None: the metric is a
    note."""
    larger_is_better: bool = False
    measure: Callable[[float, Quality], float | None] = lambda value, quality: value
    """Maps the metric to the quantity that the limits refer to."""


def _over_the_source(value: float, quality: Quality) -> float | None:
    return value / quality.warping_error_source if quality.warping_error_source else None


def _percent_of_replaced(value: float, quality: Quality) -> float | None:
    return 100.0 * value / quality.frames_replaced if quality.frames_replaced else None


# In order of importance: what a viewer notices first. The limits are the targets of docs/quality.md where it has one.
_RULES: Mapping[str, _Rule] = {
    "foot_slide_percent": _Rule("Foot slide", "{:.2f} % of body height", "at most 0.5 %", 0.5, 1.0),
    "source_left_percent": _Rule("Source left", "{:.2f} %", "at most 0.5 %", 0.5, 2.0),
    "changed_outside": _Rule("Changed outside the edit region", "{:.0f} samples", "0", 0.0, 0.0),
    "psnr_outside_db": _Rule(
        "PSNR outside the edit region",
        "{:.1f} dB",
        "at least 42 dB",
        42.0,
        # An error of 3 levels of 255, which is hard to see in motion.
        38.0,
        larger_is_better=True,
    ),
    "placed_jitter_percent": _Rule("Jitter of the new person", "{:.2f} % of body height", "at most 0.3 %", 0.3, 0.5),
    "seam_gradient_ratio": _Rule("Seam", "{:.2f} × the source's", "at most 1.1", 1.1, 1.3),
    "warping_error_result": _Rule(
        "Flicker (warping error)", "{:.4f}", "at most the source's", 1.0, 1.25, measure=_over_the_source
    ),
    "plate_fit": _Rule("Fit of the background", "{:.2f}", "at least 0.85", 0.85, 0.7, larger_is_better=True),
    "background_unseen_percent": _Rule(
        "Background never seen", "{:.1f} % of the subject's area", "at most 2 %", 2.0, 8.0
    ),
    "region_area_ratio": _Rule("Size of the edit region", "{:.2f} × the people's area", "at most 2", 2.0, 3.0),
    "region_area_ratio_without_shadows": _Rule(
        "Size of the edit region without shadows", "{:.2f} × the people's area", "at most 2", 2.0, 3.0
    ),
    "new_to_subject_scale": _Rule(
        "Size of the new person",
        "{:.2f} × the subject",
        "within 10 % of the height that was set",
        0.1,
        0.2,
        measure=lambda value, quality: abs(value / (quality.body_scale or 1.0) - 1.0),
    ),
    "body_scale": _Rule("Height of the new person, as set", "{:.2f} × the subject's"),
    "reference_to_subject_scale": _Rule("Detail of the reference picture", "{:.2f}", "at most 1", 1.0, 2.0),
    "frames_uncertain": _Rule(
        "Frames not clearly visible",
        "{:.0f}",
        "at most 2 % of the replaced frames",
        2.0,
        10.0,
        measure=_percent_of_replaced,
    ),
    "mattes_propagated": _Rule(
        "Propagated mattes", "{:.0f}", "at most 2 % of the replaced frames", 2.0, 10.0, measure=_percent_of_replaced
    ),
    "frames_pixelated": _Rule("Frames pixelated", "{:.0f}", "none", 0.0, 0.0),
    "foot_slide_unlocked_percent": _Rule("Foot slide before the lock", "{:.2f} % of body height"),
    "warping_error_source": _Rule("Flicker of the source", "{:.4f}"),
    "frames_replaced": _Rule("Frames replaced", "{:.0f}"),
    "frames_absent": _Rule("Frames without the subject", "{:.0f}"),
}


def judge_figures(quality: Quality) -> list[Judged]:
    """Return every metric of ``quality`` with a verdict, the most important first."""
    return [_judged(name, rule, quality) for name, rule in _RULES.items() if name in quality.model_fields_set]


def telling_figures(quality: Quality) -> list[str]:
    """Return three lines for the end of a run: metrics that miss their target first, then by importance."""
    judged = [figure for figure in judge_figures(quality) if figure.verdict not in ("note", "not known")]
    return [figure.sentence for figure in sorted(judged, key=lambda figure: _SEVERITY[figure.verdict])[:3]]


def _judged(name: str, rule: _Rule, quality: Quality) -> Judged:
    value: float | int | None = getattr(quality, name)
    meaning = " ".join((Quality.model_fields[name].description or "").split())
    text = "not known" if value is None else rule.form.format(value)
    return Judged(name, rule.label, text, rule.aim, _verdict(rule, value, quality), meaning)


def _verdict(rule: _Rule, value: float | None, quality: Quality) -> Verdict:
    if rule.good is None or rule.fair is None:
        return "note"
    measured = None if value is None else rule.measure(float(value), quality)
    if measured is None:
        return "not known"
    sign = -1.0 if rule.larger_is_better else 1.0
    if sign * measured <= sign * rule.good:
        return "good"
    return "fair" if sign * measured <= sign * rule.fair else "poor"
