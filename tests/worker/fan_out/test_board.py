"""The state of each chunk: what may be sent, what is generated here, when sent chunks are taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.fan_out.board import Board, ChunkState, SentOrder


def board_of(count: int, *, workers: int = 4, chained: bool = False, late_seconds: float = 60.0) -> Board:
    needed = [frozenset({n - 1}) if chained and n else frozenset() for n in range(count)]
    return Board({n: ChunkState(n, needed[n]) for n in range(count)}, workers, late_seconds)


def send(board: Board, *, started: bool = False) -> SentOrder:
    order = board.claim_to_send()
    assert order is not None
    board.was_sent(order, f"job-{order.number}")
    if started:
        board.has_started(order)
    return order


def test_parts_grow_smaller_and_no_more_are_sent_than_workers_can_take() -> None:
    board = board_of(16)
    assert [send(board).left for _ in range(6)] == [[0, 1], [2, 3], [4, 5], [6, 7], [8], [9]]
    assert board.claim_to_send() is None and board.claim_here() == 10


def test_chunks_that_need_each_other_go_to_one_worker_and_are_waited_for() -> None:
    board = board_of(8, workers=2, chained=True)
    order = send(board, started=True)
    assert order.left == [0, 1] and board.claim_to_send() is None
    assert board.claim_here() is None
    board.is_fetched(order, 0, Path("x"))
    board.is_fetched(order, 1, Path("x"))
    assert board.claim_here() is None, "they are not where the next one looks for them yet"
    board.is_taken(0)
    board.is_taken(1)
    assert board.claim_here() == 2


def test_queued_chunks_are_taken_back() -> None:
    board = board_of(2, workers=2)
    first, second = send(board, started=True), send(board)
    assert (first.left, second.left) == ([0], [1])
    assert board.claim_here() == 1 and board.given_up == ["job-2"]
    assert board.counts.taken_over == 0 and board.claim_here() is None


def test_the_end_of_a_line_is_drawn_here_and_comes_but_once(tmp_path: Path) -> None:
    board = board_of(16, workers=2)
    order = send(board, started=True)
    assert order.left == [0, 1, 2, 3]
    for index in range(4, 16):
        assert board.claim_here() == index
        board.is_drawn_here(index, 1.0)
    assert board.claim_here() == 3 and board.claim_here() == 2 and board.counts.taken_over == 0
    board.is_drawn_here(3, 1.0)
    twice = tmp_path / "twice.zip"
    twice.write_bytes(b"layers")
    board.is_fetched(order, 3, twice)
    assert not twice.exists() and board.counts.elsewhere == 0


def test_a_late_chunk_is_generated_here_and_its_late_result_is_dropped(tmp_path: Path) -> None:
    board = board_of(1, late_seconds=0.0)
    order = send(board, started=True)
    assert board.claim_here() == 0 and board.given_up == ["job-1"] and board.counts.taken_over == 1
    late = tmp_path / "late.zip"
    late.write_bytes(b"layers")
    board.is_fetched(order, 0, late)
    assert board.fetched() == [] and not late.exists() and not board.is_done()
    board.is_drawn_here(0, 1.0)
    assert board.is_done() and (board.counts.here, board.counts.elsewhere) == (1, 0)


def test_patience_grows_with_what_a_chunk_usually_takes() -> None:
    board = board_of(2, workers=2, late_seconds=0.0)
    assert board.claim_here() == 0
    board.is_drawn_here(0, 1000.0)
    send(board, started=True)
    assert board.claim_here() is None
    assert board.pause_seconds() == pytest.approx(5.0)


def test_a_chunk_that_failed_twice_elsewhere_is_generated_here() -> None:
    board = board_of(1)
    for _ in range(2):
        board.has_failed(send(board, started=True))
    assert board.claim_to_send() is None and board.claim_here() == 0 and board.counts.taken_over == 1


def test_a_message_of_an_abandoned_order_changes_nothing() -> None:
    board = board_of(1)
    order = send(board)
    assert board.claim_here() == 0
    board.has_started(order)
    board.has_failed(order)
    assert board.claim_here() is None and board.sent() == []


def test_a_rejected_order_never_counts_as_sent() -> None:
    board = board_of(1)
    for _ in range(3):
        order = board.claim_to_send()
        assert order is not None
        board.was_not_sent(order)
    assert board.claim_here() == 0 and board.counts.taken_over == 0
