"""A chunk job, sent by another worker of this endpoint: generates chunks from inputs in the bucket."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.draw_chunk import draw_chunks
from pipeline.errors import InvalidInput
from pipeline.media.sandbox import open_untrusted
from pipeline.needs import memory_bytes
from pipeline.result import Value
from pipeline.runtime.resources import check_memory, resource_errors
from worker.delivery.bucket import upload_files
from worker.delivery.bucket_settings import Bucket
from worker.fan_out.bundle import unpack
from worker.fan_out.line import ChunkLine
from worker.fan_out.open_bundle import OpenBundle
from worker.fan_out.store import download, sha256_of
from worker.fan_out.token import ChunkOrder, ChunkReceipt, read_token, receipt_key, sign, signing_key
from worker.job_context import JobContext
from worker.job_folder import job_workspace
from worker.resume import code_hash
from worker.threads import start_thread, wait_until

log = logging.getLogger("understudy.fan_out")
_RECEIPT_SECONDS = 24 * 3600
_DELIVER_SECONDS = 600.0


class ChunkAnswer(Value):
    """The answer of a chunk job, from worker to worker."""

    chunks: list[int]
    """Chunks whose layers are now in the bucket, each with a receipt."""


def is_chunk_job(raw: Any) -> bool:
    """Return whether an ``input`` claims to be a chunk job; its signature is verified later."""
    return isinstance(raw, dict) and raw.keys() == {"chunk"}


def do_chunk_job(job: JobContext, raw: Any) -> ChunkAnswer:
    """Generate the chunks of an order and put their layers into the bucket, each with a receipt.

    Raises ``InvalidInput`` (field ``chunk``) for an order that no worker of this endpoint has signed.
    """
    bucket = job.worker.bucket
    if bucket is None:
        raise InvalidInput("was not signed by this endpoint", field="chunk")
    key = signing_key(bucket)
    order = read_token(raw["chunk"], ChunkOrder, key, "chunk")
    log.info("chunks began", extra={"chunks": list(order.chunks), "subject": order.subject})
    bundle = _opened(job, order, bucket)
    loaded = job.models.load(bundle.settings)
    check_memory(memory_bytes(bundle.clip.info))
    line = ChunkLine(order, bucket, key, bundle.workspace, job.cancel_token.check)
    uploads: list[Future[None]] = []

    def drawn(index: int, path: Path) -> None:
        # In parallel with the next chunk.
        uploads.append(start_thread(partial(_deliver, order, index, line.places[index], path, bucket, key), "layers"))

    with job.make_progress(0.0) as progress, resource_errors(bundle.workspace), closing(line):
        draw_chunks(
            bundle.request,
            bundle.settings,
            loaded,
            bundle.workspace,
            order.subject,
            line.chunks(),
            drawn,
            clip=bundle.clip,
            check=job.cancel_token.check,
            progress=job.tracked(progress),
        )
        job.cancel_token.stage = "deliver"
        deadline = time.monotonic() + _DELIVER_SECONDS
        wait_until(lambda: all(upload.done() for upload in uploads), job.cancel_token.check, deadline)
        for upload in uploads:
            upload.result(timeout=0)
    return ChunkAnswer(chunks=list(line.places))


def _deliver(order: ChunkOrder, index: int, place: str, path: Path, bucket: Bucket, key: bytes) -> None:
    """Put a chunk's layers into the bucket, then their receipt."""
    receipt = ChunkReceipt(
        job=order.job,
        expires=int(time.time()) + _RECEIPT_SECONDS,
        subject=order.subject,
        chunk=index,
        layers=place,
        sha256=sha256_of(path),
    )
    receipt_file = path.with_suffix(".receipt")
    receipt_file.write_text(sign(receipt, key), encoding="ascii")
    upload_files(bucket, {place: path, receipt_key(place): receipt_file}, check=lambda: None)


def _opened(job: JobContext, order: ChunkOrder, bucket: Bucket) -> OpenBundle:
    """Return the bundle with a chunk's inputs: the open one, or else downloaded, unpacked and opened."""
    models = job.models
    check = job.cancel_token.check
    if models.bundle is not None and models.bundle.sha256 == order.bundle_sha256:
        return models.bundle
    models.let_go_of_bundle()
    with ExitStack() as held:
        folder = held.enter_context(job_workspace(job.worker.work, f"bundle-{order.job}"))
        with resource_errors(folder):
            packed = folder / "bundle.zip"
            download(bucket, order.bundle, packed, order.bundle_sha256, check)
            request, settings, workspace = unpack(packed, folder, code_hash())
            packed.unlink()
            job.cancel_token.stage = "open"
            clip = open_untrusted(
                request.video, settings.limits, start_s=request.start_s, end_s=request.end_s, check=check
            )
        held.enter_context(closing(clip))
        bundle = OpenBundle(order.bundle_sha256, request, settings, workspace, clip, held.pop_all())
    models.bundle = bundle
    return bundle
