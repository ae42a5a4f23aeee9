"""What a presigned URL reveals: the headers that it requires, and whether it has expired."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from pipeline.errors import InvalidInput, UploadFailed

AZURE_HEADERS: Mapping[str, str] = {"x-ms-blob-type": "BlockBlob"}
"""Azure rejects an upload without it."""
_AZURE_HOST = re.compile(r"\.blob\.(core\.[a-z.]+|storage\.azure\.net)$")
_SENT_ANYWAY = frozenset({"host", "content-length", "content-type"})
ALLOWED_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-language",
    "content-type",
    "if-match",
    "if-none-match",
    "x-amz-acl",
    "x-amz-checksum-",
    "x-amz-content-sha256",
    "x-amz-meta-",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-server-side-encryption",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-goog-",
    "x-ms-access-tier",
    "x-ms-blob-",
    "x-ms-meta-",
    "x-ms-tags",
    "x-ms-version",
    "x-obs-",
    "x-oss-",
)
"""Headers that a caller may set, by name or, with a trailing hyphen, by prefix: those that stores read in a PUT."""
_VALUE = re.compile(r"[\x20-\x7e]{0,1024}")
_MOST_HEADERS = 16
_CLOCKS_APART_SECONDS = 60.0


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ``InvalidInput`` (field ``upload_headers``) for invalid headers and those that are not allowed."""
    if len(headers) > _MOST_HEADERS:
        raise InvalidInput(f"must have at most {_MOST_HEADERS} entries", field="upload_headers")
    for name, value in headers.items():
        field = f"upload_headers.{name[:60]}"
        if not any(
            name.lower() == allowed
            or (allowed.endswith("-") and name.lower().startswith(allowed))
            # Server-side encryption has more headers with this prefix.
            or name.lower().startswith("x-amz-server-side-encryption-")
            for allowed in ALLOWED_HEADERS
        ) or not re.fullmatch(r"[A-Za-z0-9-]{1,100}", name):
            raise InvalidInput(f"this header is not allowed; these are: {', '.join(ALLOWED_HEADERS)}", field=field)
        if not _VALUE.fullmatch(value):
            raise InvalidInput("must be at most 1024 printable ASCII characters", field=field)
    if len({name.lower() for name in headers}) < len(headers):
        raise InvalidInput("must name each header only once", field="upload_headers")


def headers_for(url: str, kind: str, caller_headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers, names in lower case, of a PUT of content type ``kind`` to ``url``.

    Azure's header is added for its URLs, recognized by host or by the parameters of the signature. The caller's
    headers take precedence; an empty value omits a header.
    """
    is_azure = bool(_AZURE_HOST.search(urlsplit(url).hostname or "")) or {"sig", "sv", "sp"} <= _query(url).keys()
    headers = {"content-type": kind, **(AZURE_HEADERS if is_azure else {})}
    headers |= {name.lower(): value for name, value in caller_headers.items()}
    return {name: value for name, value in headers.items() if value}


def check_signature(url: str, caller_headers: Mapping[str, str], *, field: str) -> None:
    """Reject a presigned URL that cannot accept a result, before there is one.

    Raises ``UploadFailed`` if it has expired or grants no write permission, and ``InvalidInput`` if it was signed for a
    header that is not sent. A URL that reveals none of this passes.
    """
    query = _query(url)
    ends = _end_of(query)
    if ends is not None and ends + _CLOCKS_APART_SECONDS < time.time():
        raise UploadFailed("this presigned URL has expired", field=field)
    if {"sig", "sv", "sp"} <= query.keys() and not set(query["sp"]) & set("cw"):
        raise UploadFailed("this presigned URL grants no write permission", field=field)
    sent = {name.lower() for name, value in caller_headers.items() if value} | _SENT_ANYWAY
    for name in (query.get("x-amz-signedheaders") or query.get("x-goog-signedheaders") or "").lower().split(";"):
        if name and name not in sent:
            raise InvalidInput(f"was signed for the header {name[:60]}: give it in upload_headers", field=field)


def _query(url: str) -> dict[str, str]:
    try:
        return {name.lower(): value for name, value in parse_qsl(urlsplit(url).query, max_num_fields=200)}
    except ValueError:
        return {}


def _end_of(query: Mapping[str, str]) -> float | None:
    """Return when a signature expires, in seconds since 1970, for S3, Google and Azure and the older version 2."""
    try:
        for store in ("amz", "goog"):
            if f"x-{store}-date" in query and f"x-{store}-expires" in query:
                begin = datetime.strptime(query[f"x-{store}-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                return (begin + timedelta(seconds=int(query[f"x-{store}-expires"]))).timestamp()
        if "se" in query and "sig" in query:
            end = datetime.fromisoformat(query["se"].replace("Z", "+00:00"))
            return (end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp()
        if "expires" in query and "signature" in query and re.fullmatch(r"\d{9,10}", query["expires"]):
            return float(query["expires"])
    except (ValueError, OverflowError):
        pass
    return None
