"""Hand the result over: locally, a folder ``outputs/<job id>/`` that appears when it is whole."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

from pipeline.errors import NoSpace, UploadFailed
from pipeline.job.workspace import folder_name
from pipeline.run import JobResult


def deliver_locally(result: JobResult, outputs: Path, job_id: str) -> dict[str, Any]:
    """Move a finished job's files to ``outputs/<job id>/``, replacing an earlier run's, and return its result.

    ``result.json`` there holds the same. Raises ``NoSpace`` and ``UploadFailed``; then nothing new is left there.
    """
    folder = outputs / folder_name(job_id)
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        outputs.mkdir(parents=True, exist_ok=True)
        shutil.move(result.video.parent, part)
        answer = {
            "video_url": str(folder / result.video.name),
            "artifacts": {
                name: [str(folder / path.name) for path in paths] if len(paths) > 1 else str(folder / paths[0].name)
                for name, paths in result.artifacts.items()
            },
            **result.report,
        }
        (part / "result.json").write_text(json.dumps(answer, indent=1, allow_nan=False), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        if error.errno == errno.ENOSPC:
            raise NoSpace("there is no space left for the result") from error
        raise UploadFailed("the result could not be written to the output folder") from error
    return answer
