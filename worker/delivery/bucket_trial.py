"""Test the operator's bucket by writing, reading and deleting one tiny object, once per worker."""

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
"""Always the same key: without the permission to delete, only one object is left behind."""
_LIMITS = UploadLimits(total_seconds=20.0, answer_seconds=10.0)
_passed: set[Bucket] = set()


class BucketRefused(UploadFailed):
    """The bucket responds but refuses the test: its settings have to be changed."""


def try_bucket(bucket: Bucket, check: Callable[[], None] = lambda: None, limits: UploadLimits = _LIMITS) -> None:
    """Write an object, read it back and delete it; a bucket that has passed is not tested again by this process.

    ``check`` is called several times a second and may raise. Raises ``BucketRefused``, or ``UploadFailed`` if the store
    stays unreachable.
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
        with told_as_upload_failed("refused a test object"):
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
                # Jobs delete no results, so the permission is not required.
                log.info("the bucket's key may not delete objects: %s is left there", _KEY)
    finally:
        client.close()


_VARIABLES = {
    "InvalidAccessKeyId": "BUCKET_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "BUCKET_SECRET_ACCESS_KEY",
    "NoSuchBucket": "BUCKET_NAME",
    "AuthorizationHeaderMalformed": "BUCKET_REGION",
    "PermanentRedirect": "BUCKET_ENDPOINT_URL or BUCKET_REGION",
    "301": "BUCKET_ENDPOINT_URL or BUCKET_REGION",
    "AccessDenied": "the permissions of BUCKET_ACCESS_KEY_ID",
}


def _named(error: Any) -> UploadFailed:
    """Return the error for a refusal, with the variable to check; a transient failure is no refusal."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.response.get("Error", {}).get("Code", ""))
    reason = f"{code} ({status})" if code.isalpha() and len(code) <= 40 else str(status)
    if status >= 500 or status in (408, 429):
        return UploadFailed(f"the worker's bucket is currently unavailable: {reason}")
    hint = f"; check {_VARIABLES[code]}" if code in _VARIABLES else ""
    return BucketRefused(f"the worker's bucket refused a test object: {reason}{hint}")
