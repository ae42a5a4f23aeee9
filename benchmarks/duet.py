"""Check that each of two people who cross is replaced by the right new person: `python -m benchmarks.duet`.

Clips with known ground truth are composed from walk_a (``benchmarks.constructed.duet``): the second man passes behind
the first, and in front of the first. Both are replaced in one preview job. Reported for each: the fraction of the
frames showing at least 500 px of the person in which the mask is theirs (IoU above a half, and above that with the
other person), the fraction in which a new person is in their place (its box covers their visible center), and the
memory compared with a job that replaces one.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.constructed import duet
from benchmarks.stage import MadeClip
from conf import compose_settings
from pipeline.api import JobRequest, load_models, run_job
from pipeline.datatypes.plan import Plan
from pipeline.media.decode import open_clip
from pipeline.request import FurtherSubject
from pipeline.workspace.layers import subject_folder
from pipeline.workspace.masks import MaskStore
from pipeline.workspace.subject_masks import SubjectMasks
from pipeline.workspace.values import load_values

AIM = 0.99
MEMORY_AIM = 1.25
LEAST_PX = 500
KINDS: Mapping[str, Mapping[str, float]] = {"behind": {"farther": 1.1}, "in front": {"farther": -0.7, "delay": 25}}


Taken = tuple[float, float]
"""Peak memory (MB) and CPU seconds."""


def run(source: Path, folder: Path, people: tuple[MadeClip, ...], taken: multiprocessing.Queue[Taken]) -> None:
    """Run the job for some of the people, and put its resource use into the queue."""
    settings = compose_settings("preview")
    first, *further = (each.choice for each in people)
    request = JobRequest(
        source,
        folder / "out",
        artifacts=("analysis",),
        subject=first,
        prompt="a man in a green shirt and black trousers",
        further_subjects=tuple(FurtherSubject(choice, prompt="a woman in a white shirt") for choice in further),
    )
    run_job(request, settings, load_models(settings), folder / "work")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    taken.put((usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime))


def measured(source: Path, folder: Path, people: tuple[MadeClip, ...]) -> Taken:
    """Return the resource use of a job in its own process."""
    context = multiprocessing.get_context("spawn")
    taken: multiprocessing.Queue[Taken] = context.Queue()
    process = context.Process(target=run, args=(source, folder, people, taken))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the job ended with {process.exitcode}")
    return taken.get()


def shares(source: Path, folder: Path, number: int, truth: MadeClip) -> tuple[float, float]:
    """Return the fractions of a person's frames in which the mask is theirs, and in which a new person is in their
    place."""
    info = open_clip(source).info
    work = folder / "work"
    plan = load_values(subject_folder(work, number) / "plan.zip", Plan)
    store = MaskStore(work / "masks.zip", info.size_wh)
    masks = SubjectMasks(store, plan.subject, plan.camera.world_from_source, info, plan.overlays)
    right = truth.right_share(masks.subject_mask(t).astype(np.uint8) for t in range(info.num_frames))
    with np.load(folder / "out" / "analysis.npz") as analysis:
        joints = analysis["placed_joints" if number == 0 else f"placed_joints_{number}"]
    placed = [_is_placed(joints[t, :, :2], seen) for t, seen in enumerate(truth.subject) if seen.sum() >= LEAST_PX]
    return right, float(np.mean(placed))


def _is_placed(joints: np.ndarray, seen: np.ndarray) -> bool:
    rows, columns = np.nonzero(seen)
    x, y = float(np.median(columns)), float(np.median(rows))
    known = joints[np.isfinite(joints).all(axis=1)]
    if not len(known):
        return False
    low, high = known.min(axis=0), known.max(axis=0)
    return bool(low[0] <= x <= high[0] and low[1] <= y <= high[1])


def main() -> int:
    is_missed = False
    for name, places in KINDS.items():
        with tempfile.TemporaryDirectory(prefix="duet-") as temporary:
            folder = Path(temporary)
            source = folder / "clip.mp4"
            people = duet(source, **places)  # type: ignore[arg-type]
            one, cpu_of_one = measured(source, folder / "one", people[:1])
            two, cpu_of_two = measured(source, folder / "two", people)
            for number, truth in enumerate(people):
                right, placed = shares(source, folder / "two", number, truth)
                verdict = "ok" if min(right, placed) >= AIM else "MISSED"
                is_missed |= verdict == "MISSED"
                print(f"second {name}: person {number}: mask right in {right:.3f} of the frames, ", end="")
                print(f"somebody put there in {placed:.3f} (aim {AIM})  {verdict}", flush=True)
            print(f"second {name}: memory {one:.0f} -> {two:.0f} MB ({two / one:.2f}, aim {MEMORY_AIM})")
            print(f"second {name}: CPU {cpu_of_one:.0f} -> {cpu_of_two:.0f} s", flush=True)
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
