"""A job that shares its chunks: sends them to its own endpoint, generates some itself, takes over late ones.

Two threads: the job's own generates layers and takes in downloaded ones; another one sends orders, polls and downloads.
They communicate through the ``Board``.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.draw_chunk import accept_layers, layers_path
from pipeline.errors import DownloadFailed, InvalidInput, UnderstudyError, UploadFailed
from pipeline.perform.sharing import ChunkOffer, ShareChunks
from pipeline.perform.windows import ChunkSpan
from pipeline.request import JobRequest
from pipeline.result import FanOutReport
from pipeline.runtime.callbacks import Check, Progress
from pipeline.settings import Settings
from worker.delivery.bucket import upload_files
from worker.delivery.bucket_settings import Bucket
from worker.fan_out.board import Board, ChunkState, SentOrder
from worker.fan_out.bundle import pack
from worker.fan_out.endpoint import ENDS, EndpointCalls, EndpointFailed, OwnEndpoint
from worker.fan_out.store import SmallObjects, download, remove, sha256_of
from worker.fan_out.token import ChunkOrder, ChunkReceipt, read_token, receipt_key, sign, signing_key

log = logging.getLogger("understudy.fan_out")
_STATUS_SECONDS = 5.0
"""Interval of status queries for a running job, which only detect a dead worker: chunks appear in the bucket."""
_WAIT_SECONDS = 0.1
_LEAVE_SECONDS = 15.0
"""How long the polling thread may take to cancel the jobs that it sent."""


@dataclass(slots=True)
class FanOut:
    """Shares the chunks of one job. A context manager; on exit its files are removed from the bucket."""

    endpoint: OwnEndpoint
    bucket: Bucket
    workers: int
    """Number of workers, including this one."""
    request: JobRequest
    settings: Settings
    workspace: Path
    scratch: Path
    """Temporary folder for uploads and downloads."""
    code: str
    late_seconds: float
    job_seconds: float
    warnings: list[str] = field(default_factory=list)
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    bundle_sha256: str = ""
    _keys: list[str] = field(default_factory=list)
    """Keys of all objects that were, or may have been, put into the bucket."""
    _boards: list[Board] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keys:
            remove(self.bucket, self._keys)

    def share(self, subject: int) -> ShareChunks:
        """Return the function that decides for ``run_job`` who generates which chunks of a subject."""

        def shared(offer: ChunkOffer, check: Check, progress: Progress) -> Iterator[ChunkSpan]:
            if len(offer.spans) < 2 or not self._is_bundled(check):
                return iter(offer.spans)
            return self._shared(subject, offer, check, progress)

        return shared

    def report(self) -> FanOutReport:
        """Return the statistics of the chunks."""
        counts = [board.counts for board in self._boards]
        return FanOutReport(
            workers=self.workers,
            chunks_here=sum(each.here for each in counts),
            chunks_elsewhere=sum(each.elsewhere for each in counts),
            chunks_taken_over=sum(each.taken_over for each in counts),
        )

    def _is_bundled(self, check: Check) -> bool:
        """Upload the bundle once; return whether it is in the bucket."""
        if self.bundle_sha256:
            return True
        bundle = self.scratch / "bundle.zip"
        pack(bundle, self.request, self.settings, self.workspace, self.code)
        digest = sha256_of(bundle)
        self.put(self.key("bundle.zip"))
        try:
            upload_files(self.bucket, {self.key("bundle.zip"): bundle}, check=check)
        except UploadFailed as error:
            self.warnings.append(f"the chunks were not shared with other workers: {error.message}")
            return False
        finally:
            bundle.unlink(missing_ok=True)
        self.bundle_sha256 = digest
        return True

    def key(self, name: str) -> str:
        """Return the key of a file of this job in the bucket."""
        return f"understudy/fan_out/{self.name}/{name}"

    def put(self, *keys: str) -> None:
        """Record keys that are about to be used, so that they are removed at the end."""
        self._keys.extend(keys)

    def _shared(self, subject: int, offer: ChunkOffer, check: Check, progress: Progress) -> Iterator[ChunkSpan]:
        spans = {span.chunk.index: span for span in offer.spans}
        states = {index: ChunkState(index, offer.needed[index]) for index in spans}
        board = Board(states, self.workers, self.late_seconds)
        self._boards.append(board)
        total = sum(span.chunk.stop - span.chunk.start for span in offer.spans)
        asking = _Asking(self, board, subject)
        done: set[int] = set()

        def report_done(index: int) -> None:
            done.add(index)
            progress("perform", sum(spans[i].chunk.stop - spans[i].chunk.start for i in done), total)

        asking.start()
        try:
            while not board.is_done():
                check()
                for index, file in board.fetched():
                    accept_layers(self.workspace, subject, index, file)
                    board.is_taken(index)
                    report_done(index)
                here = board.claim_here()
                if here is not None:
                    begin = time.monotonic()
                    yield spans[here]
                    board.is_drawn_here(here, time.monotonic() - begin)
                    report_done(here)
                    continue
                with board.changed:
                    board.changed.wait(_WAIT_SECONDS)
        finally:
            asking.end()
            self.warnings += asking.warnings


class _Asking:
    """The thread that sends chunks, looks for their layers in the bucket and queries the status of the jobs."""

    def __init__(self, fan_out: FanOut, board: Board, subject: int) -> None:
        self._fan_out = fan_out
        self._board = board
        self._subject = subject
        self._key = signing_key(fan_out.bucket)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fan out", daemon=True)
        self._calls = EndpointCalls(fan_out.endpoint, self._stop)
        self._expires = int(time.time() + fan_out.job_seconds)
        self._lying: dict[int, tuple[str, str]] = {}
        """Key and hash of the layers in the bucket, by chunk."""
        self._asked: dict[int, float] = {}
        """Time of the last status query, by order."""
        self._is_sending = True
        self.warnings: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Make the thread cancel the remaining jobs and wait for it, but not for an unresponsive server."""
        self._stop.set()
        self._thread.join(_LEAVE_SECONDS)

    def _run(self) -> None:
        objects = SmallObjects(self._fan_out.bucket)
        try:
            while not self._stop.is_set():
                self._cancel_given_up()
                self._send_what_is_open()
                for order in self._board.sent():
                    if self._stop.is_set():
                        break
                    self._look_at(order, objects)
                self._stop.wait(self._board.pause_seconds())
        except Exception:
            # The job continues alone: the orders already sent will count as late.
            log.exception("sharing chunks failed")
        finally:
            for order in self._board.sent():
                self._calls.cancel(order.job_id)
            self._cancel_given_up()
            self._calls.close()
            objects.close()

    def _cancel_given_up(self) -> None:
        while self._board.given_up:
            self._calls.cancel(self._board.given_up.pop())

    def _send_what_is_open(self) -> None:
        while self._is_sending and not self._stop.is_set() and (order := self._board.claim_to_send()) is not None:
            try:
                job_id = self._send(order)
            except UnderstudyError as error:
                self._is_sending = False
                self._board.was_not_sent(order)
                self.warnings.append(f"no more chunks were shared with other workers: {error.message}")
            else:
                self._board.was_sent(order, job_id)

    def _send(self, order: SentOrder) -> str:
        chunks = {index: self._layers_key(order, index) for index in order.left}
        self._fan_out.put(*chunks.values(), *map(receipt_key, chunks.values()))
        needed = {other for index in chunks for other in self._board.states[index].needed} - chunks.keys()
        chunk_order = ChunkOrder(
            job=self._fan_out.name,
            expires=self._expires,
            bundle=self._fan_out.key("bundle.zip"),
            bundle_sha256=self._fan_out.bundle_sha256,
            subject=self._subject,
            chunks=chunks,
            needed={index: self._lying_at(index) for index in sorted(needed)},
        )
        seconds = self._fan_out.job_seconds
        return self._calls.send({"chunk": sign(chunk_order, self._key)}, seconds, seconds)

    def _layers_key(self, order: SentOrder, index: int) -> str:
        return self._fan_out.key(f"layers/{self._subject}_{index:04d}_{order.number}.zip")

    def _lying_at(self, index: int) -> tuple[str, str]:
        """Return key and hash of a chunk's layers in the bucket, uploading them if necessary."""
        if index not in self._lying:
            path = layers_path(self._fan_out.workspace, self._subject, index)
            key = self._fan_out.key(f"layers/{self._subject}_{index:04d}_here.zip")
            self._fan_out.put(key)
            upload_files(self._fan_out.bucket, {key: path}, check=self._check)
            self._lying[index] = key, sha256_of(path)
        return self._lying[index]

    def _look_at(self, order: SentOrder, objects: SmallObjects) -> None:
        try:
            while order.left and self._is_fetched(order, order.left[0], objects):
                pass
            pause = _STATUS_SECONDS if order.started else 0.0
            if not order.left or time.monotonic() - self._asked.get(order.number, 0.0) < pause:
                return
            self._asked[order.number] = time.monotonic()
            status, _ = self._calls.status(order.job_id)
            if status == "IN_PROGRESS":
                self._board.has_started(order)
            # Its last chunks may have arrived in the meantime.
            elif status in ENDS and not (order.left and self._is_fetched(order, order.left[0], objects)):
                log.warning("chunks were not generated elsewhere", extra={"chunks": order.left, "status": status})
                self._board.has_failed(order)
        except (EndpointFailed, DownloadFailed) as error:
            # Possibly transient; otherwise the chunks will count as late.
            log.warning("the state of chunks is unknown: %s", error.message)
        except UnderstudyError as error:
            log.warning("an invalid chunk was received: %s", error.message)
            self._board.has_failed(order)

    def _is_fetched(self, order: SentOrder, index: int, objects: SmallObjects) -> bool:
        """Download a chunk's layers if they are in the bucket; return whether they were."""
        token = objects.read(receipt_key(self._layers_key(order, index)))
        if token is None or self._stop.is_set():
            return False
        receipt = read_token(token.decode("ascii", "replace"), ChunkReceipt, self._key, "chunk")
        expected = self._fan_out.name, self._subject, index, self._layers_key(order, index)
        if (receipt.job, receipt.subject, receipt.chunk, receipt.layers) != expected:
            raise InvalidInput("is the receipt of another chunk", field="chunk")
        file = self._fan_out.scratch / f"{self._subject}_{index:04d}_{uuid.uuid4().hex[:8]}.zip"
        download(self._fan_out.bucket, receipt.layers, file, receipt.sha256, self._check)
        self._lying[index] = receipt.layers, receipt.sha256
        self._board.is_fetched(order, index, file)
        return True

    def _check(self) -> None:
        if self._stop.is_set():
            raise EndpointFailed("the job has ended")
