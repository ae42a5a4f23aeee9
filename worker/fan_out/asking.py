"""The thread of a job that shares its chunks: it talks to the endpoint and the bucket while the job's own generates."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from pipeline.draw_chunk import accept_layers, layers_path
from pipeline.errors import DownloadFailed, InvalidInput, UnderstudyError, UploadFailed
from worker.fan_out.board import Board, SentOrder
from worker.fan_out.endpoint import ENDS, EndpointCalls, EndpointFailed, OwnEndpoint
from worker.fan_out.files import SharedFiles
from worker.fan_out.store import SmallObjects, download, sha256_of
from worker.fan_out.token import (
    ChunkOrder,
    ChunkReceipt,
    FurtherPortion,
    portion_key,
    read_token,
    receipt_key,
    sign,
    signing_key,
)

log = logging.getLogger("understudy.fan_out")
_STATUS_SECONDS = 5.0
"""Interval of status queries for a running job, which only detect a dead worker: chunks appear in the bucket."""
_LEAVE_SECONDS = 15.0
"""How long the thread may take to cancel the jobs that it sent."""


class Asking:
    """The thread that sends chunks, takes in their layers from the bucket and queries the status of the jobs."""

    def __init__(
        self,
        endpoint: OwnEndpoint,
        files: SharedFiles,
        board: Board,
        subject: int,
        job_seconds: float,
        taken: Callable[[int], None],
        *,
        with_plates: bool,
    ) -> None:
        """``taken`` is called, by the thread, with each chunk whose layers are in the workspace."""
        self._files = files
        self._board = board
        self._subject = subject
        self._taken = taken
        self._with_plates = with_plates
        self._key = signing_key(files.bucket)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fan out", daemon=True)
        self._calls = EndpointCalls(endpoint, self._stop)
        self._job_seconds = job_seconds
        self._expires = int(time.time() + job_seconds)
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
        objects = SmallObjects(self._files.bucket)
        try:
            self._files.upload_bundle(self._check, with_plates=self._with_plates)
            while not self._stop.is_set():
                self._cancel_given_up()
                self._send_what_is_open()
                for order in self._board.sent():
                    if self._stop.is_set():
                        break
                    self._look_at(order, objects)
                    self._lengthen(order)
                self._stop.wait(self._board.pause_seconds())
            if self._board.is_done():
                for order in self._board.sent():
                    self._lengthen(order)
        except EndpointFailed as error:
            log.warning("chunks are no longer shared: %s", error.message)
        except UploadFailed as error:
            self.warnings.append(f"the chunks were not shared with other workers: {error.message}")
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
        chunks = list(order.left)
        chunk_order = ChunkOrder(
            job=self._files.name,
            expires=self._expires,
            further=self._further(order),
            chunks=self._places(order, chunks),
            needed=self._needed(order, chunks),
            bundle=self._files.bundle_key,
            bundle_sha256=self._files.bundle_sha256,
            subject=self._subject,
        )
        seconds = self._job_seconds
        return self._calls.send({"chunk": sign(chunk_order, self._key)}, seconds, seconds)

    def _lengthen(self, order: SentOrder) -> None:
        """Store a further portion for a job whose line has room, or its last one if nothing is open."""
        was_waiting = not order.left
        chunks = self._board.claim_further(order)
        if chunks is None:
            return
        try:
            self._store_portion(order, chunks)
        except UnderstudyError as error:
            log.warning("a portion of chunks was not stored: %s", error.message)
            self._board.has_failed(order)
            return
        if was_waiting:
            # Perhaps its job has not waited so long, which its status tells.
            self._asked.pop(order.number, None)

    def _store_portion(self, order: SentOrder, chunks: list[int]) -> None:
        portion = FurtherPortion(
            job=self._files.name,
            expires=self._expires,
            further=self._further(order),
            number=order.portions,
            chunks=self._places(order, chunks),
            needed=self._needed(order, chunks),
        )
        key = portion_key(portion.further, portion.number)
        file = self._files.scratch / f"{self._subject}_{order.number}_{portion.number}.portion"
        file.write_text(sign(portion, self._key), encoding="ascii")
        try:
            self._files.upload(key, file, lambda: None)
        finally:
            file.unlink(missing_ok=True)

    def _further(self, order: SentOrder) -> str:
        return self._files.key(f"orders/{self._subject}_{order.number}_")

    def _places(self, order: SentOrder, chunks: list[int]) -> dict[int, str]:
        places = {index: self._layers_key(order, index) for index in chunks}
        self._files.record(*places.values(), *map(receipt_key, places.values()))
        return places

    def _needed(self, order: SentOrder, chunks: list[int]) -> dict[int, tuple[str, str]]:
        """Return where the layers that chunks depend on are, without those that the same worker has."""
        needed = {other for index in chunks for other in self._board.states[index].needed}
        own = {*order.left, *order.made}
        return {index: self._lying_at(index) for index in sorted(needed - own)}

    def _layers_key(self, order: SentOrder, index: int) -> str:
        return self._files.key(f"layers/{self._subject}_{index:04d}_{order.number}.zip")

    def _lying_at(self, index: int) -> tuple[str, str]:
        """Return key and hash of a chunk's layers in the bucket, uploading them if necessary."""
        if index not in self._lying:
            path = layers_path(self._files.workspace, self._subject, index)
            key = self._files.key(f"layers/{self._subject}_{index:04d}_here.zip")
            self._files.upload(key, path, self._check)
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
        expected = self._files.name, self._subject, index, self._layers_key(order, index)
        if (receipt.job, receipt.subject, receipt.chunk, receipt.layers) != expected:
            raise InvalidInput("is the receipt of another chunk", field="chunk")
        file = self._files.scratch / f"{self._subject}_{index:04d}_{uuid.uuid4().hex[:8]}.zip"
        download(self._files.bucket, receipt.layers, file, receipt.sha256, self._check)
        self._lying[index] = receipt.layers, receipt.sha256
        if self._board.is_fetched(order, index):
            self._take(index, file)
        else:
            file.unlink(missing_ok=True)
        return True

    def _take(self, index: int, file: Path) -> None:
        try:
            accept_layers(self._files.workspace, self._subject, index, file)
        except BaseException:
            self._board.was_not_taken(index)
            raise
        self._board.is_taken(index)
        self._taken(index)

    def _check(self) -> None:
        if self._stop.is_set():
            raise EndpointFailed("the job has ended")
