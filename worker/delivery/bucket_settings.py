"""Settings of the operator's bucket, read from the environment under RunPod's variable names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.errors import InvalidInput

NAMES = ("BUCKET_ENDPOINT_URL", "BUCKET_ACCESS_KEY_ID", "BUCKET_SECRET_ACCESS_KEY", "BUCKET_NAME")
"""All or none must be set. ``BUCKET_REGION`` and ``UNDERSTUDY_LINK_SECONDS`` are optional."""
LONGEST_LINK_SECONDS = 7 * 24 * 3600
"""S3's limit for a presigned URL."""
_STEP = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_REGION = re.compile(
    r"^s3api-([a-z0-9-]+)\.runpod\.io$|(?:^|\.)s3[.-](?:dualstack\.)?([a-z0-9]+(?:-[a-z0-9]+)+)(?:\.[a-z0-9-]+){2,}$|^([a-z0-9]+)\.digitaloceanspaces\.com$"
)
_WITHOUT_LINKS = re.compile(r"\.runpod\.io$")
"""Hosts of stores that do not support presigned links according to their documentation."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket for results and its credentials; its ``repr`` shows no key."""

    endpoint_url: str
    """Without the bucket's name, which goes into the path or, with ``is_virtual``, before the host."""
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    name: str
    region: str = "us-east-1"
    is_virtual: bool = False
    link_seconds: int = LONGEST_LINK_SECONDS
    """Lifetime of the links in an answer."""
    signs_links: bool = True
    """False for a store without presigned links: answers contain ``s3://`` locations instead."""


def read_bucket(environment: Mapping[str, str]) -> Bucket | None:
    """Return the bucket that the environment configures, or None.

    The endpoint may be the store's (``https://s3.eu-west-1.amazonaws.com``), also with a path
    (``https://ID.supabase.co/storage/v1/s3``), or the bucket's, as RunPod's own uploader expects
    (``https://NAME.s3.eu-west-1.amazonaws.com``). The region is ``BUCKET_REGION``, or taken from the host name
    (AWS, Backblaze, Wasabi, Scaleway, DigitalOcean, RunPod), else ``us-east-1``. Raises ``InvalidInput`` that names the
    missing or invalid variables and does not repeat their values.
    """
    values = {name: environment.get(name, "").strip() for name in NAMES}
    missing = [name for name, value in values.items() if not value]
    if len(missing) == len(NAMES):
        return None
    if missing:
        raise InvalidInput(f"the worker's bucket is incomplete: {', '.join(missing)} missing", field=missing[0])
    name = values["BUCKET_NAME"]
    if not _BUCKET_NAME.fullmatch(name):
        raise InvalidInput("not a valid bucket name", field="BUCKET_NAME")
    endpoint, is_virtual = _endpoint(values["BUCKET_ENDPOINT_URL"], name)
    return Bucket(
        endpoint_url=endpoint,
        access_key_id=values["BUCKET_ACCESS_KEY_ID"],
        secret_access_key=values["BUCKET_SECRET_ACCESS_KEY"],
        name=name,
        region=environment.get("BUCKET_REGION", "").strip() or _region(endpoint),
        is_virtual=is_virtual,
        link_seconds=link_seconds(environment),
        signs_links=not _WITHOUT_LINKS.search(urlsplit(endpoint).hostname or ""),
    )


def _endpoint(url: str, bucket: str) -> tuple[str, bool]:
    """Return the endpoint without the bucket's name, and whether the name belongs before the host."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        host = ""
        port = None
    if not host or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInput("must be a URL such as https://s3.eu-west-1.amazonaws.com", field="BUCKET_ENDPOINT_URL")
    steps = [step for step in parts.path.split("/") if step]
    if not all(_STEP.fullmatch(step) for step in steps):
        raise InvalidInput("has an invalid path", field="BUCKET_ENDPOINT_URL")
    # The last component of the path may be the bucket, as some consoles show it.
    before = steps[:-1] if steps[-1:] == [bucket] else steps
    bare = host.removeprefix(f"{bucket.lower()}.")
    # A bucket name with a dot in the host does not match the store's certificate.
    is_virtual = not before and "." not in bucket and (bare != host or host.endswith(".amazonaws.com"))
    shown = f"[{bare}]" if ":" in bare else bare
    root = f"{parts.scheme}://{shown}" + (f":{port}" if port else "")
    return "/".join([root, *before]), is_virtual


def _region(endpoint_url: str) -> str:
    found = _REGION.search(urlsplit(endpoint_url).hostname or "")
    return next(part for part in found.groups() if part) if found else "us-east-1"


def link_seconds(environment: Mapping[str, str]) -> int:
    """Return the lifetime of links that the operator has set. Raises ``InvalidInput``."""
    text = environment.get("UNDERSTUDY_LINK_SECONDS", "").strip()
    if not text:
        return LONGEST_LINK_SECONDS
    seconds = int(text) if re.fullmatch(r"\d{1,7}", text) else 0
    if not 1 <= seconds <= LONGEST_LINK_SECONDS:
        raise InvalidInput(f"must be 1 to {LONGEST_LINK_SECONDS} seconds", field="UNDERSTUDY_LINK_SECONDS")
    return seconds
