"""Validation of presigned URLs and their headers before any work."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pipeline.errors import InvalidInput, UnderstudyError, UploadFailed, UrlRejected
from worker.delivery.signed_url import check_headers, check_signature
from worker.source.urls import check_url


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "x"}, {"content-length": "1"}, {"Authorization": "x"}, {"Cookie": "x"},
        {"Transfer-Encoding": "chunked"},
        {"x-amz-acl": "a\r\nHost: b"}, {"x-amz-acl": "ü"}, {"x-amz-acl\r\nx": "1"}, {"x-amz-meta-ü": "1"},
        {"x-amz-acl": "a", "X-AMZ-ACL": "b"}, {f"x-amz-meta-{n}": "1" for n in range(17)}, {"x-amz-meta-a": "v" * 1025},
        {"x-amz-aclx": "1"}, {"": "1"},
    ],
)  # fmt: skip
def test_other_headers_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_headers(headers)
    assert caught.value.field is not None and caught.value.field.startswith("upload_headers")


def _at(seconds: float, form: str = "%Y%m%dT%H%M%SZ") -> str:
    return time.strftime(form, time.gmtime(time.time() + seconds))


# Made when a test runs: the suite may take longer than a signature lasts.
@pytest.mark.parametrize(
    ("query", "asked", "error", "told"),
    [
        (lambda: f"X-Amz-Date={_at(-7200)}&X-Amz-Expires=3600&X-Amz-Signature=x", {}, UploadFailed, "expired"),
        (lambda: f"X-Goog-Date={_at(-7200)}&X-Goog-Expires=3600&X-Goog-Signature=x", {}, UploadFailed, "expired"),
        (lambda: f"sv=1&sp=cw&se={_at(-600, '%Y-%m-%dT%H:%M:%SZ')}&sig=x", {}, UploadFailed, "expired"),
        (lambda: f"Expires={int(time.time()) - 600}&Signature=x&AWSAccessKeyId=a", {}, UploadFailed, "expired"),
        (lambda: f"sv=1&sp=r&se={_at(600, '%Y-%m-%dT%H:%M:%SZ')}&sig=x", {}, UploadFailed, "write"),
        (lambda: "X-Amz-SignedHeaders=host%3Bx-amz-acl&X-Amz-Signature=x", {}, InvalidInput, "x-amz-acl"),
        (
            lambda: "X-Amz-SignedHeaders=host%3Bx-amz-acl&X-Amz-Signature=x",
            {"x-amz-acl": ""},
            InvalidInput,
            "x-amz-acl",
        ),
        (lambda: "X-Goog-SignedHeaders=host%3Bx-goog-acl&X-Goog-Signature=x", {}, InvalidInput, "x-goog-acl"),
    ],
    ids=["amazon", "google", "azure", "amazon-v2", "azure-reads-only", "header", "header-emptied", "google-header"],
)
def test_an_unusable_signature_is_refused_before_the_work(
    query: Callable[[], str], asked: dict[str, str], error: type[UnderstudyError], told: str
) -> None:
    with pytest.raises(error, match=told) as caught:
        check_signature(f"https://store.example/r.mp4?{query()}", asked, field="upload_url")
    assert caught.value.field == "upload_url"


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (lambda: f"X-Amz-Date={_at(-600)}&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost", {}),
        (lambda: "X-Amz-SignedHeaders=host%3Bx-amz-acl", {"X-Amz-Acl": "private"}),
        (lambda: f"sv=1&sp=rcw&se={_at(600, '%Y-%m-%dT%H:%M:%SZ')}&sig=x", {}),
        (lambda: f"Expires={int(time.time()) + 600}&Signature=x", {}),
        (lambda: "X-Amz-Date=never&X-Amz-Expires=long", {}),
        (lambda: "sig=&se=&expires=9", {}),
        (lambda: "", {}),
    ],
    ids=["amazon", "header-given", "azure", "amazon-v2", "no-dates", "empty", "none"],
)
def test_a_usable_signature_is_accepted(query: Callable[[], str], asked: dict[str, str]) -> None:
    check_signature(f"https://store.example/r.mp4?{query()}", asked, field="upload_url")


@pytest.mark.parametrize(
    "url",
    ["ftp://1.1.1.1/x", "file:///etc/passwd", "//1.1.1.1/x", "x", "", "http://", "http://1.1.1.1:22/x", "https://[::1",
     "http://1.1.1.1:99999/", "http://1.1.1.1/a\nb", "http://1.1.1.1\\@127.0.0.1/", "http://a:b@1.1.1.1/"],
)  # fmt: skip
def test_urls_other_than_web_addresses_are_refused(url: str) -> None:
    with pytest.raises(UrlRejected):
        check_url(url, field="upload_url", private_hosts=frozenset({"127.0.0.1"}))


def test_public_addresses_and_the_operators_own_hosts_are_accepted() -> None:
    for url in ("http://1.1.1.1/x", "https://1.1.1.1:8443/x", "https://[2606:4700::1111]/x"):
        check_url(url, field="upload_url", private_hosts=frozenset())
    check_url("http://127.0.0.1:22/x", field="upload_url", private_hosts=frozenset({"127.0.0.1:22"}))
    with pytest.raises(UrlRejected):
        check_url("http://127.0.0.1:23/x", field="upload_url", private_hosts=frozenset({"127.0.0.1:22"}))
