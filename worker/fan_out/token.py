"""Signed words between the workers of one endpoint: nobody without the bucket's secret key can make a chunk job.

HMAC-SHA256 of the standard library: itsdangerous would add its own format around the same digest, and its time stamps
are signed in whole seconds of a key that it derives in a way of its own.
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
_Said = TypeVar("_Said", bound="Signed")


class Signed(BaseModel):
    """What is said in a token; each kind is signed for itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    job: str
    """Name of the fan-out that it belongs to."""
    expires: int
    """Seconds since 1970."""


class ChunkOrder(Signed):
    """Asks for the layers of some chunks."""

    bundle: str
    """The bucket's key of what it is drawn from."""
    bundle_sha256: str
    subject: int
    chunks: dict[int, str]
    """In the order in which they are drawn: the bucket's key that the layers go to; a receipt goes beside them."""
    needed: dict[int, tuple[str, str]]
    """Earlier chunks whose layers they are drawn from: the key where they lie, and their SHA-256."""


class ChunkReceipt(Signed):
    """Says that the layers of one chunk are in the bucket; lies beside them."""

    subject: int
    chunk: int
    layers: str
    sha256: str


def receipt_key(layers: str) -> str:
    """Return where the receipt for some layers lies."""
    return f"{layers}.receipt"


def signing_key(bucket: Bucket) -> bytes:
    """Return the key that the workers of an endpoint share: no caller knows what it is made of."""
    return hmac.digest(bucket.secret_access_key.encode(), _PURPOSE, "sha256")


def sign(said: Signed, key: bytes) -> str:
    """Return a token, ASCII."""
    body = _packed(json.dumps(said.model_dump(mode="json"), sort_keys=True).encode())
    return f"{body}.{_mac(body, type(said), key)}"


def read_token(token: Any, kind: type[_Said], key: bytes, field: str) -> _Said:
    """Return what was said. Raises ``InvalidInput`` where the token is not of this endpoint, or too old."""
    refusal = InvalidInput("is nothing that this endpoint has signed", field=field)
    if not isinstance(token, str) or len(token) > _MOST_CHARACTERS or not token.isascii():
        raise refusal
    body, _, mac = token.partition(".")
    # Compared first, in constant time: what is not ours is not even parsed.
    if not hmac.compare_digest(mac.encode(), _mac(body, kind, key).encode()):
        raise refusal
    try:
        said = kind.model_validate_json(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, ValidationError):
        raise refusal from None
    if said.expires < time.time():
        raise InvalidInput("is too old", field=field)
    return said


def _mac(body: str, kind: type[Signed], key: bytes) -> str:
    return _packed(hmac.digest(key, f"{kind.__name__}.{body}".encode(), hashlib.sha256))


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
