"""A bucket's environment variables, and a check that no message repeats its secrets."""

from __future__ import annotations

from tests.support.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from worker.delivery.bucket_settings import Bucket, read_bucket

BUCKET_VARIABLES = {
    "BUCKET_ENDPOINT_URL": "https://s3.eu-west-1.amazonaws.com",
    "BUCKET_ACCESS_KEY_ID": ACCESS_KEY_ID,
    "BUCKET_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    "BUCKET_NAME": "results",
}


def bucket_at(url: str) -> Bucket:
    bucket = read_bucket({**BUCKET_VARIABLES, "BUCKET_ENDPOINT_URL": url})
    assert bucket is not None
    return bucket


def says_no_secret(error: BaseException) -> bool:
    return not any(word in str(error) for word in (ACCESS_KEY_ID, SECRET_ACCESS_KEY, "Signature=", "AWS4", "results/"))
