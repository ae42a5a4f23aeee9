"""The report: a contact sheet, and a self-contained HTML page.

The page embeds everything (pictures, plots, styles, one small script), and its content security policy forbids any
other access. Equal moments, facts and series produce equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Plan, Presence
from pipeline.media.clip import Clip
from pipeline.report.contact_sheet import write_contact_sheet
from pipeline.report.moments import Moment, MomentPictures, Series, choose_moments, even_moments, fitted, read_moments
from pipeline.report.verdicts import judge_figures, telling_figures
from pipeline.result import JobReport, SubjectReport
from pipeline.settings import Settings

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_SCRIPT = Path(__file__).with_name("report.js")
_SHEET_MOMENTS = 8
_LAYERS = 6
_LAYERS_AREA_PX = 640 * 360
_PICTURE_BYTES = 1_800_000
"""Total for all pictures of a page: base64 adds a third, and the page stays below 3 MB."""
_SIZES_AND_QUALITIES = ((1.0, 85), (1.0, 75), (1.0, 60), (1.0, 45), (1.0, 30), (0.5, 60), (0.5, 30), (0.25, 30))
"""Scale of the side and WebP quality: the first pair at which the pictures fit is used; even white noise fits the
last."""


@dataclass(frozen=True, slots=True)
class LayersShown:
    """Source of pictures that show the pixel labels of a frame in colors."""

    pictures: Callable[[Sequence[int]], Mapping[int, Picture]]
    """Maps ascending frames to pictures (H, W, 3) of the source; frames without labels may be missing."""
    legend: Mapping[str, tuple[int, int, int]]
    """The meaning of each color (RGB)."""


@dataclass(frozen=True, slots=True, eq=False)
class ReportInputs:
    """What a report is written from."""

    source: Clip
    written: Clip
    """The result, opened."""
    plans: Sequence[Plan]
    """Of the subjects; the first one's is plotted."""
    settings: Settings
    facts: JobReport
    """The job's answer."""
    series: Series
    """Metrics over time, for ``draw_plots``."""
    layers: LayersShown | None = None
    """Shows the pixel labels of some frames."""


def write_reports(folder: Path, wanted: frozenset[str], job: ReportInputs) -> dict[str, list[Path]]:
    """Write those of ``report.html`` and ``contact_sheet.png`` that are ``wanted``; return their paths by artifact.

    Both clips are read once for the pictures, at the frames that are shown.
    """
    info = job.source.info
    chosen = choose_moments(job.plans, info, job.series) if "report" in wanted else []
    even = even_moments(info.num_frames, _SHEET_MOMENTS) if "contact_sheet" in wanted else []
    if not chosen and not even:
        return {}
    pictures = read_moments(job.source, job.written, job.plans, [*chosen, *even])
    paths: dict[str, list[Path]] = {}
    if chosen:
        paths["report"] = [write_html(folder / "report.html", pictures[: len(chosen)], job)]
    if even:
        paths["contact_sheet"] = [write_contact_sheet(folder / "contact_sheet.png", pictures[len(chosen) :])]
    return paths


def write_html(path: Path, moments: Sequence[MomentPictures], job: ReportInputs) -> Path:
    """Write the page: moments, plots, metrics with a verdict, and the job's settings."""
    # Both take much of a second to import, which a job without a report need not wait for.
    import jinja2

    from pipeline.report.plots import draw_plots

    info = job.source.info
    facts = job.facts
    script = _SCRIPT.read_text(encoding="utf-8")
    layers = _layers([moment.moment for moment in moments], job)
    uris = _uris([*(picture for moment in moments for picture in (moment.source, moment.result)), *layers.values()])
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        facts=facts,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        telling=telling_figures(facts.quality),
        figures=judge_figures(facts.quality),
        people=[_person(each) for each in facts.subjects],
        moments=[
            _shown(moment.moment, info, uris[2 * number : 2 * number + 2], moment.source)
            for number, moment in enumerate(moments)
        ],
        layers=[
            _shown_layers(frame, info, uri, picture)
            for (frame, picture), uri in zip(layers.items(), uris[2 * len(moments) :], strict=True)
        ],
        legend=_legend(job.layers),
        plots=draw_plots(job.plans[0], info, job.series, [moment.moment.frame for moment in moments]),
        stages=_stages(facts.timings_s),
        settings=_settings(job.settings),
        facts_json=json.dumps(facts.model_dump(mode="json", exclude_unset=True), indent=1),
    )
    path.write_text(page, encoding="utf-8")
    return path


