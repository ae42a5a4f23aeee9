"""The operator's bucket: any S3 store, under RunPod's names of its variables."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import InvalidInput, UploadFailed
from worker.delivery.bucket_settings import Bucket
from worker.delivery.upload_limits import TOO_SLOW, UploadLimits, content_type
from worker.threads import wait_until

_PART_BYTES = 8 << 20
_THREADS = 4
"""Parts under way at once. s3transfer reads each from the disk while it sends it."""
_LEAVE_SECONDS = 3.0
"""How long a cancelled upload may take to stop before its threads are left to their own time-outs."""
_ERROR_NAME = re.compile(r"[A-Za-z]{1,40}")


def check_bucket(bucket: Bucket) -> None:
    """Raise ``InvalidInput`` for what only the S3 library finds wrong, such as a host's name. Nothing is asked."""
    from botocore.exceptions import BotoCoreError

    try:
        sign_links(bucket, ["check"])
    except (BotoCoreError, ValueError) as error:
        raise InvalidInput(
            f"the worker's bucket cannot be used ({type(error).__name__})", field="BUCKET_ENDPOINT_URL"
        ) from None


def sign_links(bucket: Bucket, keys: list[str]) -> dict[str, str]:
    """Return a link for each key with which anybody may read it for ``link_seconds``. Nothing is asked of the store."""
    client = s3_client(bucket, UploadLimits())
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
    """Store each file under its key, in parts of 8 MB where it is larger; what lay there before is replaced.

    ``check`` is called some times a second and may raise: then what is under way is given up, a begun multipart upload
    aborted, and nothing of it is to be seen under the key. Raises ``UploadFailed`` without a key, name or signature.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    limits = limits or UploadLimits()
    deadline = time.monotonic() + limits.total_seconds
    try:
        with _transfers(bucket, limits) as transfers:
            for key, path in files.items():
                check()
                future = transfers.upload(str(path), bucket.name, key, {"ContentType": content_type(path)})
                try:
                    if not wait_until(future.done, check, deadline):
                        raise UploadFailed(TOO_SLOW)
                except BaseException:
                    future.cancel()
                    raise
                future.result()
    except ClientError as error:
        raise UploadFailed(f"the bucket refused the result: {_refusal(error.response)}") from None
    except BotoCoreError as error:
        raise UploadFailed(f"the bucket could not be reached ({type(error).__name__})") from None


@contextmanager
def _transfers(bucket: Bucket, limits: UploadLimits) -> Iterator[Any]:
    """Yield s3transfer's manager; at the end all that is under way is waited for, after an error not for long."""
    from s3transfer.manager import TransferConfig, TransferManager

    client = s3_client(bucket, limits)
    gone = threading.Event()
    aborts: list[str] = []

    def refuse(event_name: str, **_: Any) -> None:
        # botocore knows no cancel, and would ask a silent server some times more. One abort may go out.
        if gone.is_set() and ("AbortMultipartUpload" not in event_name or aborts):
            raise UploadFailed("the upload was given up")
        aborts.extend([event_name] if gone.is_set() else [])

    client.meta.events.register("before-send.s3", refuse)
    config = TransferConfig(
        multipart_threshold=_PART_BYTES,
        multipart_chunksize=_PART_BYTES,
        max_request_concurrency=_THREADS,
        max_submission_concurrency=1,
        # Parts that wait need no memory, and a cancel has less to clear away.
        max_request_queue_size=_THREADS,
    )
    manager = TransferManager(client, config)

    def stop() -> None:
        manager.shutdown()
        client.close()

    try:
        yield manager
    except BaseException:
        gone.set()
        # A server that says nothing would hold a cancelled job until the socket's time-out.
        stopping = threading.Thread(target=stop, daemon=True)
        stopping.start()
        stopping.join(_LEAVE_SECONDS)
        raise
    stop()


def s3_client(bucket: Bucket, limits: UploadLimits) -> Any:
    """Return a boto3 client for the bucket's store; close it. Raises ``BotoCoreError`` and ``ValueError``."""
    # Imported late: it takes a third of a second, and only jobs with a bucket need it.
    import boto3
    from botocore.config import Config

    config = Config(
        signature_version="s3v4",
        region_name=bucket.region,
        connect_timeout=limits.connect_seconds,
        read_timeout=limits.answer_seconds,
        retries={"mode": "standard", "total_max_attempts": limits.tries},
        max_pool_connections=_THREADS,
        # Stores other than AWS's do not know the checksums that botocore sends by default since 1.36.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "virtual" if bucket.is_virtual else "path"},
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=bucket.endpoint_url,
        aws_access_key_id=bucket.access_key_id,
        aws_secret_access_key=bucket.secret_access_key,
        config=config,
    )


def _refusal(response: Mapping[str, Any]) -> str:
    """Return the store's name for the error and the status; its sentence may repeat keys and signatures."""
    name = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return f"{name} ({status})" if _ERROR_NAME.fullmatch(name) else str(status)
