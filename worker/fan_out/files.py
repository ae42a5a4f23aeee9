"""The files of a shared job in the bucket: the inputs of its chunks, their layers, and messages to its workers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.request import JobRequest
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings
from worker.delivery.bucket import upload_files
from worker.delivery.bucket_settings import Bucket
from worker.fan_out.bundle import pack
from worker.fan_out.store import remove, sha256_of


@dataclass(slots=True)
class SharedFiles:
    """Uploads files of one job and records their keys. A context manager; on exit they are removed from the bucket."""

    bucket: Bucket
    request: JobRequest
    settings: Settings
    workspace: Path
    scratch: Path
    """Temporary folder for uploads and downloads."""
    code: str
    """Code hash of this worker."""
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    bundle_sha256: str = ""
    """"" until the bundle is in the bucket."""
    _keys: list[str] = field(default_factory=list)
    """Keys of all objects that were, or may have been, put into the bucket."""

    def __enter__(self) -> Self:
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keys:
            remove(self.bucket, self._keys)

    def key(self, name: str) -> str:
        """Return the key of a file of this job in the bucket."""
        return f"understudy/fan_out/{self.name}/{name}"

    def record(self, *keys: str) -> None:
        """Record keys that are about to be used, so that they are removed at the end."""
        self._keys.extend(keys)

    def upload(self, key: str, path: Path, check: Check) -> None:
        """Put a file into the bucket. Raises ``UploadFailed``."""
        self.record(key)
        upload_files(self.bucket, {key: path}, check=check)

    def upload_bundle(self, check: Check, *, with_plates: bool) -> None:
        """Put the inputs of all subjects' chunks into the bucket, once. Raises ``UploadFailed``."""
        if self.bundle_sha256:
            return
        bundle = self.scratch / "bundle.zip"
        try:
            pack(bundle, self.request, self.settings, self.workspace, self.code, with_plates=with_plates)
            digest = sha256_of(bundle)
            self.upload(self.bundle_key, bundle, check)
        finally:
            bundle.unlink(missing_ok=True)
        self.bundle_sha256 = digest

    @property
    def bundle_key(self) -> str:
        """Key of the bundle."""
        return self.key("bundle.zip")
