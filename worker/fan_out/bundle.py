"""The inputs of a chunk as one file: clip, plan, plates, masks, settings and the new people's references."""

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
    """Number of reference pictures."""


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str
    """Code hash of the worker that made the bundle: another version would generate different layers."""
    settings: dict[str, Any]
    start_s: float | None
    end_s: float | None
    negative_prompt: str
    people: list[_Person]


def pack(
    target: Path, request: JobRequest, settings: Settings, workspace: Path, code: str, *, with_plates: bool
) -> None:
    """Write the bundle of a job whose survey, plan and, if needed, plates are in ``workspace``, as a zip without
    compression."""
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
        for path in files_to_draw_from(workspace, len(people), with_plates=with_plates):
            _add(archive, f"{_WORKSPACE}/{path.relative_to(workspace).as_posix()}", path)
        for number, each in enumerate(people):
            for n, picture in enumerate(_references(each)):
                buffer = io.BytesIO()
                np.save(buffer, picture, allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(_reference_name(number, n)), buffer.getvalue())


def unpack(bundle: Path, folder: Path, code: str) -> tuple[JobRequest, Settings, Path]:
    """Unpack a bundle made by a worker of this endpoint; return request, settings and workspace.

    Raises ``DownloadFailed`` if that worker runs a different version of the code.
    """
    with zipfile.ZipFile(bundle) as archive:
        manifest = _Manifest.model_validate_json(archive.read(_MANIFEST))
        if manifest.code != code:
            raise DownloadFailed("the job was started by a worker of another version")
        for name in archive.namelist():
            # Although bundles are signed, names that lead out of the folder are ignored.
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
        # Their plans already say whom they replace.
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
