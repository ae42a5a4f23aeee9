"""Uploads to the operator's bucket, which may be in any S3-compatible store."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.errors import InvalidInput, UnderstudyError, UploadFailed
from worker.delivery.bucket_settings import Bucket
from worker.delivery.upload_limits import TOO_SLOW, UploadLimits, content_type
from worker.retrying import is_passing, pause_seconds, wait_asked_for
from worker.source.urls import is_untrusted
from worker.threads import start_thread, wait_until

_PART_BYTES = 8 << 20
_THREADS = 4
"""Parts in flight at once. s3transfer reads each part from disk while sending it."""
_LEAVE_SECONDS = 3.0
"""How long a cancelled upload may take to stop before its threads are left to their timeouts."""
_BEGINNINGS = 3
"""How often a file's upload is started if the store loses the uploaded parts, for example by a restart."""
_ERROR_NAME = re.compile(r"[A-Za-z]{1,40}")
_SESSION_LOCK = threading.Lock()
"""boto3's session is not thread-safe while it creates a client."""
_UNREADABLE = frozenset({401, 403, 405, 501})
"""Statuses of a store that accepted a file but does not report its size: the key lacks the permission, or the store
does not support it."""


def check_bucket(bucket: Bucket) -> None:
    """Raise ``InvalidInput`` for settings that only boto3 rejects, such as an invalid host name. Sends no request."""
    from botocore.exceptions import BotoCoreError

    try:
        sign_links(bucket, ["check"])
    except (BotoCoreError, ValueError) as error:
        raise InvalidInput(
            f"the worker's bucket cannot be used ({type(error).__name__})", field="BUCKET_ENDPOINT_URL"
        ) from None


def sign_links(bucket: Bucket, keys: list[str]) -> dict[str, str]:
    """Return a presigned link for each key, valid for ``link_seconds``. Sends no request.

    If the store does not support presigned links, the location ``s3://BUCKET/KEY`` is returned instead.
    """
    client = s3_client(bucket, UploadLimits())
    if not bucket.signs_links:
        client.close()
        return {key: f"s3://{bucket.name}/{key}" for key in keys}
    try:
        return {
            key: client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket.name, "Key": key}, ExpiresIn=bucket.link_seconds
            )
            for key in keys
        }
    finally:
        client.close()


def upload_files(
    bucket: Bucket, files: Mapping[str, Path], *, check: Callable[[], None], limits: UploadLimits | None = None
) -> None:
    """Store each file under its key, replacing what is there; files over 8 MB are sent in parts of that size.

    Transient failures are retried until the time of ``limits`` is over, and each file's stored size is verified.
    ``check`` is called several times a second and may raise: then the uploads stop, a multipart upload is aborted, and
    nothing of it appears under the key. Raises ``UploadFailed``, whose message holds no key, name or signature.
    """
    limits = limits or UploadLimits()
    deadline = time.monotonic() + limits.total_seconds
    with told_as_upload_failed("refused the result"), _transfers(bucket, limits, deadline) as (transfers, client):
        for key, path in files.items():
            check()
            _store(transfers, bucket, key, path, check, deadline)
            size = start_thread(lambda key=key: _stored_size(client, bucket, key), "head")  # type: ignore[misc]
            if not wait_until(size.done, check, deadline):
                raise UploadFailed(TOO_SLOW)
            if size.result() not in (path.stat().st_size, None):
                raise UploadFailed("the bucket's endpoint reported success, but does not have the result")


