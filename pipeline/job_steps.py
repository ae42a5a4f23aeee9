"""What every mode of a job begins with: the clip, the survey's masks, and how long each stage takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.plan import Plan
from pipeline.media.clip import Clip
from pipeline.media.sandbox import open_untrusted
from pipeline.media.without_panels import ClipWithoutPanels
from pipeline.request import JobRequest
from pipeline.runtime.callbacks import Check, Progress
from pipeline.settings import Settings
from pipeline.workspace.checkpoints import keep_if_intact
from pipeline.workspace.masks import MaskStore
from pipeline.workspace.subject_masks import SubjectMasks


@contextmanager
def opened_clip(
    request: JobRequest,
    settings: Settings,
    workspace: Path,
    timings: dict[str, float],
    clip: Clip | None,
    check: Check,
    progress: Progress,
) -> Iterator[Clip]:
    """Yield the caller's clip, or open the request's and close it at the end."""
    if clip is not None:
        yield clip
        return
    workspace.mkdir(parents=True, exist_ok=True)
    with timed(timings, "open"):
        opened = open_untrusted(
            request.video,
            settings.limits,
            start_s=request.start_s,
            end_s=request.end_s,
            check=check,
            progress=lambda done, total: progress("open", done, total),
            spool_folder=workspace,
        )
    with closing(opened):
        yield opened


def mask_store(clip: Clip, workspace: Path) -> MaskStore:
    """Return the store of the survey's masks; both are removed where either is damaged, since they depend on each
    other."""
    masks_path = workspace / "masks.zip"
    keep_if_intact(workspace, workspace / "survey.zip", masks_path)
    return MaskStore(masks_path, clip.info.size_wh)


def subject_masks(store: MaskStore, plan: Plan, clip: Clip) -> SubjectMasks:
    """Return the masks of a plan's subject, and of everybody else as that subject sees them."""
    return SubjectMasks(store, plan.subject, plan.camera.world_from_source, clip.info, plan.overlays)


def clip_without_panels(clip: Clip, plan: Plan) -> FrameSource:
    """Return the clip as it looks beneath its translucent panels; itself where it has none."""
    panels = None if plan.overlays is None else plan.overlays.panels
    return clip if panels is None else ClipWithoutPanels(clip, panels)


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds of what is done inside to a stage of ``timings``; nothing where it raises."""
    begin = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - begin
