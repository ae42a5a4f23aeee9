"""Joints and contacts of somebody who walks behind hedges and posts: `python -m benchmarks.hidden_legs`.

walk_a's subject is composited back into their own place, behind occluders drawn at their depth, so that all joints and
contacts are known also where nobody sees them. Survey and plan alone run on each clip. Printed are, over the joints in
the picture, hidden or not: the mean error of knees and ankles, the contacts' F1 of the worse foot, and the jitter of
all joints. Thresholds were chosen on all but ``hedge at the end``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks import figures
from benchmarks.stage import Actor, Post, Stage, own_ground, truth_of_walk
from conf import compose_settings
from pipeline.datatypes.plan import Plan
from pipeline.job_steps import mask_store, opened_clip
from pipeline.models.loaded import load_models
from pipeline.plan.plan import make_plan
from pipeline.request import JobRequest, SubjectChoice
from pipeline.settings import Settings
from pipeline.survey.survey import survey_clip

_GREEN = (52, 84, 44)
_LEGS = [13, 14, 15, 16]
_FRAMES = 150
OCCLUDERS: Mapping[str, tuple[Post, ...]] = {
    "nothing": (),
    "hedge at the start": (Post(-0.9, -0.25, 1.1, 0.8, _GREEN),),
    "low hedge": (Post(-0.7, -0.2, 1.4, 0.45, _GREEN),),
    "broad post": (Post(-0.62, -0.4, 0.42),),
    "hedge at the end": (Post(0.95, -0.4, 1.0, 0.9, _GREEN),),
    "two posts": (Post(-1.15, -0.2, 0.3), Post(0.8, -0.4, 0.3)),
}


def plan_of(clip: Path, subject: SubjectChoice, settings: Settings, workspace: Path) -> Plan:
    """Survey a clip and plan its job; what lies between the passes is left in ``workspace``."""
    models = load_models(settings)
    request = JobRequest(clip, workspace / "out", subject=subject)
    with opened_clip(request, settings, workspace, {}, None, _nothing, _no_progress) as opened:
        store = mask_store(opened, workspace)
        survey = survey_clip(opened, models.people, store, settings, workspace, _nothing, _no_progress)
        store.close()
    return make_plan(survey, request, settings, models.generator.needs, workspace)


def figures_of(plan: Plan, truth: figures.Truth) -> tuple[float, float, float]:
    """Return the legs' mean error in % of body height, the worse foot's F1, and the jitter in %."""
    joints = plan.subject.joints.astype(np.float64)
    away = np.linalg.norm(joints[:, _LEGS, :2] - truth.keypoints[:, _LEGS], axis=-1) / truth.body_height_px[:, None]
    error = 100 * float(np.nanmean(away[truth.in_frame[:, _LEGS]]))
    counted = truth.in_frame[:, [figures.LEFT_ANKLE, figures.RIGHT_ANKLE]]
    worse = min(figures.contact_f1(plan.contacts.planted, truth.on_ground, counted))
    return error, worse, figures.jitter_percent(joints, truth)


def main() -> int:
    argparse.ArgumentParser(
        prog="python -m benchmarks.hidden_legs", description=(__doc__ or "").splitlines()[0]
    ).parse_args()
    settings = compose_settings("preview", [])
    print(f"{'in front':20} {'legs off, % bh':>15} {'contacts F1':>12} {'jitter, % bh':>13}")
    for name, posts in OCCLUDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "clip.mp4"
            made = Stage([Actor([*range(_FRAMES)], own_ground)], posts, range(_FRAMES)).written(clip, 5)
            plan = plan_of(clip, made.choice, settings, Path(folder))
        error, worse, jitter = figures_of(plan, truth_of_walk())
        print(f"{name:20} {error:15.2f} {worse:12.3f} {jitter:13.3f}", flush=True)
    return 0


def _nothing() -> None:
    pass


def _no_progress(stage: str, done: int, total: int) -> None:
    pass


if __name__ == "__main__":
    raise SystemExit(main())
