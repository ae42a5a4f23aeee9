"""Which chunk of a job is where: the only thing that the drawing and the asking thread share."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

_MOST_TRIES = 2
"""So often a chunk is sent to other workers."""
_LATE_FACTOR = 3.0
"""A chunk that takes so many times as long as one usually does is taken over."""
_UNKNOWN_SECONDS = 2.0
"""Taken for a chunk's time while none has been drawn."""


class Place(Enum):
    """Where a chunk is."""

    OPEN = auto()
    SENT = auto()
    HERE = auto()
    FETCHED = auto()
    """Drawn elsewhere, and its file is here."""
    DONE = auto()


@dataclass(slots=True)
class ChunkState:
    """One chunk; changed under the board's lock alone."""

    index: int
    needed: frozenset[int]
    place: Place = Place.OPEN
    tries: int = 0
    file: Path | None = None
    was_elsewhere: bool = False


@dataclass(slots=True)
class SentOrder:
    """Chunks that were sent as one job, in the order in which they are drawn."""

    number: int
    left: list[int]
    """Those that nobody has drawn yet and nobody has taken back."""
    job_id: str = ""
    """"" while it is being sent."""
    started: bool = False
    last_sign: float = 0.0
    """When it began, or its last chunk came, of ``time.monotonic``."""


@dataclass(slots=True)
class Counts:
    """What became of the chunks."""

    here: int = 0
    elsewhere: int = 0
    taken_over: int = 0
    """Drawn here after another worker had failed with it, died, or was late."""


