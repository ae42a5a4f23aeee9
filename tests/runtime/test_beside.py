"""Work in a thread beside the caller's, whose parts the caller waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pipeline.runtime.beside import Beside


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name == "beside"}


def test_a_part_can_be_used_before_the_work_ends() -> None:
    used = threading.Event()

    def work() -> None:
        beside.announce("first")
        assert used.wait(30)
        beside.announce("second")

    with Beside() as beside:
        beside.start(work)
        beside.wait_for("first")
        assert beside.has("first") and not beside.has("second") and not beside.is_done
        used.set()
        beside.wait_for("second")
        beside.wait()
        assert beside.is_done
    assert not _threads()


def test_what_the_work_raises_is_raised_where_its_parts_are_waited_for() -> None:
    def work() -> None:
        beside.announce(1)
        raise ValueError("broken")

    with Beside() as beside:
        beside.start(work)
        beside.wait_for(1)
        with pytest.raises(ValueError, match="broken"):
            beside.wait_for(2)
        with pytest.raises(ValueError, match="broken"):
            beside.wait()
        with pytest.raises(ValueError, match="broken"):
            beside.raise_if_failed()


def test_what_the_work_held_is_released_though_its_error_is_kept() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.set()

    def work() -> None:
        for _ in items():
            raise ValueError("broken")

    with Beside() as beside:
        beside.start(work)
        with pytest.raises(ValueError, match="broken"):
            beside.wait()
        assert closed.is_set()


def test_a_caller_that_fails_ends_the_work_at_its_next_check() -> None:
    begun = threading.Event()

    def work() -> None:
        while True:
            begun.set()
            beside.check()

    with pytest.raises(KeyError), Beside() as beside:
        beside.start(work)
        assert begun.wait(30)
        raise KeyError("elsewhere")
    assert beside.is_done
    assert not _threads()


def test_whoever_waits_in_a_thread_is_let_go_when_the_caller_gives_up() -> None:
    released = threading.Event()
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(Exception, match="never made"):
            beside.wait_for("nothing")
        ended.set()

    with Beside() as beside:
        beside.start(lambda: released.wait(30) or None)
        waiter = threading.Thread(target=wait)
        waiter.start()
        beside.give_up()
        assert ended.wait(30)
        released.set()
        waiter.join()
