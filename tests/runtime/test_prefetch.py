from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from pipeline.runtime.prefetch import parallel_map, prefetch


def _names() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(("ahead", "map"))}


def test_the_order_is_kept_whatever_takes_long() -> None:
    def slow_when_even(number: int) -> int:
        time.sleep(0.01 if number % 2 == 0 else 0)
        return number * 10

    assert list(parallel_map(slow_when_even, range(9), 3)) == [10 * number for number in range(9)]
    assert list(prefetch(iter(range(9)), 3)) == list(range(9))
    assert list(prefetch([], 3)) == [] == list(parallel_map(slow_when_even, [], 2))
    assert not _names()


def test_calls_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)
    assert len(list(parallel_map(lambda _: both.wait(), range(2), 2))) == 2


def test_no_more_is_read_than_was_allowed() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    with closing(parallel_map(lambda number: number, items(), 2)) as made:
        assert next(made) == 0
        assert len(taken) == 3
    taken.clear()
    with closing(prefetch(items(), 2)) as read:
        assert next(read) == 0
    assert len(taken) <= 2
    assert not _names()


def test_an_error_comes_at_its_place_and_the_threads_end() -> None:
    def fails_at_three(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    for made in (
        parallel_map(fails_at_three, range(9), 2),
        prefetch(map(fails_at_three, range(9)), 4),
        prefetch(parallel_map(fails_at_three, prefetch(range(9)), 2)),
    ):
        seen = []
        with pytest.raises(ValueError, match="three"):
            for number in made:
                seen.append(number)
        assert seen == [0, 1, 2]
    assert not _names()


def test_closing_closes_what_is_read() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    with closing(prefetch(items())) as read:
        next(read)
    assert closed.is_set()
    assert not _names()
