"""A job's answer and its size limit; for local jobs, delivery to ``outputs/<job id>/``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import NoSpace, ResultTooLarge, UploadFailed
from pipeline.mode_results import AnyResult
from pipeline.runtime.resources import FULL_DISK
from worker.delivery.upload_limits import content_type
from worker.job_folder import folder_name
from worker.output import FileAnswer, ResultFiles, wire_form, with_files

ANSWER_MAX_BYTES = 9_500_000
"""RunPod drops answers over 10 MB for ``/run`` (20 MB for ``/runsync``; a worker does not know which was called)."""


def answer_of(result: AnyResult, place_of: Callable[[Path], str]) -> FileAnswer:
    """Return a job's answer, with ``place_of(file)`` as the location of each file.

    An artifact with several files has a list. Raises ``ResultTooLarge``.
    """
    artifacts = {
        name: [place_of(path) for path in paths] if len(paths) > 1 else place_of(paths[0])
        for name, paths in result.artifacts.items()
    }
    files = ResultFiles(artifacts=artifacts)
    if result.video is not None:
        files = ResultFiles(
            video_url=place_of(result.video), video_content_type=content_type(result.video), artifacts=artifacts
        )
    answer = with_files(result.report, files)
    check_answer_size(answer)
    return answer


def check_answer_size(answer: FileAnswer) -> None:
    """Raise ``ResultTooLarge`` for an answer that the platform would drop."""
    size = len(json.dumps(wire_form(answer)))
    if size > ANSWER_MAX_BYTES:
        raise ResultTooLarge(f"the answer has {size} bytes; the platform accepts {ANSWER_MAX_BYTES}")


def files_of(result: AnyResult) -> list[Path]:
    """Return all files of a result, the video last: its presence then means that the others are complete."""
    files = [path for paths in result.artifacts.values() for path in paths]
    return files if result.video is None else [*files, result.video]


def deliver_locally(
    result: AnyResult, outputs: Path, job_id: str, *, check: Callable[[], None] = lambda: None
) -> FileAnswer:
    """Move a finished job's files to ``outputs/<job id>/``; return the answer, also written to ``result.json``.

    Existing files of the same names are replaced; files listed only in an earlier ``result.json`` there are removed,
    and anything else in the folder is kept. Raises ``NoSpace`` and ``UploadFailed``, leaving nothing new behind.
    """
    folder = outputs / folder_name(job_id)
    try:
        outputs.mkdir(parents=True, exist_ok=True)
        answer = answer_of(result, lambda path: str(folder / path.name))
        _put_into(folder, files_of(result), answer, check)
    except OSError as error:
        if error.errno in FULL_DISK:
            raise NoSpace("no space is left for the result") from error
        raise UploadFailed("the result could not be written to the output folder") from error
    return answer


def _put_into(folder: Path, files: list[Path], answer: FileAnswer, check: Callable[[], None]) -> None:
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    answer_file = folder / "result.json"
    stale = _named_in(answer_file) - {answer_file.name, *(path.name for path in files)}
    parts = {_part(folder / path.name): folder / path.name for path in files} | {_part(answer_file): answer_file}
    try:
        for source, part in zip(files, parts, strict=False):
            check()
            shutil.move(source, part)
        _part(answer_file).write_text(json.dumps(wire_form(answer), indent=1, allow_nan=False), encoding="utf-8")
        for part, target in parts.items():
            part.replace(target)
    except BaseException:
        for part in parts:
            part.unlink(missing_ok=True)
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    for path in (folder / name for name in stale):
        # A manipulated answer may contain "..".
        if path.is_file():
            path.unlink()


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _named_in(answer_file: Path) -> set[str]:
    """Return the names of the files that an earlier answer lists; none if it is not an answer of ours."""
    try:
        files = ResultFiles.model_validate_json(answer_file.read_bytes())
    except (OSError, ValueError):
        return set()
    places = [files.video_url] if files.video_url else []
    for listed in files.artifacts.values():
        places += [listed] if isinstance(listed, str) else listed
    return {Path(place).name for place in places}
