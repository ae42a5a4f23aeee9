"""All that a chunk is drawn from, as one file: the clip, the plan, plates, masks, settings and who comes in."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pipeline.draw_chunk import files_to_draw_from
from pipeline.errors import DownloadFailed
from pipeline.request import FurtherSubject, JobRequest
from pipeline.settings import Settings

_MANIFEST = "manifest.json"
_CLIP = "clip"
_WORKSPACE = "workspace"
_COPY_BYTES = 1 << 20


class _Person(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    prompt: str
    references: int
    """How many pictures of them there are."""


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str
    """Of the worker that made it: another version draws something else."""
    settings: dict[str, Any]
    start_s: float | None
    end_s: float | None
    negative_prompt: str
    people: list[_Person]


def pack(target: Path, request: JobRequest, settings: Settings, workspace: Path, code: str) -> None:
    """Write the bundle of a job whose SURVEY, PLAN and PLATE lie in ``workspace``; uncompressed, as its parts are."""
    people = request.for_each_subject()
    manifest = _Manifest(
        code=code,
        settings=settings.model_dump(mode="json"),
        start_s=request.start_s,
        end_s=request.end_s,
        negative_prompt=request.negative_prompt,
        people=[_Person(seed=each.seed, prompt=each.prompt, references=len(_references(each))) for each in people],
    )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_MANIFEST), manifest.model_dump_json())
        _add(archive, _CLIP, request.video)
        for path in files_to_draw_from(workspace, len(people)):
            _add(archive, f"{_WORKSPACE}/{path.relative_to(workspace).as_posix()}", path)
        for number, each in enumerate(people):
            for n, picture in enumerate(_references(each)):
                buffer = io.BytesIO()
                np.save(buffer, picture, allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(_reference_name(number, n)), buffer.getvalue())


def unpack(bundle: Path, folder: Path, code: str) -> tuple[JobRequest, Settings, Path]:
    """Unpack a bundle that was made by a worker of this endpoint; return request, settings and workspace.

    Raises ``DownloadFailed`` where that worker runs other code.
    """
    with zipfile.ZipFile(bundle) as archive:
        manifest = _Manifest.model_validate_json(archive.read(_MANIFEST))
        if manifest.code != code:
            raise DownloadFailed("the job was begun by a worker of another version")
        for name in archive.namelist():
            # Signed, and all the same: no name leads out of the folder.
            if name == _CLIP or (name.startswith(f"{_WORKSPACE}/") and ".." not in PurePosixPath(name).parts):
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, target.open("wb") as file:
                    copyfileobj(source, file, _COPY_BYTES)
        references = [
            [_picture(archive.read(_reference_name(number, n))) for n in range(person.references)]
            for number, person in enumerate(manifest.people)
        ]
    first, *further = zip(manifest.people, references, strict=True)
    request = JobRequest(
        video=folder / _CLIP,
        output_dir=folder / "result",
        seed=first[0].seed,
        prompt=first[0].prompt,
        negative_prompt=manifest.negative_prompt,
        reference=first[1][0] if first[1] else None,
        more_references=tuple(first[1][1:]),
        start_s=manifest.start_s,
        end_s=manifest.end_s,
        # Whom they mean is in their plans.
        further_subjects=tuple(
            FurtherSubject(
                subject="largest",
                seed=person.seed,
                prompt=person.prompt,
                reference=pictures[0] if pictures else None,
                more_references=tuple(pictures[1:]),
            )
            for person, pictures in further
        ),
    )
    return request, Settings.model_validate_json(json.dumps(manifest.settings)), folder / _WORKSPACE


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    with path.open("rb") as source, archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as part:
        copyfileobj(source, part, _COPY_BYTES)


def _references(request: JobRequest) -> Sequence[NDArray[np.uint8]]:
    return [] if request.reference is None else [request.reference, *request.more_references]


def _reference_name(number: int, n: int) -> str:
    return f"references/{number}_{n}.npy"


def _picture(data: bytes) -> NDArray[np.uint8]:
    picture: NDArray[np.uint8] = np.load(io.BytesIO(data), allow_pickle=False)
    return picture
