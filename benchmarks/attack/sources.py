"""Misbehaving clip servers, and URLs that point where no job may connect."""

from __future__ import annotations

import gzip
import random
from collections.abc import Collection, Iterator

from benchmarks.attack.bench import Bench, Tried
from tests.support.http_server import Answer, drip, http_server, response
from tests.support.job_runner import WALK, good_job

_OURS = {"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"}
_MOST_SECONDS = 60.0
"""A server is tried five times, with about ten seconds of pauses in total; the machine may be busy."""
_HOSTS = (
    "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0.0.0.0", "localhost", "[::1]", "[::ffff:7f00:1]", "[::7f00:1]",
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "168.63.129.16", "100.64.0.1", "192.0.0.192",
    "198.18.0.1", "[fd00::1]", "[fe80::1]", "[fec0::1]", "[3fff::1]", "[5f00::1]", "[2002:7f00:1::]",
    "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[2001:0:7f00:1::1]", "a:b@127.0.0.1", "127.0.0.1.", "①②⑦.0.0.1",
)  # fmt: skip


def run(bench: Bench) -> Iterator[Tried]:
    """Request each private host with a canary behind it, then fetch from each server, and run a good job."""
    yield bench.good()
    worker = bench.worker(_OURS)
    with http_server({"/a.mp4": b"data"}) as canary:
        for host in _HOSTS:
            url = f"http://{host}:{canary.port}/a.mp4"
            yield bench.job(f"host {host}", {"video_url": url}, allowed={"URL_REJECTED"})
        yield Tried("canary", f"{len(canary.asked)} hits", not canary.asked, 0.0)
    for name, (answer, allowed) in _servers(bench.seed).items():
        with http_server({"/a.mp4": answer, "/b.mp4": WALK.read_bytes()}) as server:
            asked = {**good_job(), "video_url": server.url("/a.mp4")}
            yield bench.job(name, asked, allowed=allowed, worker=worker, most_seconds=_MOST_SECONDS)
    yield bench.good()


def _servers(seed: int) -> dict[str, tuple[Answer, Collection[str]]]:
    clip = WALK.read_bytes()
    noise = random.Random(seed).randbytes(100_000)
    packed = gzip.compress(clip)
    failed = {"DOWNLOAD_FAILED"}
    rejected = {"URL_REJECTED"}
    return {
        "whole": (clip, {"OK"}),
        "gzip": (response(packed, Content_Encoding="gzip"), {"OK"}),
        "gzip twice": (response(gzip.compress(packed), Content_Encoding="gzip, gzip", Content_Length=""), {"OK"}),
        "gzip cut off": (response(packed[:-20], Content_Encoding="gzip", Content_Length=""), failed),
        "gzip of nothing": (response(noise, Content_Encoding="gzip"), failed),
        "gzip bomb": (
            response(_bomb(), Content_Encoding="gzip"),
            {"TOO_LARGE", "UNSUPPORTED_MEDIA", "DOWNLOAD_FAILED"},
        ),
        "203": (response(clip, "203 X"), {"OK"}),
        "206, whole": (response(clip, "206 X", Content_Range=f"bytes 0-{len(clip) - 1}/{len(clip)}"), {"OK"}),
        "206, a part": (response(clip, "206 X", Content_Range=f"bytes 0-{len(clip) - 1}/{len(clip) + 1}"), failed),
        "204": (response(status="204 X"), failed),
        "429, then whole": ([response(b"", "429 X", Retry_After="1"), clip], {"OK"}),
        "408, then whole": ([408, clip], {"OK"}),
        "429 for an hour": (response(b"", "429 X", Retry_After="3600"), failed),
        "503 for ever": (503, failed),
        "403": (403, failed),
        "no answer": (lambda connection, over: None, failed),
        "no HTTP": (lambda connection, over: connection.sendall(noise), failed),
        "length too large": (response(clip, Content_Length=str(len(clip) + 9)), failed),
        "length of 5,000 digits": (response(clip, Content_Length="9" * 5000), {"TOO_LARGE"}),
        "length under the cap's": (response(b"x", Content_Length=str(3 << 30)), {"TOO_LARGE"}),
        "header without end": (drip(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 70_000, 0.0), failed),
        "redirect in UTF-8": ([response(status="302 X", Location="/ü b.mp4"), clip], {"OK", "DOWNLOAD_FAILED"}),
        "redirect": (response(status="302 X", Location="/b.mp4"), {"OK"}),
        "redirect in circles": (response(status="302 X", Location="/a.mp4"), rejected),
        "redirect to nowhere": (response(status="302 X"), rejected),
        "redirect to a file": (response(status="302 X", Location="file:///etc/passwd"), rejected),
        "redirect home": (response(status="302 X", Location="http://10.0.0.1/a"), rejected),
        "redirect with a control character": (response(status="302 X", Location="/a\x07b"), rejected),
        "endless redirect": (drip(b"HTTP/1.1 302 X\r\nLocation: /b.mp4\r\n\r\n", b"x" * 90_000, 0.0), {"OK"}),
        "a page": (response(b"<html><body>log in</body></html>", Content_Type="text/html"), {"UNSUPPORTED_MEDIA"}),
        "nothing": (response(b""), failed),
    }


def _bomb() -> bytes:
    """Return 3 GB of zeros, compressed several times without holding them in memory."""
    member = gzip.compress(bytes(30_000_000))
    return member * 100
