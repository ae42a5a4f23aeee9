"""Where each chunk is: what may be sent, what is drawn here, when somebody else's chunk is taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.fan_out.board import Board, ChunkState


def board_of(count: int, *, chained: bool = False, late_seconds: float = 60.0) -> Board:
    needed = [frozenset({n - 1}) if chained and n else frozenset() for n in range(count)]
    return Board({n: ChunkState(n, needed[n]) for n in range(count)}, late_seconds)


def send(board: Board, most: int = 9) -> int:
    state = board.claim_to_send(most)
    assert state is not None
    board.was_sent(state.index, f"job-{state.index}")
    return state.index


def test_no_more_are_sent_than_workers_can_take() -> None:
    board = board_of(5)
    assert [send(board, 2), send(board, 2)] == [0, 1]
    assert board.claim_to_send(2) is None and board.claim_here() == 2


def test_a_chunk_waits_for_those_that_it_is_drawn_from() -> None:
    board = board_of(3, chained=True)
    assert send(board) == 0 and board.claim_to_send(9) is None
    board.has_started(0, "job-0")
    assert board.claim_here() is None
    board.is_fetched(0, "job-0", Path("x"))
    assert board.claim_here() is None, "it is not where the next one looks for it yet"
    board.is_taken(0)
    assert board.claim_here() == 1


def test_what_only_waits_elsewhere_is_taken_back_from_the_end() -> None:
    board = board_of(2)
    send(board)
    send(board)
    board.has_started(0, "job-0")
    assert board.claim_here() == 1 and board.given_up == ["job-1"]
    assert board.counts.taken_over == 0 and board.claim_here() is None


def test_what_is_late_is_taken_over_and_its_late_result_is_dropped(tmp_path: Path) -> None:
    board = board_of(1, late_seconds=0.0)
    send(board)
    board.has_started(0, "job-0")
    assert board.claim_here() == 0 and board.given_up == ["job-0"] and board.counts.taken_over == 1
    late = tmp_path / "late.zip"
    late.write_bytes(b"layers")
    board.is_fetched(0, "job-0", late)
    assert board.fetched() == [] and not late.exists() and not board.is_done()
    board.is_drawn_here(0, 1.0)
    assert board.is_done() and (board.counts.here, board.counts.elsewhere) == (1, 0)


def test_patience_grows_with_what_a_chunk_usually_takes() -> None:
    board = board_of(3, late_seconds=0.0)
    assert board.claim_here() == 0
    board.is_drawn_here(0, 1000.0)
    send(board)
    send(board)
    for index in (1, 2):
        board.has_started(index, f"job-{index}")
    assert board.claim_here() is None
    assert board.pause_seconds() == pytest.approx(5.0)


def test_what_failed_twice_elsewhere_is_drawn_here() -> None:
    board = board_of(1)
    for _ in range(2):
        send(board)
        board.has_failed(0, "job-0")
    assert board.claim_to_send(9) is None and board.claim_here() == 0 and board.counts.taken_over == 1


def test_a_word_of_a_job_that_was_given_up_changes_nothing() -> None:
    board = board_of(1)
    send(board)
    assert board.claim_here() == 0
    for tell in (board.has_started, board.has_failed):
        tell(0, "job-0")
    assert board.claim_here() is None


def test_what_the_endpoint_did_not_take_was_never_elsewhere() -> None:
    board = board_of(1)
    for _ in range(3):
        state = board.claim_to_send(9)
        assert state is not None
        board.was_not_sent(state.index)
    assert board.claim_here() == 0 and board.counts.taken_over == 0
