"""A finished result that could not be delivered, kept with the job's checkpoints until the same job is sent again."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import JobTimeout, NoSpace, UploadFailed
from pipeline.mode_results import AnyResult, PeopleReport, PeopleResult
from pipeline.result import JobReport, JobResult
from worker.delivery.local import files_of

log = logging.getLogger("understudy.state")
_FOLDER = "undelivered"
_MANIFEST = "manifest.json"


@contextmanager
def kept_if_undelivered(result: AnyResult, passes: Path, artifacts: Sequence[str]) -> Iterator[None]:
    """Move the result's files into ``passes`` if its delivery fails in a way that a retry may overcome.

    If they cannot be kept, the delivery's error is raised all the same.
    """
    try:
        yield
    except (UploadFailed, NoSpace, JobTimeout):
        folder = passes / _FOLDER
        files = files_of(result)
        if files and files[0].parent != folder:
            try:
                _keep(result, folder, artifacts)
                log.warning("the result could not be delivered; it is kept for the next attempt at this job")
            except (OSError, ValueError) as error:
                shutil.rmtree(folder, ignore_errors=True)
                log.warning("an undelivered result could not be kept (%s)", type(error).__name__)
        raise


def find_kept(passes: Path, artifacts: Sequence[str]) -> AnyResult | None:
    """Return the result that an earlier attempt at this job produced and could not deliver, or None.

    Every file's hash is verified. A result with other artifacts than the requested ones does not count.
    """
    folder = passes / _FOLDER
    try:
        seal, _, text = (folder / _MANIFEST).read_text(encoding="utf-8").partition("\n")
        if hashlib.sha256(text.encode()).hexdigest() != seal:
            raise ValueError("the manifest has changed")
        manifest = json.loads(text)
        if manifest["asked"] != sorted(artifacts):
            return None
        if any(_digest(folder / name) != digest for name, digest in manifest["sha256"].items()):
            raise ValueError("a file has changed")
        result = _result_of(manifest, folder)
        if {path.name for path in files_of(result)} != manifest["sha256"].keys():
            raise ValueError("the list of files has changed")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("a kept result is damaged (%s): it is produced again", type(error).__name__)
        shutil.rmtree(folder, ignore_errors=True)
        return None
    log.info("an earlier attempt at this job has already produced the result; only its delivery is left")
    return result


def _result_of(manifest: dict[str, Any], folder: Path) -> AnyResult:
    video = manifest["video"]
    artifacts = {name: [folder / file for file in files] for name, files in manifest["artifacts"].items()}
    if "people" in manifest["report"]:
        return PeopleResult(artifacts, PeopleReport.model_validate(manifest["report"]))
    return JobResult(None if video is None else folder / video, artifacts, JobReport.model_validate(manifest["report"]))


def _keep(result: AnyResult, folder: Path, artifacts: Sequence[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    digests = {path.name: _digest(path) for path in files_of(result)}
    if len(digests) < len(files_of(result)):
        raise ValueError("two files have the same name")
    for path in files_of(result):
        shutil.move(path, folder / path.name)
    manifest = {
        "asked": sorted(artifacts),
        "video": None if result.video is None else result.video.name,
        "artifacts": {name: [path.name for path in paths] for name, paths in result.artifacts.items()},
        "report": result.report.model_dump(mode="json", exclude_unset=True),
        "sha256": digests,
    }
    part = folder / f".{_MANIFEST}"
    text = json.dumps(manifest, allow_nan=False)
    part.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}", encoding="utf-8")
    # Written last, so that its presence means that all files are complete.
    part.replace(folder / _MANIFEST)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
