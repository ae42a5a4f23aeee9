"""What people look at: a contact sheet and a page that opens from disk."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.artifacts import Moment
from pipeline.datatypes import Picture, Plan, Presence, VideoInfo

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_GAP_PX = 6
_SHEET_COLUMN_PX = 320
_SHEET_COLUMNS = 4


def write_contact_sheet(path: Path, moments: Sequence[Moment]) -> Path:
    """Write a PNG: source above result for each moment, four moments a row, in the order of time."""
    pairs = []
    for moment in moments:
        source, result = _fitted(moment.source), _fitted(moment.result)
        gap = np.full((_GAP_PX, source.shape[1], 3), 255, np.uint8)
        pairs.append(
            np.pad(np.vstack([source, gap, result]), ((0, 2 * _GAP_PX), (0, _GAP_PX), (0, 0)), constant_values=255)
        )
    while len(pairs) > _SHEET_COLUMNS and len(pairs) % _SHEET_COLUMNS:
        pairs.append(np.full_like(pairs[0], 255))
    rows = [np.hstack(pairs[at : at + _SHEET_COLUMNS]) for at in range(0, len(pairs), _SHEET_COLUMNS)]
    path.write_bytes(_png(np.vstack(rows)))
    return path


def write_html(
    path: Path,
    moments: Sequence[Moment],
    facts: dict[str, Any],
    series: dict[str, NDArray[np.float64]],
    plan: Plan,
    info: VideoInfo,
) -> Path:
    """Write the report: moments side by side, a timeline, the quality figures, settings of the run; self-contained."""
    template = jinja2.Environment(autoescape=True).from_string(_TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(
        facts=facts,
        quality=[
            (name, f"{value:.4g}" if isinstance(value, float) else value) for name, value in facts["quality"].items()
        ],
        moments=[
            {"frame": m.frame, "seconds": f"{m.seconds:.2f}", "source": _uri(m.source), "result": _uri(m.result)}
            for m in moments
        ],
        timeline="data:image/png;base64," + base64.b64encode(_timeline(series, plan, info)).decode(),
        facts_json=json.dumps(facts, indent=1),
    )
    path.write_text(page, encoding="utf-8")
    return path


def _timeline(series: dict[str, NDArray[np.float64]], plan: Plan, info: VideoInfo) -> bytes:
    seconds = info.pts_seconds
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    feet, path, warp = figure.subplots(3, 1, sharex=True)
    for foot, name in enumerate(("left", "right")):
        feet.plot(seconds, plan.contacts.speed[:, foot], label=f"{name} foot")
        feet.fill_between(
            seconds, foot * 0.5, foot * 0.5 + 0.5, where=plan.contacts.planted[:, foot], alpha=0.2, step="mid"
        )
    feet.set_ylabel("speed, body heights/s")
    feet.legend(loc="upper right", fontsize=7)
    middle = np.array([info.size_wh[0] / 2, info.size_wh[1] / 2, 1.0])
    for name, motion in (("measured", plan.camera.world_from_source), ("shake", plan.camera.stable_from_source)):
        moved = motion @ middle
        path.plot(seconds, moved[:, 0] / moved[:, 2] - middle[0], label=f"{name}, x")
    path.set_ylabel("camera, px")
    path.legend(loc="upper right", fontsize=7)
    known = np.isfinite(series["warping_error_result"])
    at = seconds[series["frame"][known].astype(int)]
    warp.plot(at, series["warping_error_source"][known], label="source")
    warp.plot(at, series["warping_error_result"][known], label="result")
    warp.set_ylabel("warping error")
    warp.set_xlabel("seconds")
    warp.legend(loc="upper right", fontsize=7)
    for axis in (feet, path, warp):
        for segment in plan.segments:
            axis.axvline(seconds[segment.start], color="0.6", linewidth=0.8)
        axis.fill_between(
            seconds,
            0,
            1,
            where=plan.subject.presence == Presence.ABSENT,
            color="0.9",
            transform=axis.get_xaxis_transform(),
        )
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=90, metadata={"Software": ""})
    return buffer.getvalue()


def _fitted(picture: Picture) -> Picture:
    scale = _SHEET_COLUMN_PX / picture.shape[1]
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _png(picture: Picture) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1])


def _uri(picture: Picture) -> str:
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return "data:image/jpeg;base64," + base64.b64encode(bytes(jpeg)).decode()
