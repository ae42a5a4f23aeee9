"""Files that the workers of one job exchange through the operator's bucket."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline.errors import DownloadFailed
from worker.delivery.bucket import s3_client
from worker.delivery.bucket_settings import Bucket
from worker.delivery.upload_limits import UploadLimits
from worker.threads import start_thread, wait_until

log = logging.getLogger("understudy.fan_out")
_BLOCK_BYTES = 1 << 20
_MOST_SMALL_BYTES = 1 << 16
_LIMITS = UploadLimits(total_seconds=600.0)
_REMOVE_SECONDS = 20.0
_MOST_KEYS = 1000
"""Maximum number of objects to delete."""


def download(bucket: Bucket, key: str, target: Path, sha256: str, check: Callable[[], None]) -> None:
    """Download an object and verify its hash. ``check`` is called several times a second and may raise.

    Raises ``DownloadFailed``, whose message contains no key, name or signature.
    """
    deadline = time.monotonic() + _LIMITS.total_seconds
    gone = threading.Event()
    ended = start_thread(lambda: _download(bucket, key, target, deadline, gone), "bucket download")
    try:
        if not wait_until(ended.done, check, deadline):
            raise DownloadFailed("the worker's bucket did not deliver in time")
        digest = ended.result()
    finally:
        gone.set()
    if digest != sha256:
        target.unlink(missing_ok=True)
        raise DownloadFailed("the worker's bucket delivered other data than was stored there")


def _download(bucket: Bucket, key: str, target: Path, deadline: float, gone: threading.Event) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    digest = hashlib.sha256()
    client = s3_client(bucket, _LIMITS, deadline, gone)
    try:
        body = client.get_object(Bucket=bucket.name, Key=key)["Body"]
        with target.open("wb") as file:
            while block := body.read(_BLOCK_BYTES):
                if gone.is_set():
                    raise DownloadFailed("the download was abandoned")
                digest.update(block)
                file.write(block)
    except (ClientError, BotoCoreError) as error:
        raise DownloadFailed(f"the worker's bucket did not deliver ({type(error).__name__})") from None
    finally:
        client.close()
    return digest.hexdigest()


class SmallObjects:
    """Reads small objects that may not exist yet. Not thread-safe."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._client = s3_client(bucket, UploadLimits(total_seconds=5.0))

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, or None if it does not exist. Raises ``DownloadFailed`` if the store fails."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            body: bytes = self._client.get_object(Bucket=self._bucket.name, Key=key)["Body"].read(_MOST_SMALL_BYTES)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            # Without the permission to list, S3 answers 403 for an object that does not exist.
            if status in (403, 404):
                return None
            raise DownloadFailed(f"the worker's bucket answered {status}") from None
        except BotoCoreError as error:
            raise DownloadFailed(f"the worker's bucket did not answer ({type(error).__name__})") from None
        return body

    def close(self) -> None:
        self._client.close()


def remove(bucket: Bucket, keys: Iterable[str]) -> None:
    """Delete objects. Without the permission they stay, and the bucket's lifecycle rule has to remove them."""
    from botocore.exceptions import BotoCoreError, ClientError

    left = list(keys)
    client = s3_client(bucket, UploadLimits(total_seconds=_REMOVE_SECONDS))
    try:
        for key in left[:_MOST_KEYS]:
            client.delete_object(Bucket=bucket.name, Key=key)
    except (ClientError, BotoCoreError) as error:
        log.warning("files exchanged by workers are left in the bucket (%s)", type(error).__name__)
    finally:
        client.close()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
