"""Generate chunks of a job that another worker started, from the files in that worker's workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from pipeline.datatypes.plan import Plan
from pipeline.job_steps import clip_without_panels, subject_masks
from pipeline.media.clip import Clip
from pipeline.models.loaded import LoadedModels
from pipeline.perform.appearance import find_appearance
from pipeline.perform.backends import FITTED, prepare_models
from pipeline.perform.inputs import PerformInputs
from pipeline.perform.perform import perform_clip
from pipeline.perform.sharing import ChunkOffer
from pipeline.perform.windows import ChunkSpan
from pipeline.plate.lighting import estimate_lighting
from pipeline.plate.plate import plate_clip
from pipeline.request import JobRequest
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.malloc import trim_malloc
from pipeline.runtime.process import prepare_process
from pipeline.settings import Settings
from pipeline.workspace.checkpoints import write_checksum
from pipeline.workspace.layers import subject_folder
from pipeline.workspace.masks import MaskStore
from pipeline.workspace.values import load_values

_MASKS = "masks.zip"
_PLATES = "plates"
OF_A_SUBJECT = ("plan.zip", "light.zip", "shadows.zip", FITTED)
"""Inputs of a chunk besides the clip: names in the workspace, and in each subject's folder in it."""


def files_to_draw_from(workspace: Path, num_subjects: int, *, with_plates: bool) -> list[Path]:
    """Return the files of a workspace that ``draw_chunks`` needs.

    After SURVEY, PLAN and estimation of the light; ``with_plates``: also PLATE.
    """
    found = [workspace / _MASKS, *([workspace / _PLATES] if with_plates else [])]
    for number in range(num_subjects):
        folder = subject_folder(workspace, number)
        found += [folder / "checksums.json", *(folder / name for name in OF_A_SUBJECT)]
    files: list[Path] = []
    for path in found:
        files += sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    return [path for path in files if path.is_file()]


def layers_path(workspace: Path, subject: int, index: int) -> Path:
    """Return the path of the layers of a subject's chunk."""
    return subject_folder(workspace, subject) / "layers" / f"chunk_{index:04d}.zip"


def accept_layers(workspace: Path, subject: int, index: int, file: Path) -> None:
    """Adopt a file as the layers of a chunk that was generated elsewhere; it is moved."""
    target = layers_path(workspace, subject, index)
    target.parent.mkdir(parents=True, exist_ok=True)
    file.replace(target)
    write_checksum(subject_folder(workspace, subject), target)


def draw_chunks(
    request: JobRequest,
    settings: Settings,
    models: LoadedModels,
    workspace: Path,
    subject: int,
    indices: Iterable[int],
    drawn: Callable[[int, Path], None],
    *,
    clip: Clip,
    check: Check = lambda: None,
    progress: Progress = lambda stage, done, total: None,
) -> None:
    """Generate chunks of one subject, one after the other, and call ``drawn`` with each one's file of layers.

    ``indices`` may wait: the next index is requested when the previous chunk is finished. The chunks that a chunk
    depends on must exist by then. ``workspace`` has ``files_to_draw_from``. On a CPU the bytes are identical to those
    of an unshared job. Raises ``ValueError`` for an index that the plan does not have.
    """
    prepare_process()
    requests = request.for_each_subject()
    folders = [subject_folder(workspace, number) for number in range(len(requests))]
    plans = [load_values(folder / "plan.zip", Plan) for folder in folders]
    wanted = requests[subject]
    appearance = find_appearance(
        wanted.prompt, wanted.negative_prompt, wanted.reference, models.people, wanted.more_references
    )

    def only_these(offer: ChunkOffer, check: Check, progress: Progress) -> Iterator[ChunkSpan]:
        todo = {span.chunk.index: span for span in offer.spans}
        for index in indices:
            if index in todo:
                yield todo.pop(index)
            path = layers_path(workspace, subject, index)
            if not path.is_file():
                raise ValueError(f"the plan has no chunk {index}")
            drawn(index, path)

    with closing(MaskStore(workspace / _MASKS, clip.info.size_wh)) as store:
        masks = [subject_masks(store, plan, clip) for plan in plans]
        scene = clip_without_panels(clip, plans[0])
        lighting = [
            estimate_lighting(scene, plan, of_one, settings, folder, check)
            for plan, of_one, folder in zip(plans, masks, folders, strict=True)
        ]
        plates = None
        if "plates" in models.generator.needs.inputs:
            shadows = [thrown for _, thrown in lighting]
            plates = plate_clip(scene, plans, masks, shadows, settings, workspace, check, progress)
        prepare_models(models, appearance, folders[subject])
        inputs = PerformInputs(
            scene, plans[subject], masks[subject], plates, lighting[subject][0], wanted.seed, folders[subject]
        )
        perform_clip(inputs, models, settings, check, progress, only_these)
    trim_malloc()