@contextmanager
def told_as_upload_failed(refusal: str) -> Iterator[None]:
    """Turn whatever boto3 raises, including its reactions to malformed responses, into ``UploadFailed``."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise UploadFailed(f"the bucket {refusal}: {_refusal(error.response)}") from None
    except BotoCoreError as error:
        raise UploadFailed(f"the bucket could not be reached ({type(error).__name__})") from None
    except (UnderstudyError, OSError, MemoryError):
        # After botocore's errors, some of which are OSErrors.
        raise
    except Exception as error:
        # The server is no S3 store: boto3 fails on what its responses lack.
        raise UploadFailed(
            f"the bucket's endpoint does not respond like an S3 store ({type(error).__name__})"
        ) from None


def _store(transfers: Any, bucket: Bucket, key: str, path: Path, check: Callable[[], None], deadline: float) -> None:
    from botocore.exceptions import ClientError

    for beginning in range(_BEGINNINGS):
        future = transfers.upload(str(path), bucket.name, key, {"ContentType": content_type(path)})
        try:
            if not wait_until(future.done, check, deadline):
                raise UploadFailed(TOO_SLOW)
        except BaseException:
            future.cancel()
            raise
        try:
            future.result()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "NoSuchUpload" or beginning == _BEGINNINGS - 1:
                raise
        else:
            return


def _stored_size(client: Any, bucket: Bucket, key: str) -> int | None:
    """Return the size of the object under a key, -1 if there is none, None if the store does not report it."""
    from botocore.exceptions import ClientError

    try:
        return int(client.head_object(Bucket=bucket.name, Key=key).get("ContentLength", -1))
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return None if status in _UNREADABLE else -1


@contextmanager
def _transfers(bucket: Bucket, limits: UploadLimits, deadline: float) -> Iterator[tuple[Any, Any]]:
    """Yield s3transfer's manager and its client.

    On exit all transfers in flight are awaited; after an error only for ``_LEAVE_SECONDS``.
    """
    from s3transfer.manager import TransferConfig, TransferManager

    gone = threading.Event()
    client = s3_client(bucket, limits, deadline, gone)
    aborts: list[str] = []

    def refuse(event_name: str, **_: Any) -> None:
        # botocore cannot be cancelled and would keep retrying an unresponsive server. One abort request is let through.
        if gone.is_set() and ("AbortMultipartUpload" not in event_name or aborts):
            raise UploadFailed("the upload was abandoned")
        aborts.extend([event_name] if gone.is_set() else [])

    client.meta.events.register("before-send.s3", refuse)
    config = TransferConfig(
        multipart_threshold=_PART_BYTES,
        multipart_chunksize=_PART_BYTES,
        max_request_concurrency=_THREADS,
        max_submission_concurrency=1,
        # A short queue: queued parts need memory, and a cancellation has less to clean up.
        max_request_queue_size=_THREADS,
    )
    manager = TransferManager(client, config)

    def stop() -> None:
        manager.shutdown()
        client.close()

    try:
        yield manager, client
    except BaseException:
        gone.set()
        # An unresponsive server would delay a cancelled job until the socket's timeout.
        stopping = threading.Thread(target=stop, daemon=True)
        stopping.start()
        stopping.join(_LEAVE_SECONDS)
        raise
    stop()


def s3_client(
    bucket: Bucket, limits: UploadLimits, deadline: float | None = None, gone: threading.Event | None = None
) -> Any:
    """Return a boto3 client for the bucket's store; the caller closes it. Raises ``BotoCoreError`` and ``ValueError``.

    Transient failures of its requests are retried until ``deadline`` (of ``time.monotonic``; by default after
    ``limits.total_seconds``) or until ``gone`` is set.
    """
    from botocore.config import Config

    config = Config(
        signature_version="s3v4",
        region_name=bucket.region,
        connect_timeout=limits.connect_seconds,
        read_timeout=limits.answer_seconds,
        # boto3's own retries respect neither our deadline nor Retry-After.
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=_THREADS,
        # Stores other than AWS do not support the checksums that botocore sends by default since 1.36.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "virtual" if bucket.is_virtual else "path"},
    )
    with _SESSION_LOCK:
        client = _session().client(
            "s3",
            endpoint_url=bucket.endpoint_url,
            aws_access_key_id=bucket.access_key_id,
            aws_secret_access_key=bucket.secret_access_key,
            config=config,
        )
    ends = time.monotonic() + limits.total_seconds if deadline is None else deadline
    client.meta.events.register_first("needs-retry.s3", _Retries(ends, gone or threading.Event()))
    if not bucket.endpoint_url.endswith(".amazonaws.com"):
        client.meta.events.register("before-call.s3", _follow_no_redirect)
    return client


@cache
def _session() -> Any:
    """Return the only session: it caches the service description that each client would otherwise load again."""
    # Imported late: this takes a third of a second, and only jobs with a bucket need it.
    import boto3

    return boto3.session.Session()


class _Retries:
    """Handler of botocore's ``needs-retry`` event; it sleeps here, where the pause can be interrupted."""

    def __init__(self, deadline: float, gone: threading.Event) -> None:
        self._deadline = deadline
        self._gone = gone

    def __call__(self, attempts: int, response: Any, caught_exception: BaseException | None, **_: Any) -> int | None:
        from botocore.exceptions import ConnectionError as BotoConnectionError
        from botocore.exceptions import HTTPClientError

        wait = None
        if caught_exception is not None:
            if not isinstance(caught_exception, HTTPClientError | BotoConnectionError) or is_untrusted(
                caught_exception
            ):
                return None
        else:
            http, parsed = response
            if http.status_code < 300 or not is_passing(http.status_code, parsed.get("Error", {}).get("Code", "")):
                return None
            wait = wait_asked_for(http.headers)
        pause = pause_seconds(attempts, wait)
        if time.monotonic() + pause >= self._deadline or self._gone.wait(pause):
            return None
        # Seconds that botocore still has to wait.
        return 0


def _follow_no_redirect(context: dict[str, Any], **_: Any) -> None:
    """Keep botocore from following a redirect to another region: only AWS has them; others may redirect in circles."""
    with suppress(KeyError):
        context["s3_redirect"]["redirected"] = True


def _refusal(response: Mapping[str, Any]) -> str:
    """Return the store's error code and the status, without its message, which may contain keys and signatures."""
    name = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return f"{name} ({status})" if _ERROR_NAME.fullmatch(name) else str(status)
