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
    job_id: str = ""
    """Of the job that was sent; "" while it is being sent."""
    started: float | None = None
    """When it was first seen to be drawn elsewhere, of ``time.monotonic``."""
    tries: int = 0
    file: Path | None = None
    was_elsewhere: bool = False


@dataclass(slots=True)
class Counts:
    """What became of the chunks."""

    here: int = 0
    elsewhere: int = 0
    taken_over: int = 0
    """Drawn here after another worker had begun with it, died, or was late."""


@dataclass(slots=True)
class Board:
    """The chunks of one subject. Methods may be called from both threads."""

    states: Mapping[int, ChunkState]
    late_seconds: float
    counts: Counts = field(default_factory=Counts)
    changed: threading.Condition = field(default_factory=threading.Condition)
    given_up: list[str] = field(default_factory=list)
    """Ids of jobs that nobody waits for any more."""
    _seconds: list[float] = field(default_factory=list)

    def claim_to_send(self, most: int) -> ChunkState | None:
        """Return a chunk to send elsewhere, marked as sent, while fewer than ``most`` are; None where there is none."""
        with self.changed:
            if sum(state.place is Place.SENT for state in self.states.values()) >= most:
                return None
            for state in self.states.values():
                if state.place is Place.OPEN and state.tries < _MOST_TRIES and self._is_ready(state):
                    state.place, state.job_id, state.started = Place.SENT, "", None
                    state.tries += 1
                    return state
            return None

    def claim_here(self) -> int | None:
        """Return a chunk to draw here: one that nobody has, else one that waits elsewhere, else one that is late."""
        with self.changed:
            for state in self.states.values():
                if state.place is Place.OPEN and self._is_ready(state):
                    return self._take(state)
            sent = [state for state in self.states.values() if state.place is Place.SENT and state.job_id]
            for state in reversed(sent):
                if state.started is None:
                    return self._take(state)
            for state in sent:
                if state.started is not None and time.monotonic() - state.started > self._patience():
                    return self._take(state)
            return None

    def is_done(self) -> bool:
        with self.changed:
            return all(state.place is Place.DONE for state in self.states.values())

    def sent(self) -> list[tuple[int, str]]:
        """Return index and job of the chunks that were sent."""
        with self.changed:
            return [(s.index, s.job_id) for s in self.states.values() if s.place is Place.SENT and s.job_id]

    def was_sent(self, index: int, job_id: str) -> None:
        with self.changed:
            self.states[index].job_id = job_id

    def was_not_sent(self, index: int) -> None:
        """Give a chunk back that the endpoint did not take."""
        with self.changed:
            self.states[index].place = Place.OPEN
            self.states[index].tries -= 1
            self.changed.notify_all()

    def has_started(self, index: int, job_id: str) -> None:
        """Note that a chunk is being drawn elsewhere."""
        with self.changed:
            state = self.states[index]
            if self._is_still(state, job_id) and state.started is None:
                state.started = time.monotonic()

    def has_failed(self, index: int, job_id: str) -> None:
        """Give a chunk back that was not drawn elsewhere."""
        with self.changed:
            state = self.states[index]
            if self._is_still(state, job_id):
                state.place, state.was_elsewhere = Place.OPEN, True
                self.changed.notify_all()

    def is_fetched(self, index: int, job_id: str, file: Path) -> None:
        """Note that a chunk's layers came from elsewhere; where it was taken over meanwhile the file is not needed."""
        with self.changed:
            state = self.states[index]
            if not self._is_still(state, job_id):
                file.unlink(missing_ok=True)
                return
            if state.started is not None:
                self._seconds.append(time.monotonic() - state.started)
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
        """Return how long to wait between two looks at the endpoint: a tenth of what a chunk takes."""
        with self.changed:
            usual = statistics.median(self._seconds) if self._seconds else 2.0
        return min(max(usual / 10, 0.1), 5.0)

    def _take(self, state: ChunkState) -> int:
        if state.place is Place.SENT:
            self.given_up.append(state.job_id)
            if state.started is not None:
                self.counts.taken_over += 1
        elif state.was_elsewhere:
            self.counts.taken_over += 1
        state.place = Place.HERE
        return state.index

    def _is_ready(self, state: ChunkState) -> bool:
        return all(other not in self.states or self.states[other].place is Place.DONE for other in state.needed)

    def _is_still(self, state: ChunkState, job_id: str) -> bool:
        return state.place is Place.SENT and state.job_id == job_id

    def _patience(self) -> float:
        usual = statistics.median(self._seconds) if self._seconds else 0.0
        return max(self.late_seconds, _LATE_FACTOR * usual)
