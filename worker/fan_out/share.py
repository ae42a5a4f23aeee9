"""A job that shares its chunks: sends them to its own endpoint, generates some itself, takes over late ones.

Two threads: the job's own generates layers; another one (``Asking``) uploads the inputs, sends orders, polls, and
downloads layers. They communicate through the ``Board``. The job's own card starts at once, not after the upload.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.perform.sharing import ChunkOffer, ShareChunks
from pipeline.perform.windows import ChunkSpan
from pipeline.result import FanOutReport
from pipeline.runtime.callbacks import Check, Progress
from worker.fan_out.asking import Asking
from worker.fan_out.board import Board, ChunkState
from worker.fan_out.endpoint import OwnEndpoint
from worker.fan_out.files import SharedFiles

_WAIT_SECONDS = 0.1


@dataclass(slots=True)
class FanOut:
    """Shares the chunks of one job."""

    endpoint: OwnEndpoint
    workers: int
    """Number of workers, including this one."""
    files: SharedFiles
    late_seconds: float
    job_seconds: float
    warnings: list[str] = field(default_factory=list)
    _boards: list[Board] = field(default_factory=list)

    def share(self, subject: int) -> ShareChunks:
        """Return the function that decides for ``run_job`` who generates which chunks of a subject."""

        def shared(offer: ChunkOffer, check: Check, progress: Progress) -> Iterator[ChunkSpan]:
            return iter(offer.spans) if len(offer.spans) < 2 else self._shared(subject, offer, check, progress)

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

    def _shared(self, subject: int, offer: ChunkOffer, check: Check, progress: Progress) -> Iterator[ChunkSpan]:
        spans = {span.chunk.index: span for span in offer.spans}
        states = {index: ChunkState(index, offer.needed[index]) for index in spans}
        board = Board(states, self.workers, self.late_seconds)
        self._boards.append(board)
        total = sum(span.chunk.stop - span.chunk.start for span in offer.spans)
        done: set[int] = set()
        counting = threading.Lock()

        def report_done(index: int) -> None:
            with counting:
                done.add(index)
                progress("perform", sum(spans[i].chunk.stop - spans[i].chunk.start for i in done), total)

        def report_taken(index: int) -> None:
            offer.announce(spans[index])
            report_done(index)

        asking = Asking(
            self.endpoint,
            self.files,
            board,
            subject,
            self.job_seconds,
            report_taken,
            with_plates=offer.with_plates,
        )
        asking.start()
        try:
            while not board.is_done():
                check()
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
