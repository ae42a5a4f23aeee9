"""The state of each chunk: what may be sent, what is generated here, when sent chunks are taken over."""

from __future__ import annotations

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


def fetch(board: Board, order: SentOrder, index: int) -> None:
    assert board.is_fetched(order, index)
    board.is_taken(index)


def test_every_other_worker_has_a_chunk_and_the_next_one_and_gets_another_when_it_has_made_one() -> None:
    board = board_of(16)
    orders = [send(board) for _ in range(3)]
    assert [order.left for order in orders] == [[0, 1], [2, 3], [4, 5]]
    assert board.claim_to_send() is None and board.claim_here() == 6
    assert board.claim_further(orders[0]) is None
    fetch(board, orders[0], 0)
    assert board.claim_further(orders[0]) == [7] and orders[0].left == [1, 7] and orders[0].portions == 1


def test_few_chunks_are_divided_evenly() -> None:
    assert send(board_of(4)).left == [0]


def test_an_order_is_closed_when_nothing_is_open_and_its_worker_then_gets_no_more() -> None:
    board = board_of(2, workers=2)
    order = send(board, started=True)
    assert order.left == [0] and board.claim_here() == 1
    assert board.claim_further(order) == [] and board.claim_further(order) is None
    fetch(board, order, 0)
    assert board.sent() == [] and board.given_up == []


def test_chunks_that_need_each_other_go_to_one_worker_and_are_waited_for() -> None:
    board = board_of(8, workers=2, chained=True)
    order = send(board, started=True)
    assert order.left == [0, 1] and board.claim_to_send() is None
    assert board.claim_here() is None
    assert board.is_fetched(order, 0)
    assert board.claim_further(order) == [2], "its worker has what the chunk needs"
    assert board.is_fetched(order, 1) and board.is_fetched(order, 2)
    assert board.claim_here() is None, "they are not where the next one looks for them yet"
    for index in range(3):
        board.is_taken(index)
    assert board.claim_here() == 3
    assert board.claim_further(order) is None and not order.is_closed, "the next ones may be for this worker"


def test_queued_chunks_are_taken_back() -> None:
    board = board_of(2, workers=3)
    first, second = send(board, started=True), send(board)
    assert (first.left, second.left) == ([0], [1])
    assert board.claim_here() == 1 and board.given_up == ["job-2"]
    assert board.counts.taken_over == 0 and board.claim_here() is None


def test_the_end_of_a_line_is_drawn_here_and_its_job_is_cancelled_before_it_draws_it_too() -> None:
    board = board_of(6, workers=2)
    order = send(board, started=True)
    assert order.left == [0, 1]
    for index in range(2, 6):
        assert board.claim_here() == index
        board.is_drawn_here(index, 100.0)
    assert board.claim_here() == 1 and board.counts.taken_over == 0
    assert board.claim_further(order) == []
    fetch(board, order, 0)
    assert board.given_up == ["job-1"]
    board.is_drawn_here(1, 100.0)
    assert not board.is_fetched(order, 1), "it comes but once"
    assert board.is_done() and (board.counts.here, board.counts.elsewhere) == (5, 1)


def test_a_chunk_that_is_about_to_begin_elsewhere_is_left_there() -> None:
    board = board_of(6, workers=2)
    order = send(board, started=True)
    for index in range(2, 6):
        assert board.claim_here() == index
        board.is_drawn_here(index, 1.0)
    order.last_sign -= 0.9
    assert board.claim_here() is None
    order.last_sign -= 1.0
    assert board.claim_here() == 1, "its worker is slow, or has died"


def test_a_late_chunk_is_generated_here_and_its_late_result_is_dropped() -> None:
    board = board_of(1, late_seconds=0.0)
    order = send(board, started=True)
    assert board.claim_here() == 0 and board.given_up == ["job-1"] and board.counts.taken_over == 1
    assert not board.is_fetched(order, 0) and not board.is_done()
    board.is_drawn_here(0, 1.0)
    assert board.is_done() and (board.counts.here, board.counts.elsewhere) == (1, 0)


def test_layers_that_cannot_be_put_into_the_workspace_are_generated_here() -> None:
    board = board_of(1)
    assert board.is_fetched(send(board, started=True), 0)
    board.was_not_taken(0)
    assert board.claim_here() == 0


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
