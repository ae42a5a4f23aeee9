"""The destination of a job's result, chosen and checked before any work."""

from __future__ import annotations

import base64
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfileobj
from typing import Protocol

from pipeline.errors import InvalidInput, NoSpace, ResultTooLarge
from pipeline.mode_results import AnyResult
from pipeline.runtime.resources import FULL_DISK
from worker.delivery.bucket import check_bucket, sign_links, upload_files
from worker.delivery.bucket_settings import Bucket
from worker.delivery.bucket_trial import try_bucket
from worker.delivery.local import answer_of, check_answer_size, deliver_locally, files_of
from worker.delivery.presigned import put_file
from worker.delivery.signed_url import check_headers, check_signature
from worker.delivery.upload_limits import UploadLimits, content_type
from worker.environment import WorkerEnvironment
from worker.job_folder import folder_name
from worker.output import FileAnswer, ResultFiles, with_files
from worker.source.urls import check_url

Check = Callable[[], None]
NO_LINKS = (
    "this worker's bucket does not support links: read the files at their s3:// locations with a key of the bucket"
)
_PACKED = frozenset({"plate"})
"""Artifacts that may consist of several files: always packed into a zip where an artifact has one location."""


class Destination(Protocol):
    """A destination for a finished job's files."""

    def try_before(self, *, check: Check) -> None:
        """Raise ``UploadFailed`` if it is known before the work that the destination will refuse the files."""

    def deliver(self, result: AnyResult, *, check: Check) -> FileAnswer:
        """Deliver the files and return the job's answer.

        ``check`` is called several times a second and may raise. Raises ``UploadFailed``, ``NoSpace`` and
        ``ResultTooLarge``.
        """


def choose_destination(
    *,
    job_id: str,
    upload_url: str | None,
    artifact_upload_urls: Mapping[str, str],
    inline: bool,
    artifacts: Sequence[str],
    worker: WorkerEnvironment,
    upload_headers: Mapping[str, str] | None = None,
    limits: UploadLimits | None = None,
) -> Destination:
    """Return the destination of a job's result: the caller's URLs, the answer itself, the bucket, or a local folder.

    Raises ``InvalidInput`` if there is none, or if URLs, headers and ``artifacts`` do not match, ``UrlRejected`` for a
    URL that this worker may not send to, and ``UploadFailed`` for one that has expired. Sends nothing.
    """
    limits = limits or UploadLimits(total_seconds=worker.upload_seconds)
    headers = upload_headers or {}
    check_headers(headers)
    if headers and upload_url is None:
        raise InvalidInput("require an upload_url", field="upload_headers")
    if upload_url is not None or artifact_upload_urls:
        urls = _caller_urls(upload_url, artifact_upload_urls, inline, artifacts)
        for field, url in urls.items():
            check_url(url, field=field, private_hosts=worker.private_hosts)
            check_signature(url, headers, field=field)
        return _CallersUrls(urls, headers, worker.private_hosts, limits)
    if inline:
        return _Inline(worker.inline_max_bytes)
    if worker.bucket is not None:
        check_bucket(worker.bucket)
        return _InBucket(worker.bucket, f"understudy/{folder_name(job_id)}", limits)
    if worker.local_delivery:
        return _Locally(worker.outputs, job_id)
    raise InvalidInput(
        "this worker has no bucket: give an upload_url, or request the result inline", field="upload_url"
    )


def _caller_urls(
    video_url: str | None, artifact_urls: Mapping[str, str], inline: bool, artifacts: Sequence[str]
) -> dict[str, str]:
    """Return the URLs by the request's field, the video's last."""
    if video_url is None:
        raise InvalidInput("is required with artifact_upload_urls", field="upload_url")
    if inline:
        raise InvalidInput("cannot be combined with upload_url", field="inline")
    for name in artifacts:
        if name not in artifact_urls:
            raise InvalidInput("is required for this artifact", field=_field_of(name))
    for name in artifact_urls:
        if name not in artifacts:
            raise InvalidInput("this artifact was not requested", field=_field_of(name))
    urls = {_field_of(name): url for name, url in artifact_urls.items()} | {"upload_url": video_url}
    if len(set(urls.values())) < len(urls):
        raise InvalidInput("each file needs a URL of its own", field="artifact_upload_urls")
    return urls


def _field_of(artifact: str) -> str:
    return f"artifact_upload_urls.{artifact[:40]}"


