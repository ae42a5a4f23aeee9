"""Stores that reject a result, accept it late, or only claim to have stored it; and invalid buckets."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from benchmarks.attack.bench import Bench, Tried
from tests.support.job_runner import good_job
from tests.support.put_server import Step, put_server

_OURS = {"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1", "UNDERSTUDY_UPLOAD_SECONDS": "4"}
_MOST_SECONDS = 60.0


def run(bench: Bench) -> Iterator[Tried]:
    """Deliver to each store by a signed URL, then to servers posing as the worker's bucket; then run a good job."""
    yield bench.good()
    worker = bench.worker(_OURS)
    for name, (steps, allowed) in _STORES.items():
        with put_server(*steps) as server:
            asked = good_job(upload_url=f"{server.url}/r.mp4?X-Amz-Signature=1")
            yield bench.job(name, asked, allowed=allowed, worker=worker, most_seconds=_MOST_SECONDS)
    for query, allowed in _SIGNATURES.items():
        with put_server() as server:
            asked = good_job(upload_url=f"{server.url}/r.mp4?{query}")
            yield bench.job(f"signed with {query[:40]}", asked, allowed=allowed, worker=worker)
            yield Tried("nothing was sent", f"{len(server.received)} requests", not server.received, 0.0)
    for name, steps in _NO_BUCKETS.items():
        with put_server(*steps) as server:
            bucket = {
                "BUCKET_ENDPOINT_URL": server.url,
                "BUCKET_ACCESS_KEY_ID": "AKATTACK",
                "BUCKET_SECRET_ACCESS_KEY": "secret-of-the-attack",
                "BUCKET_NAME": "results",
            }
            yield bench.job(
                f"bucket: {name}",
                good_job(),
                allowed={"UPLOAD_FAILED"},
                worker=bench.worker({**_OURS, **bucket}),
                most_seconds=_MOST_SECONDS,
            )
    yield bench.good()


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code></Error>".encode()


_REFUSED = {"UPLOAD_FAILED"}
_TAKEN = {"OK"}
_STORES: dict[str, tuple[tuple[Step, ...], Collection[str]]] = {
    "takes it": ((200,), _TAKEN),
    "503 twice": ((503, 503, 200), _TAKEN),
    "429, wait a second": (((429, {"Retry-After": "1"}), 200), _TAKEN),
    "408": ((408, 200), _TAKEN),
    "400 RequestTimeout": (((400, {}, _error("RequestTimeout")), 200), _TAKEN),
    "400 SlowDown": (((400, {}, _error("SlowDown")), 200), _TAKEN),
    "hangs up once": (("hang_up", 200), _TAKEN),
    "Azure under another name": (((400, {}, _error("MissingRequiredHeader")), 201), _TAKEN),
    "429 for an hour": (((429, {"Retry-After": "3600"}),), _REFUSED),
    "500 for ever": ((500,), _REFUSED),
    "hangs up for ever": (("hang_up",), _REFUSED),
    "says nothing": (("silent",), _REFUSED),
    "403": ((403,), _REFUSED),
    "400": (((400, {}, _error("InvalidRequest")),), _REFUSED),
    "307 in circles": (((307, {"Location": "/r.mp4"}),), _REFUSED),
    "307 home": (((307, {"Location": "http://10.0.0.1/"}),), _REFUSED),
    "304": ((304,), _REFUSED),
}
_SIGNATURES: dict[str, Collection[str]] = {
    "X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature=1": _REFUSED,
    "sv=2024-11-04&sp=r&sig=1": _REFUSED,
    "sv=2024-11-04&sp=cw&se=2020-01-01T00:00:00Z&sig=1": _REFUSED,
    "X-Amz-SignedHeaders=host%3Bx-amz-acl&X-Amz-Signature=1": {"INVALID_INPUT"},
}
_NO_BUCKETS: dict[str, tuple[Step, ...]] = {
    "200 to everything": (200,),
    "a page for everything": ((200, {}, b"<html>hello</html>"),),
    "307 in circles": ((307, {"Location": "/x"}),),
    "403": (403,),
    "404": (404,),
    "no such bucket": ((404, {}, _error("NoSuchBucket")),),
}
