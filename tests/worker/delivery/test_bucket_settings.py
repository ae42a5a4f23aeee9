"""The environment variables of the operator's bucket."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.errors import InvalidInput
from tests.support.bucket_variables import BUCKET_VARIABLES, bucket_at, says_no_secret
from worker.delivery.bucket import check_bucket, sign_links
from worker.delivery.bucket_settings import read_bucket


def test_without_variables_there_is_no_bucket() -> None:
    assert read_bucket({}) is None
    assert read_bucket({"BUCKET_NAME": "  "}) is None


@pytest.mark.parametrize("missing", list(BUCKET_VARIABLES))
def test_a_bucket_that_is_partly_set_is_an_error_that_names_what_is_missing(missing: str) -> None:
    with pytest.raises(InvalidInput, match=f"{missing} missing") as caught:
        read_bucket({**BUCKET_VARIABLES, missing: ""})
    assert caught.value.field == missing and says_no_secret(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUCKET_ENDPOINT_URL", "s3.eu-west-9.amazonaws.com"),
        ("BUCKET_ENDPOINT_URL", "ftp://s3.example.com"),
        ("BUCKET_ENDPOINT_URL", "https://user:pass@s3.example.com"),
        ("BUCKET_ENDPOINT_URL", "https://s3.example.com/a/../b"),
        ("BUCKET_ENDPOINT_URL", "https://s3.example.com/a b"),
        ("BUCKET_ENDPOINT_URL", "https://[::1"),
        ("BUCKET_ENDPOINT_URL", "https://s3.example.com:99999"),
        ("BUCKET_NAME", "../x"),
        ("UNDERSTUDY_LINK_SECONDS", "0"),
        ("UNDERSTUDY_LINK_SECONDS", "604801"),
        ("UNDERSTUDY_LINK_SECONDS", "-5"),
        ("UNDERSTUDY_LINK_SECONDS", "week"),
    ],
)
def test_a_wrong_variable_is_named_and_its_value_not_repeated(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_bucket({**BUCKET_VARIABLES, name: value})
    assert caught.value.field == name and (len(value) < 6 or value not in caught.value.message)


@pytest.mark.parametrize(
    ("endpoint", "name", "link", "region"),
    [
        ("https://s3.eu-west-1.amazonaws.com", "vids", "https://vids.s3.eu-west-1.amazonaws.com/k", "eu-west-1"),
        ("https://vids.s3.eu-west-1.amazonaws.com/", "vids", "https://vids.s3.eu-west-1.amazonaws.com/k", "eu-west-1"),
        ("https://vids.s3.amazonaws.com", "vids", "https://vids.s3.amazonaws.com/k", "us-east-1"),
        ("https://s3.eu-west-1.amazonaws.com", "a.b", "https://s3.eu-west-1.amazonaws.com/a.b/k", "eu-west-1"),
        ("https://vids.nyc3.digitaloceanspaces.com", "vids", "https://vids.nyc3.digitaloceanspaces.com/k", "nyc3"),
        (
            "https://s3.us-west-004.backblazeb2.com",
            "v-1",
            "https://s3.us-west-004.backblazeb2.com/v-1/k",
            "us-west-004",
        ),
        ("https://x1.r2.cloudflarestorage.com/vids", "vids", "https://x1.r2.cloudflarestorage.com/vids/k", "us-east-1"),
        (
            "https://abc.supabase.co/storage/v1/s3",
            "vids",
            "https://abc.supabase.co/storage/v1/s3/vids/k",
            "us-east-1",
        ),
        (
            "https://abc.storage.supabase.co/storage/v1/s3/vids/",
            "vids",
            "https://abc.storage.supabase.co/storage/v1/s3/vids/k",
            "us-east-1",
        ),
        ("http://10.0.0.5:9000", "vids", "http://10.0.0.5:9000/vids/k", "us-east-1"),
        ("http://[fd00::5]:9000", "vids", "http://[fd00::5]:9000/vids/k", "us-east-1"),
        ("http://minio:9000", "vids", "http://minio:9000/vids/k", "us-east-1"),
    ],
)
def test_the_ways_to_write_an_endpoint(endpoint: str, name: str, link: str, region: str) -> None:
    bucket = read_bucket({**BUCKET_VARIABLES, "BUCKET_ENDPOINT_URL": endpoint, "BUCKET_NAME": name})
    assert bucket is not None
    signed = urlsplit(sign_links(bucket, ["k"])["k"])
    assert f"{signed.scheme}://{signed.netloc}{signed.path}" == link
    assert parse_qs(signed.query)["X-Amz-Credential"][0].split("/")[2] == region
    named = read_bucket(
        {**BUCKET_VARIABLES, "BUCKET_ENDPOINT_URL": endpoint, "BUCKET_NAME": name, "BUCKET_REGION": "my-region"}
    )
    assert named is not None and named.region == "my-region"


def test_a_bucket_is_shown_without_its_keys() -> None:
    assert says_no_secret(ValueError(repr(read_bucket(BUCKET_VARIABLES))))


def test_a_host_that_only_the_library_refuses_is_reported_before_any_work() -> None:
    check_bucket(bucket_at("http://minio:9000"))
    with pytest.raises(InvalidInput) as caught:
        check_bucket(bucket_at("http://my_minio:9000"))
    assert caught.value.field == "BUCKET_ENDPOINT_URL"
