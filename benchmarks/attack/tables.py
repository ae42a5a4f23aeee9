"""Files whose tables claim contents that they do not have: samples, tracks, packets, attachments."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from benchmarks.attack.bench import Bench, Tried
from tests.support.hostile_media import lying_mp4

_REFUSED = frozenset({"TOO_LARGE", "UNSUPPORTED_MEDIA"})


def run(bench: Bench) -> Iterator[Tried]:
    """Send every false entry of every table, with and without a range, and run a good job after each kind."""
    yield bench.good()
    path = bench.folder / "lie.mp4"
    for where in ("stsz", "stts", "ctts", "trun"):
        for samples in (50_000, 900_000, 5_000_000, 80_000_000, 2**31 - 1, 2**32 - 1):
            for tracks in (1, 6):
                path.write_bytes(lying_mp4(samples, tracks, where=where))
                for part in ({}, {"end_s": 1.0}):
                    yield bench.job(
                        f"{samples} samples by {where} in {tracks} tracks{' and end_s' if part else ''}",
                        {"video_url": str(path), **part},
                        allowed=_REFUSED,
                        most_mib=600.0,
                    )
        yield bench.good()
    for tracks in (150, 300, 5_000):
        path.write_bytes(lying_mp4(1, tracks))
        yield bench.job(f"{tracks} tracks", {"video_url": str(path)}, allowed=_REFUSED)
    # Ten million real packets of one byte.
    path.write_bytes(lying_mp4(10_000_000, media=10_000_000))
    for part in ({}, {"end_s": 1.0}):
        yield bench.job("10^7 packets", {"video_url": str(path), **part}, allowed=_REFUSED, most_mib=600.0)
    path.write_bytes(lying_mp4(900_000, media=900_000))
    yield bench.job(
        "9*10^5 packets and end_s", {"video_url": str(path), "end_s": 1.0}, allowed=_REFUSED, most_mib=600.0
    )
    for megabytes in (10, 60, 240):
        path.write_bytes(_with_attachments(megabytes))
        yield bench.job(f"{megabytes} MB of attachments", {"video_url": str(path)}, allowed=_REFUSED, most_mib=600.0)
    yield bench.good()


def _with_attachments(megabytes: int) -> bytes:
    def element(kind: str, content: bytes) -> bytes:
        return bytes.fromhex(kind) + struct.pack(">Q", len(content) | 1 << 56) + content

    name = element("466E", b"font.ttf") + element("4660", b"application/x-truetype-font") + element("46AE", b"\1")
    file = element("61A7", name + element("465C", bytes(megabytes * 10**6)))
    return element("1A45DFA3", element("4282", b"matroska")) + element("18538067", element("1941A469", file))
