"""The new person alone, without a clip: fitted to the reference pictures or dressed by the prompt, turning once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.mode_results import CharacterReport, CharacterResult
from pipeline.models.interfaces import CharacterBackend, PeopleBackend
from pipeline.perform.appearance import find_appearance
from pipeline.report.turntable import FRAMES, SIZE_WH, write_turntable
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.process import prepare_process
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class CharacterRequest:
    """The person to show, with everything fetched and validated."""

    output_dir: Path
    prompt: str = ""
    negative_prompt: str = ""
    references: tuple[NDArray[np.uint8], ...] = ()
    """(H, W, 3 or 4) RGB or RGBA, the same person from one to four sides."""


def show_character(
    request: CharacterRequest,
    settings: Settings,
    people: PeopleBackend,
    figure: CharacterBackend,
    *,
    check: Check = lambda: None,
    progress: Progress = lambda stage, done, total: None,
) -> CharacterResult:
    """Render the figure that represents the new person, as ``preview`` draws it and as it guides image generators.

    It is the one that a job with the same pictures, prompt and settings uses. Raises ``InvalidInput`` where a picture
    shows nobody, or several people of whom none is by far the largest, and the errors of the disk.
    """
    prepare_process()
    timings: dict[str, float] = {}
    begin = time.perf_counter()
    first, *others = request.references or (None,)
    appearance = find_appearance(
        request.prompt, request.negative_prompt, first, people, [other for other in others if other is not None]
    )
    check()
    warnings = figure.prepare(appearance)
    timings["fit"] = round(time.perf_counter() - begin, 3)
    begin = time.perf_counter()
    film, stills = write_turntable(
        request.output_dir, figure.turned, check, lambda done, total: progress("character", done, total)
    )
    timings["draw"] = round(time.perf_counter() - begin, 3)
    fit = figure.fit
    report = CharacterReport(
        preset=settings.preset,
        views=fit.views,
        outline_overlap=None if fit.overlap is None else round(fit.overlap, 4),
        frames=FRAMES,
        width=SIZE_WH[0],
        height=SIZE_WH[1],
        timings_s=timings,
        warnings=warnings,
    )
    return CharacterResult(film, {"character": stills}, report)
