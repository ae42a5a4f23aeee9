"""The operator's bucket: its variables, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.errors import InvalidInput

NAMES = ("BUCKET_ENDPOINT_URL", "BUCKET_ACCESS_KEY_ID", "BUCKET_SECRET_ACCESS_KEY", "BUCKET_NAME")
"""All are needed, or none. ``BUCKET_REGION`` and ``UNDERSTUDY_LINK_SECONDS`` may be set beside them."""


LONGEST_LINK_SECONDS = 7 * 24 * 3600
"""S3's own limit for a signed URL."""


_STEP = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")


_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")


_REGION = re.compile(
    r"^s3api-([a-z0-9-]+)\.runpod\.io$|(?:^|\.)s3[.-](?:dualstack\.)?([a-z0-9]+(?:-[a-z0-9]+)+)(?:\.[a-z0-9-]+){2,}$|^([a-z0-9]+)\.digitaloceanspaces\.com$"
)


_WITHOUT_LINKS = re.compile(r"\.runpod\.io$")
"""Hosts of stores whose documentation rules presigned links out."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where results go and how to sign for it; its ``repr`` shows no key."""

    endpoint_url: str
    """Without the bucket's name, which is in the path or, with ``is_virtual``, put before the host."""
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    name: str
    region: str = "us-east-1"
    is_virtual: bool = False
    link_seconds: int = LONGEST_LINK_SECONDS
    """The life of the links in an answer."""
    signs_links: bool = True
    """False for a store that knows no presigned links: answers name places (``s3://``) instead."""


def read_bucket(environment: Mapping[str, str]) -> Bucket | None:
    """Return the bucket that the environment names, or None where it names none.

    The endpoint may be the store's (``https://s3.eu-west-1.amazonaws.com``), also with a path
    (``https://ID.supabase.co/storage/v1/s3``), or, as RunPod's own uploader has it, the bucket's
    (``https://NAME.s3.eu-west-1.amazonaws.com``). The region is ``BUCKET_REGION``, or read from the host where
    it stands there (AWS, Backblaze, Wasabi, Scaleway, DigitalOcean, RunPod), else ``us-east-1``. Raises
    ``InvalidInput`` that names the variables that are missing or wrong, and repeats no value.
    """
    values = {name: environment.get(name, "").strip() for name in NAMES}
    missing = [name for name, value in values.items() if not value]
    if len(missing) == len(NAMES):
        return None
    if missing:
        raise InvalidInput(f"the worker's bucket is only partly set: {', '.join(missing)} missing", field=missing[0])
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
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInput("must be a URL such as https://s3.eu-west-1.amazonaws.com", field="BUCKET_ENDPOINT_URL")
    steps = [step for step in parts.path.split("/") if step]
    if not all(_STEP.fullmatch(step) for step in steps):
        raise InvalidInput("has a path that no known store uses", field="BUCKET_ENDPOINT_URL")
    # A path's last step may be the bucket, as consoles show it.
    before = steps[:-1] if steps[-1:] == [bucket] else steps
    bare = host.removeprefix(f"{bucket.lower()}.")
    # A name with a dot does not match the store's certificate when it stands in the host.
    is_virtual = not before and "." not in bucket and (bare != host or host.endswith(".amazonaws.com"))
    shown = f"[{bare}]" if ":" in bare else bare
    root = f"{parts.scheme}://{shown}" + (f":{port}" if port else "")
    return "/".join([root, *before]), is_virtual


def _region(endpoint_url: str) -> str:
    found = _REGION.search(urlsplit(endpoint_url).hostname or "")
    return next(part for part in found.groups() if part) if found else "us-east-1"


def link_seconds(environment: Mapping[str, str]) -> int:
    """Return the life of links, as the operator set it. Raises ``InvalidInput``."""
    text = environment.get("UNDERSTUDY_LINK_SECONDS", "").strip()
    if not text:
        return LONGEST_LINK_SECONDS
    seconds = int(text) if re.fullmatch(r"\d{1,7}", text) else 0
    if not 1 <= seconds <= LONGEST_LINK_SECONDS:
        raise InvalidInput(f"must be seconds from 1 to {LONGEST_LINK_SECONDS}", field="UNDERSTUDY_LINK_SECONDS")
    return seconds
