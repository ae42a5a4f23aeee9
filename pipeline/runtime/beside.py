"""Work in a thread beside the caller's own, which may use finished parts of its result before it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from contextvars import copy_context
from traceback import clear_frames
from types import TracebackType
from typing import Self


class _GivenUp(Exception):
    """The caller no longer waits for the work."""


class Beside:
    """One thread of work. A context manager: leaving it stops the work at its next check, and waits for that.

    The work announces finished parts; the caller waits for a part or for the end, and gets the work's exception there.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._parts: set[Hashable] = set()
        self._thread: threading.Thread | None = None
        self._is_done = False
        self._error: BaseException | None = None
        self._is_given_up = False

    def start(self, work: Callable[[], None]) -> None:
        """Start the work, once. Log records of the thread belong to the same job."""
        context = copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run, work), name="beside", daemon=True)
        self._thread.start()

    def announce(self, part: Hashable) -> None:
        """Say that a part is finished: called by the work."""
        with self._changed:
            self._parts.add(part)
            self._changed.notify_all()

    def check(self) -> None:
        """Raise where the caller has given up: called by the work now and then."""
        if self._is_given_up:
            raise _GivenUp

    def raise_if_failed(self) -> None:
        """Raise the work's exception, where it has failed already: called by the caller now and then."""
        if self._error is not None:
            raise self._error

    def has(self, part: Hashable) -> bool:
        """Return whether a part is finished."""
        return part in self._parts

    @property
    def is_done(self) -> bool:
        """Whether the work has ended, with or without an error."""
        return self._is_done

    def wait_for(self, part: Hashable) -> None:
        """Wait until a part is finished; any thread of the caller. Raises the work's exception where it failed."""
        with self._changed:
            self._changed.wait_for(lambda: part in self._parts or self._is_done or self._is_given_up)
            if part in self._parts:
                return
        self.raise_if_failed()
        raise _GivenUp(f"{part} was never made")

    def wait(self) -> None:
        """Wait for the end. Raises the work's exception where it failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_done or self._is_given_up)
        self.raise_if_failed()

    def give_up(self) -> None:
        """Let the work end at its next check, and whoever waits stop waiting."""
        with self._changed:
            self._is_given_up = True
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()
        if self._thread is not None:
            self._thread.join()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._error = error
            # The error is kept: what its frames hold, such as generators with threads of their own, is not.
            clear_frames(error.__traceback__)
        finally:
            with self._changed:
                self._is_done = True
                self._changed.notify_all()