@dataclass(frozen=True, slots=True)
class _InBucket:
    bucket: Bucket
    prefix: str
    """Made from the job's id only, so the same job overwrites its earlier result."""
    limits: UploadLimits

    def try_before(self, *, check: Check) -> None:
        try_bucket(self.bucket, check)

    def deliver(self, result: AnyResult, *, check: Check) -> FileAnswer:
        keys = {f"{self.prefix}/{path.name}": path for path in files_of(result)}
        links = sign_links(self.bucket, list(keys))
        answer = answer_of(result, lambda path: links[f"{self.prefix}/{path.name}"])
        if self.bucket.signs_links:
            answer = answer.model_copy(update={"expires_s": self.bucket.link_seconds})
        else:
            answer = answer.model_copy(update={"warnings": (*answer.warnings, NO_LINKS)})
        upload_files(self.bucket, keys, check=check, limits=self.limits)
        return answer


@dataclass(frozen=True, slots=True)
class _CallersUrls:
    urls: dict[str, str]
    """By the request's field, the video's last."""
    headers: Mapping[str, str]
    private_hosts: frozenset[str]
    limits: UploadLimits

    def try_before(self, *, check: Check) -> None:
        """Do nothing: a URL presigned for PUT allows no other request."""

    def _artifacts(self) -> set[str]:
        return {field.rpartition(".")[2] for field in self.urls}

    def deliver(self, result: AnyResult, *, check: Check) -> FileAnswer:
        # The stills that accompany a turntable video are not delivered here: the caller gave no URL for them.
        unplaced = result.artifacts.keys() - self._artifacts() if result.video is not None else set()
        artifacts = {name: paths for name, paths in result.artifacts.items() if name not in unplaced}
        result = replace(result, artifacts=artifacts)
        packed = _packed(result, check)
        # Without a video the pictures are the result; a clip without people has none.
        main = result.video or next(iter(packed.values()), None)
        files = {_field_of(name): path for name, path in packed.items() if path != main}
        if main is not None:
            files["upload_url"] = main
        # Without the query, which contains the caller's signature.
        places = {path: self.urls[field].partition("?")[0] for field, path in files.items()}
        single = replace(result, artifacts={name: [path] for name, path in packed.items()})
        answer = answer_of(single, places.__getitem__)
        deadline = time.monotonic() + self.limits.total_seconds
        for field, path in files.items():
            put_file(
                self.urls[field],
                path,
                field=field,
                private_hosts=self.private_hosts,
                check=check,
                deadline=deadline,
                limits=self.limits,
                headers=self.headers,
            )
        return answer


@dataclass(frozen=True, slots=True)
class _Inline:
    max_bytes: int

    def try_before(self, *, check: Check) -> None:
        """Do nothing: the size of the result is not known yet."""

    def deliver(self, result: AnyResult, *, check: Check) -> FileAnswer:
        packed = _packed(result, check)
        video = result.video
        size = sum(path.stat().st_size for path in (*packed.values(), *([] if video is None else [video])))
        if size > self.max_bytes:
            raise ResultTooLarge(
                f"the files have {size} bytes; the limit for inline results is {self.max_bytes}", field="inline"
            )
        artifacts = {name: _text(path) for name, path in packed.items()}
        files = ResultFiles(artifacts_base64=artifacts)
        if video is not None:
            files = ResultFiles(
                video_base64=_text(video), video_content_type=content_type(video), artifacts_base64=artifacts
            )
        answer = with_files(result.report, files)
        check_answer_size(answer)
        return answer


@dataclass(frozen=True, slots=True)
class _Locally:
    outputs: Path
    job_id: str

    def try_before(self, *, check: Check) -> None:
        """Do nothing: a folder that is not writable is reported when the result is written."""

    def deliver(self, result: AnyResult, *, check: Check) -> FileAnswer:
        return deliver_locally(result, self.outputs, self.job_id, check=check)


def _packed(result: AnyResult, check: Check) -> dict[str, Path]:
    """Return one file for each artifact; several files are packed into a zip with reproducible bytes."""
    return {
        name: _zip(name, paths, check) if name in _PACKED or len(paths) > 1 else paths[0]
        for name, paths in result.artifacts.items()
    }


def _zip(name: str, paths: Sequence[Path], check: Check) -> Path:
    target = paths[0].with_name(f"{name}.zip")
    try:
        with zipfile.ZipFile(target, "w") as archive:
            for path in paths:
                check()
                # A bare ZipInfo has a fixed date and no compression: pictures are already compressed.
                with path.open("rb") as source, archive.open(zipfile.ZipInfo(path.name), "w", force_zip64=True) as part:
                    copyfileobj(source, part, 1 << 20)
    except OSError as error:
        if error.errno in FULL_DISK:
            raise NoSpace("no space is left for the result") from error
        raise
    return target


def _text(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
