"""A chunk job, sent by another worker of this endpoint: generates chunks from inputs in the bucket."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.draw_chunk import accept_layers, draw_chunk, layers_path
from pipeline.errors import InvalidInput
from pipeline.media.sandbox import open_untrusted
from pipeline.needs import memory_bytes
from pipeline.result import Value
from pipeline.runtime.callbacks import Progress
from pipeline.runtime.resources import check_memory, resource_errors
from worker.cancellation import CancelToken
from worker.delivery.bucket import upload_files
from worker.delivery.bucket_settings import Bucket
from worker.environment import WorkerEnvironment
from worker.fan_out.bundle import unpack
from worker.fan_out.open_bundle import OpenBundle
from worker.fan_out.store import download, sha256_of
from worker.fan_out.token import ChunkOrder, ChunkReceipt, read_token, receipt_key, sign, signing_key
from worker.job_folder import job_workspace
from worker.models import ModelKeeper
from worker.resume import code_hash
from worker.threads import start_thread, wait_until

log = logging.getLogger("understudy.fan_out")
_RECEIPT_SECONDS = 24 * 3600
_DELIVER_SECONDS = 600.0


class ChunkAnswer(Value):
    """The answer of a chunk job, from worker to worker."""

    chunks: list[int]
    """Chunks whose layers are now in the bucket, each with a receipt."""


def is_chunk_job(asked: Any) -> bool:
    """Return whether an ``input`` claims to be a chunk job; its signature is verified later."""
    return isinstance(asked, dict) and asked.keys() == {"chunk"}


def do_chunk_job(
    job_id: str,
    asked: Any,
    worker: WorkerEnvironment,
    clock: CancelToken,
    make_progress: Callable[[float], AbstractContextManager[Progress]],
    models: ModelKeeper,
) -> ChunkAnswer:
    """Generate the chunks of an order and put their layers into the bucket, each with a receipt.

    Raises ``InvalidInput`` (field ``chunk``) for an order that no worker of this endpoint has signed.
    """
    if worker.bucket is None:
        raise InvalidInput("was not signed by this endpoint", field="chunk")
    key = signing_key(worker.bucket)
    order = read_token(asked["chunk"], ChunkOrder, key, "chunk")
    log.info("chunks began", extra={"chunks": list(order.chunks), "subject": order.subject})
    bundle = _opened(order, worker.bucket, worker, clock, models)
    loaded = models.load(bundle.settings)
    check_memory(memory_bytes(bundle.clip.info))
    with make_progress(0.0) as progress, resource_errors(bundle.workspace):
        for index, (place, digest) in order.needed.items():
            if not layers_path(bundle.workspace, order.subject, index).exists():
                file = bundle.workspace / f"needed_{index}.part"
                download(worker.bucket, place, file, digest, clock.check)
                accept_layers(bundle.workspace, order.subject, index, file)

        def tell(stage: str, done: int, total: int) -> None:
            clock.stage = stage
            progress(stage, done, total)

        uploads: list[Future[None]] = []
        for index in order.chunks:
            path = draw_chunk(
                bundle.request,
                bundle.settings,
                loaded,
                bundle.workspace,
                order.subject,
                index,
                clip=bundle.clip,
                check=clock.check,
                progress=tell,
            )
            # In parallel with the next chunk.
            uploads.append(start_thread(partial(_deliver, order, index, path, worker.bucket, key), "layers"))
        clock.stage = "deliver"
        wait_until(lambda: all(upload.done() for upload in uploads), clock.check, time.monotonic() + _DELIVER_SECONDS)
        for upload in uploads:
            upload.result(timeout=0)
    return ChunkAnswer(chunks=list(order.chunks))


def _deliver(order: ChunkOrder, index: int, path: Path, bucket: Bucket, key: bytes) -> None:
    """Put a chunk's layers into the bucket, then their receipt."""
    said = ChunkReceipt(
        job=order.job,
        expires=int(time.time()) + _RECEIPT_SECONDS,
        subject=order.subject,
        chunk=index,
        layers=order.chunks[index],
        sha256=sha256_of(path),
    )
    receipt = path.with_suffix(".receipt")
    receipt.write_text(sign(said, key), encoding="ascii")
    files = {order.chunks[index]: path, receipt_key(order.chunks[index]): receipt}
    upload_files(bucket, files, check=lambda: None)


def _opened(
    order: ChunkOrder, bucket: Bucket, worker: WorkerEnvironment, clock: CancelToken, models: ModelKeeper
) -> OpenBundle:
    """Return the bundle with a chunk's inputs: the open one, or else downloaded, unpacked and opened."""
    if models.bundle is not None and models.bundle.sha256 == order.bundle_sha256:
        return models.bundle
    models.let_go_of_bundle()
    with ExitStack() as held:
        folder = held.enter_context(job_workspace(worker.work, f"bundle-{order.job}"))
        with resource_errors(folder):
            packed = folder / "bundle.zip"
            download(bucket, order.bundle, packed, order.bundle_sha256, clock.check)
            request, settings, workspace = unpack(packed, folder, code_hash())
            packed.unlink()
            clock.stage = "open"
            clip = open_untrusted(
                request.video, settings.limits, start_s=request.start_s, end_s=request.end_s, check=clock.check
            )
        held.enter_context(closing(clip))
        bundle = OpenBundle(order.bundle_sha256, request, settings, workspace, clip, held.pop_all())
    models.bundle = bundle
    return bundle
