"""Decode a download's content encoding and verify that it is complete."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

_CHUNK = 1 << 18
_GZIP = zlib.MAX_WBITS | 16
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_MOST_CODINGS = 4


class CodingFailed(Exception):
    """The body is truncated, damaged, or encoded in a way that was not requested."""


def decoded(parts: Iterable[bytes], codings: str) -> Iterator[bytes]:
    """Yield a body in pieces of at most 256 kB, decoded according to ``Content-Encoding``.

    A decompression bomb is only expanded as far as it is consumed. Raises ``CodingFailed``, also if the compressed
    stream is truncated, which nothing else detects if the length is unknown.
    """
    names = [name.strip().lower() for name in codings.split(",") if name.strip()]
    if len(names) > _MOST_CODINGS:
        raise CodingFailed("the server sent a file that is compressed too many times")
    body = iter(parts)
    for name in reversed(names):
        if name in ("gzip", "x-gzip"):
            body = _inflated(body, lambda begin: _GZIP)
        elif name == "deflate":
            body = _inflated(body, _deflate_kind)
        elif name != "identity":
            raise CodingFailed("the server sent a file with a content encoding that was not requested")
    return body


def _inflated(parts: Iterator[bytes], kind_of: Callable[[bytes], int]) -> Iterator[bytes]:
    """Inflate a stream of one or more members."""
    stream = None
    for part in parts:
        while part:
            if stream is None:
                stream = zlib.decompressobj(kind_of(part))
            try:
                piece = stream.decompress(part, _CHUNK)
            except zlib.error:
                raise CodingFailed("the server sent a damaged file") from None
            if piece:
                yield piece
            part = stream.unconsumed_tail
            if stream.eof:
                # Zeros after a member are padding; anything else starts the next one.
                part = stream.unused_data.lstrip(b"\0")
                stream = None
            elif not part and len(piece) == _CHUNK:
                # All input is consumed, but more output may follow.
                yield from _rest(stream)
    if stream is not None and not stream.eof:
        raise CodingFailed("the download ended early")


def _rest(stream: zlib._Decompress) -> Iterator[bytes]:
    while piece := stream.decompress(b"", _CHUNK):
        yield piece


def _deflate_kind(begin: bytes) -> int:
    """Return zlib's ``wbits`` for "deflate": with the two-byte zlib header, as the standard says, or raw."""
    if len(begin) < 2:
        return _ZLIB
    return _ZLIB if begin[0] & 0x0F == 8 and int.from_bytes(begin[:2], "big") % 31 == 0 else _RAW