def _layers(moments: Sequence[Moment], job: ReportInputs) -> dict[int, Picture]:
    """Return the pictures of pixel labels, by frame, at the size at which they are shown."""
    if job.layers is None:
        return {}
    pictures = job.layers.pictures(_frames_of_layers(moments, job.plans))
    return {frame: fitted(picture, job.source.info, _LAYERS_AREA_PX) for frame, picture in pictures.items()}


def _legend(layers: LayersShown | None) -> dict[str, str]:
    """Return the colors of the pixel labels as HTML writes them."""
    legend = {} if layers is None else layers.legend
    return {name: "#{:02x}{:02x}{:02x}".format(*color) for name, color in legend.items()}


def _frames_of_layers(moments: Sequence[Moment], plans: Sequence[Plan]) -> list[int]:
    """Return the frames with a subject, of those that are shown, spread over the clip."""
    is_present = np.any([plan.subject.presence > Presence.ABSENT for plan in plans], axis=0)
    frames = sorted({moment.frame for moment in moments if is_present[moment.frame]})
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), _LAYERS)).round().astype(int)
    return [frames[at] for at in chosen]


def _shown(moment: Moment, info: VideoInfo, uris: Sequence[str], picture: Picture) -> dict[str, Any]:
    reasons = "; ".join(moment.reasons)
    return {
        "frame": moment.frame,
        "seconds": f"{info.pts_seconds[moment.frame]:.2f}",
        "reasons": reasons[:1].upper() + reasons[1:],
        "source": uris[0],
        "result": uris[1],
        "width": picture.shape[1],
        "height": picture.shape[0],
    }


def _person(subject: SubjectReport) -> dict[str, Any]:
    """Return the outcome for one of several subjects as text."""
    quality = subject.quality
    return {
        "name": f"subject {subject.number + 1}",
        "replaced": subject.frames_replaced,
        "absent": subject.frames_absent,
        "uncertain": subject.frames_uncertain,
        "contacts": subject.contacts,
        "source_left": _percent(quality.source_left_percent),
        "foot_slide": _percent(quality.foot_slide_percent),
        "jitter": _percent(quality.placed_jitter_percent),
    }


def _percent(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2f} %"


def _shown_layers(frame: int, info: VideoInfo, uri: str, picture: Picture) -> dict[str, Any]:
    return {
        "seconds": f"{info.pts_seconds[frame]:.2f}",
        "frame": frame,
        "uri": uri,
        "width": picture.shape[1],
        "height": picture.shape[0],
    }


def _stages(timings_s: dict[str, float]) -> list[dict[str, Any]]:
    total = sum(timings_s.values()) or 1.0
    return [
        {"name": name, "seconds": f"{seconds:.1f}", "percent": round(100 * seconds / total)}
        for name, seconds in timings_s.items()
    ]


def _settings(settings: Settings) -> list[dict[str, Any]]:
    """Return every setting as text, and whether it differs from the default; the environment is not read."""
    default: dict[str, Any] = Settings().model_dump(mode="json")
    # The chosen generator has settings that the default one lacks.
    default["generate"] = type(settings.generate)().model_dump(mode="json") | default["generate"]
    return [
        {"name": f"{group}.{name}", "value": json.dumps(value), "changed": value != default[group][name]}
        for group, values in settings.model_dump(mode="json").items()
        if isinstance(values, dict)
        for name, value in values.items()
    ]


def _uris(pictures: Sequence[Picture]) -> list[str]:
    """Return data URIs in the best quality at which all of them stay under ``_PICTURE_BYTES``."""
    encoded: list[bytes] = []
    for scale, quality in _SIZES_AND_QUALITIES:
        encoded = [_webp(picture, scale, quality) for picture in pictures]
        if sum(map(len, encoded)) <= _PICTURE_BYTES:
            break
    return ["data:image/webp;base64," + base64.b64encode(data).decode() for data in encoded]


def _webp(picture: Picture, scale: float, quality: int) -> bytes:
    if scale < 1.0:
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])[1])
