"""Signed messages between the workers of one endpoint: without the bucket's secret key nobody can forge a chunk job.

HMAC-SHA256 from the standard library: itsdangerous would only wrap the same digest in a format and a key derivation of
its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import InvalidInput
from worker.delivery.bucket_settings import Bucket

_PURPOSE = b"understudy chunk jobs, version 1"
_MOST_CHARACTERS = 65_536
_Content = TypeVar("_Content", bound="Signed")


class Signed(BaseModel):
    """The content of a token; the signature covers its type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    job: str
    """Name of the fan-out that the token belongs to."""
    expires: int
    """Seconds since 1970."""


class Portion(Signed):
    """Requests the layers of some chunks."""

    further: str
    """Prefix of the keys under which the same job finds further portions: see ``portion_key``."""
    chunks: dict[int, str]
    """Key to store the layers under, by chunk, in the order of generation; a receipt is stored beside them."""
    needed: dict[int, tuple[str, str]]
    """Earlier chunks whose layers are needed: their key and SHA-256."""


class ChunkOrder(Portion):
    """Starts a chunk job: where its inputs are, and its first portion."""

    bundle: str
    """Key of the bundle in the bucket."""
    bundle_sha256: str
    subject: int


class FurtherPortion(Portion):
    """A further portion, stored in the bucket; the last one has no chunks."""

    number: int
    """1, 2, 3 …: a portion cannot pass for another one of the same job."""


class ChunkReceipt(Signed):
    """Confirms that the layers of one chunk are in the bucket; stored beside them."""

    subject: int
    chunk: int
    layers: str
    sha256: str


def receipt_key(layers: str) -> str:
    """Return the key of the receipt for layers stored under a key."""
    return f"{layers}.receipt"


def portion_key(further: str, number: int) -> str:
    """Return the key of a job's further portion."""
    return f"{further}{number}.portion"


def signing_key(bucket: Bucket) -> bytes:
    """Return the key shared by the workers of an endpoint, derived from a secret that no caller knows."""
    return hmac.digest(bucket.secret_access_key.encode(), _PURPOSE, "sha256")


def sign(content: Signed, key: bytes) -> str:
    """Return a signed token in ASCII."""
    body = _packed(json.dumps(content.model_dump(mode="json"), sort_keys=True).encode())
    return f"{body}.{_mac(body, type(content), key)}"


def read_token(token: Any, kind: type[_Content], key: bytes, field: str) -> _Content:
    """Return a token's content. Raises ``InvalidInput`` if it was not signed by this endpoint, or has expired."""
    refusal = InvalidInput("was not signed by this endpoint", field=field)
    if not isinstance(token, str) or len(token) > _MOST_CHARACTERS or not token.isascii():
        raise refusal
    body, _, mac = token.partition(".")
    # Verified first, in constant time: foreign data is not even parsed.
    if not hmac.compare_digest(mac.encode(), _mac(body, kind, key).encode()):
        raise refusal
    try:
        content = kind.model_validate_json(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, ValidationError):
        raise refusal from None
    if content.expires < time.time():
        raise InvalidInput("has expired", field=field)
    return content


def _mac(body: str, kind: type[Signed], key: bytes) -> str:
    return _packed(hmac.digest(key, f"{kind.__name__}.{body}".encode(), hashlib.sha256))


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