@dataclass(slots=True)
class Board:
    """The chunks of one subject. Methods may be called from both threads."""

    states: Mapping[int, ChunkState]
    workers: int
    """The job's own counted in."""
    late_seconds: float
    counts: Counts = field(default_factory=Counts)
    changed: threading.Condition = field(default_factory=threading.Condition)
    orders: dict[int, SentOrder] = field(default_factory=dict)
    """Those that somebody waits for."""
    given_up: list[str] = field(default_factory=list)
    """Ids of jobs that nobody waits for any more."""
    _seconds: list[float] = field(default_factory=list)
    _numbers: int = 0

    def claim_to_send(self) -> SentOrder | None:
        """Return chunks to send elsewhere, marked as sent; None where there are none, or enough are sent.

        Half of what is open is shared out evenly (guided self-scheduling): few jobs at first, small ones at the end.
        Two jobs a worker are sent at a time: one that is drawn, and one that waits for its end.
        """
        with self.changed:
            if len(self.orders) >= 2 * (self.workers - 1):
                return None
            ready = [state for state in self.states.values() if state.place is Place.OPEN]
            size = max(1, -(-len(ready) // (2 * self.workers)))
            chosen: list[int] = []
            for state in ready:
                if len(chosen) < size and state.tries < _MOST_TRIES and self._is_ready(state, chosen):
                    chosen.append(state.index)
            if not chosen:
                return None
            for index in chosen:
                self.states[index].place = Place.SENT
                self.states[index].tries += 1
            self._numbers += 1
            order = SentOrder(self._numbers, chosen)
            self.orders[order.number] = order
            return order

    def claim_here(self) -> int | None:
        """Return a chunk to draw here: one that nobody has, else one that waits elsewhere, else one that is late."""
        with self.changed:
            index = self._open_chunk()
            if index is None and (waiting := [o for o in self.orders.values() if o.job_id and not o.started]):
                # What else was in it is sent again, in smaller parts.
                self._give_up(waiting[-1], counts=False)
                index = self._open_chunk()
            if index is None:
                index = self._waiting_in_line()
            if index is None and (late := [o for o in self.orders.values() if self._is_late(o)]):
                self._give_up(late[0], counts=True)
                index = self._open_chunk()
            if index is not None:
                state = self.states[index]
                state.place = Place.HERE
                self.counts.taken_over += state.was_elsewhere
            return index

    def is_done(self) -> bool:
        with self.changed:
            return all(state.place is Place.DONE for state in self.states.values())

    def sent(self) -> list[SentOrder]:
        """Return the orders that were sent."""
        with self.changed:
            return [order for order in self.orders.values() if order.job_id]

    def was_sent(self, order: SentOrder, job_id: str) -> None:
        with self.changed:
            order.job_id = job_id

    def was_not_sent(self, order: SentOrder) -> None:
        """Give chunks back that the endpoint did not take."""
        with self.changed:
            self._give_up(order, counts=False)

    def has_started(self, order: SentOrder) -> None:
        """Note that an order is being drawn elsewhere."""
        with self.changed:
            if not order.started:
                order.started, order.last_sign = True, time.monotonic()

    def has_failed(self, order: SentOrder) -> None:
        """Give chunks back that were not drawn elsewhere."""
        with self.changed:
            if order.number in self.orders:
                self._give_up(order, counts=True)

    def is_fetched(self, order: SentOrder, index: int, file: Path) -> None:
        """Note that a chunk's layers came from elsewhere; where it was taken over meanwhile the file is not needed."""
        with self.changed:
            now = time.monotonic()
            if order.started:
                self._seconds.append(now - order.last_sign)
            order.started, order.last_sign = True, now
            self._strike(order, index)
            state = self.states[index]
            if state.place not in (Place.SENT, Place.OPEN):
                file.unlink(missing_ok=True)
                return
            state.place, state.file = Place.FETCHED, file
            self.counts.elsewhere += 1
            self.changed.notify_all()

    def fetched(self) -> list[tuple[int, Path]]:
        """Return chunks whose files wait to be taken."""
        with self.changed:
            return [(s.index, s.file) for s in self.states.values() if s.place is Place.FETCHED and s.file is not None]

    def is_taken(self, index: int) -> None:
        """Note that a chunk's layers lie where the job looks for them."""
        with self.changed:
            self.states[index].place = Place.DONE
            self.changed.notify_all()

    def is_drawn_here(self, index: int, seconds: float) -> None:
        with self.changed:
            self._seconds.append(seconds)
            self.counts.here += 1
            self.states[index].place = Place.DONE
            self.changed.notify_all()

    def pause_seconds(self) -> float:
        """Return how long to wait between two looks at the bucket: a tenth of what a chunk takes."""
        with self.changed:
            usual = statistics.median(self._seconds) if self._seconds else _UNKNOWN_SECONDS
        return min(max(usual / 10, 0.1), 5.0)

    def _open_chunk(self) -> int | None:
        found = (s.index for s in self.states.values() if s.place is Place.OPEN and self._is_ready(s, ()))
        return next(found, None)

    def _waiting_in_line(self) -> int | None:
        """Return the last chunk of the longest order that is being drawn, if others come before it.

        Should the other worker come to it all the same, its layers have the same bytes.
        """
        running = [order for order in self.orders.values() if order.started and len(order.left) > 1]
        for order in sorted(running, key=lambda order: -len(order.left)):
            if self._is_ready(self.states[order.left[-1]], ()):
                return order.left.pop()
        return None

    def _give_up(self, order: SentOrder, *, counts: bool) -> None:
        """Wait for an order no more. ``counts``: it was begun with, and failed."""
        self.orders.pop(order.number, None)
        if order.job_id:
            self.given_up.append(order.job_id)
        for index in order.left:
            state = self.states[index]
            if state.place is Place.SENT:
                state.place = Place.OPEN
                state.was_elsewhere |= counts
                state.tries -= not counts
        order.left.clear()
        self.changed.notify_all()

    def _strike(self, order: SentOrder, index: int) -> None:
        if index in order.left:
            order.left.remove(index)
        if not order.left:
            self.orders.pop(order.number, None)

    def _is_ready(self, state: ChunkState, earlier: list[int] | tuple[()]) -> bool:
        """Return whether all that a chunk needs is there, or is drawn before it by the same worker."""
        return all(
            other not in self.states or self.states[other].place is Place.DONE or other in earlier
            for other in state.needed
        )

    def _is_late(self, order: SentOrder) -> bool:
        if not order.started:
            return False
        usual = statistics.median(self._seconds) if self._seconds else 0.0
        return time.monotonic() - order.last_sign > max(self.late_seconds, _LATE_FACTOR * usual)
