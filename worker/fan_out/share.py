"""The job that shares its chunks: sends them to its own endpoint, draws some itself, takes over what is late.

Two threads: the job's own draws and takes layers in; another one sends, asks and fetches. They meet on the ``Board``.
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
"""Between two questions after a job that is being done: that it lives; its chunks are looked for in the bucket."""
_WAIT_SECONDS = 0.1
_LEAVE_SECONDS = 15.0
"""How long the asking thread may take to cancel what it sent."""


@dataclass(slots=True)
class FanOut:
    """Shares the chunks of one job; a context manager, at whose end nothing is left running or lying about."""

    endpoint: OwnEndpoint
    bucket: Bucket
    workers: int
    """This one counted in."""
    request: JobRequest
    settings: Settings
    workspace: Path
    scratch: Path
    """A folder of its own for files on their way."""
    code: str
    late_seconds: float
    job_seconds: float
    warnings: list[str] = field(default_factory=list)
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    bundle_sha256: str = ""
    _keys: list[str] = field(default_factory=list)
    """Of all that was put, or may have been put, into the bucket."""
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
        """Return what ``run_job`` asks who draws the chunks of a subject."""

        def shared(offer: ChunkOffer, check: Check, progress: Progress) -> Iterator[ChunkSpan]:
            if len(offer.spans) < 2 or not self._is_bundled(check):
                return iter(offer.spans)
            return self._shared(subject, offer, check, progress)

        return shared

    def report(self) -> FanOutReport:
        """Return what became of the chunks."""
        counts = [board.counts for board in self._boards]
        return FanOutReport(
            workers=self.workers,
            chunks_here=sum(each.here for each in counts),
            chunks_elsewhere=sum(each.elsewhere for each in counts),
            chunks_taken_over=sum(each.taken_over for each in counts),
        )

    def _is_bundled(self, check: Check) -> bool:
        """Put the bundle into the bucket, once; return whether it is there."""
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
        """Return the bucket's key of a file of this job."""
        return f"understudy/fan_out/{self.name}/{name}"

    def put(self, *keys: str) -> None:
        """Note keys that something is put under, to be removed at the end."""
        self._keys.extend(keys)

    def _shared(self, subject: int, offer: ChunkOffer, check: Check, progress: Progress) -> Iterator[ChunkSpan]:
        spans = {span.chunk.index: span for span in offer.spans}
        states = {index: ChunkState(index, offer.needed[index]) for index in spans}
        board = Board(states, self.workers, self.late_seconds)
        self._boards.append(board)
        total = sum(span.chunk.stop - span.chunk.start for span in offer.spans)
        asking = _Asking(self, board, subject)
        done: set[int] = set()

        def told(index: int) -> None:
            done.add(index)
            progress("perform", sum(spans[i].chunk.stop - spans[i].chunk.start for i in done), total)

        asking.start()
        try:
            while not board.is_done():
                check()
                for index, file in board.fetched():
                    accept_layers(self.workspace, subject, index, file)
                    board.is_taken(index)
                    told(index)
                here = board.claim_here()
                if here is not None:
                    begin = time.monotonic()
                    yield spans[here]
                    board.is_drawn_here(here, time.monotonic() - begin)
                    told(here)
                    continue
                with board.changed:
                    board.changed.wait(_WAIT_SECONDS)
        finally:
            asking.end()
            self.warnings += asking.warnings


class _Asking:
    """The thread that sends chunks, looks for their layers in the bucket and asks the endpoint who is still at work."""

    def __init__(self, fan_out: FanOut, board: Board, subject: int) -> None:
        self._fan_out, self._board, self._subject = fan_out, board, subject
        self._key = signing_key(fan_out.bucket)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fan out", daemon=True)
        self._calls = EndpointCalls(fan_out.endpoint, self._stop)
        self._expires = int(time.time() + fan_out.job_seconds)
        self._lying: dict[int, tuple[str, str]] = {}
        """Key and hash of layers that lie in the bucket."""
        self._asked: dict[int, float] = {}
        """When the endpoint was last asked after an order."""
        self._is_sending = True
        self.warnings: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Let the thread cancel what is still under way, and wait for it; not for a server that says nothing."""
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
            # The job goes on alone: what was sent counts as late some time.
            log.exception("sharing chunks broke")
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
        said = ChunkOrder(
            job=self._fan_out.name,
            expires=self._expires,
            bundle=self._fan_out.key("bundle.zip"),
            bundle_sha256=self._fan_out.bundle_sha256,
            subject=self._subject,
            chunks=chunks,
            needed={index: self._lying_at(index) for index in sorted(needed)},
        )
        seconds = self._fan_out.job_seconds
        return self._calls.send({"chunk": sign(said, self._key)}, seconds, seconds)

    def _layers_key(self, order: SentOrder, index: int) -> str:
        return self._fan_out.key(f"layers/{self._subject}_{index:04d}_{order.number}.zip")

    def _lying_at(self, index: int) -> tuple[str, str]:
        """Return key and hash of a chunk's layers in the bucket, put there where nobody has yet."""
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
            # Its last chunks may have come since.
            elif status in ENDS and not (order.left and self._is_fetched(order, order.left[0], objects)):
                log.warning("chunks were not drawn elsewhere", extra={"chunks": order.left, "status": status})
                self._board.has_failed(order)
        except (EndpointFailed, DownloadFailed) as error:
            # It may be that it passes; if not, the chunks are late some time.
            log.warning("no word of chunks: %s", error.message)
        except UnderstudyError as error:
            log.warning("a chunk came back wrong: %s", error.message)
            self._board.has_failed(order)

    def _is_fetched(self, order: SentOrder, index: int, objects: SmallObjects) -> bool:
        """Fetch a chunk's layers where they are there."""
        token = objects.read(receipt_key(self._layers_key(order, index)))
        if token is None or self._stop.is_set():
            return False
        receipt = read_token(token.decode("ascii", "replace"), ChunkReceipt, self._key, "chunk")
        expected = self._fan_out.name, self._subject, index, self._layers_key(order, index)
        if (receipt.job, receipt.subject, receipt.chunk, receipt.layers) != expected:
            raise InvalidInput("is another chunk's receipt", field="chunk")
        file = self._fan_out.scratch / f"{self._subject}_{index:04d}_{uuid.uuid4().hex[:8]}.zip"
        download(self._fan_out.bucket, receipt.layers, file, receipt.sha256, self._check)
        self._lying[index] = receipt.layers, receipt.sha256
        self._board.is_fetched(order, index, file)
        return True

    def _check(self) -> None:
        if self._stop.is_set():
            raise EndpointFailed("the job has ended")
