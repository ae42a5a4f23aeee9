"""Whether the operator's bucket takes and gives back what it should: tried with one tiny object, once a worker."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from pipeline.errors import UploadFailed
from worker.delivery.bucket import s3_client, told_as_upload_failed
from worker.delivery.bucket_settings import Bucket
from worker.delivery.upload_limits import UploadLimits
from worker.threads import start_thread, wait_until

log = logging.getLogger("understudy.startup")
_KEY = "understudy/.trial"
"""Always the same: where the key may not remove it, one object stays."""
_LIMITS = UploadLimits(total_seconds=20.0, answer_seconds=10.0)
_passed: set[Bucket] = set()


class BucketRefused(UploadFailed):
    """The bucket is there and will not do: its settings have to be changed."""


def try_bucket(bucket: Bucket, check: Callable[[], None] = lambda: None, limits: UploadLimits = _LIMITS) -> None:
    """Put an object, read it back and remove it; a bucket that passed is not asked again by this process.

    ``check`` is called some times a second and may raise. Raises ``BucketRefused``, or ``UploadFailed`` where the store
    cannot be reached for some time.
    """
    if bucket in _passed:
        return
    deadline = time.monotonic() + limits.total_seconds
    gone = threading.Event()
    trial = start_thread(lambda: _try(bucket, limits, deadline, gone), "bucket trial")
    try:
        if not wait_until(trial.done, check, deadline):
            raise UploadFailed("the worker's bucket did not answer in time")
    finally:
        gone.set()
    trial.result()
    _passed.add(bucket)


def _try(bucket: Bucket, limits: UploadLimits, deadline: float, gone: threading.Event) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    body = secrets.token_hex(16).encode()
    client = s3_client(bucket, limits, deadline, gone)
    where = {"Bucket": bucket.name, "Key": _KEY}
    try:
        with told_as_upload_failed("refused a trial"):
            try:
                client.put_object(**where, Body=body)
                found = client.get_object(**where)["Body"].read(len(body) + 1)
            except ClientError as error:
                raise _named(error) from None
            if found != body:
                raise BucketRefused(
                    "the bucket's endpoint is not an S3 store: it reported success, but does not have the object"
                )
            try:
                client.delete_object(**where)
            except (ClientError, BotoCoreError):
                # No job removes anything, so the right to is not needed.
                log.info("the key of the bucket may not remove objects: %s stays there", _KEY)
    finally:
        client.close()


_VARIABLES = {
    "InvalidAccessKeyId": "BUCKET_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "BUCKET_SECRET_ACCESS_KEY",
    "NoSuchBucket": "BUCKET_NAME",
    "AuthorizationHeaderMalformed": "BUCKET_REGION",
    "PermanentRedirect": "BUCKET_ENDPOINT_URL or BUCKET_REGION",
    "301": "BUCKET_ENDPOINT_URL or BUCKET_REGION",
    "AccessDenied": "the rights of BUCKET_ACCESS_KEY_ID",
}


def _named(error: Any) -> UploadFailed:
    """Return a refusal with the variable to look at; what may pass is no refusal."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.response.get("Error", {}).get("Code", ""))
    told = f"{code} ({status})" if code.isalpha() and len(code) <= 40 else str(status)
    if status >= 500 or status in (408, 429):
        return UploadFailed(f"the worker's bucket is not available now: {told}")
    hint = f"; look at {_VARIABLES[code]}" if code in _VARIABLES else ""
    return BucketRefused(f"the worker's bucket refused a trial: {told}{hint}")
