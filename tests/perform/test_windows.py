from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.datatypes.plan import Chunk
from pipeline.maths.blending import crossfade_weight
from pipeline.perform.windows import chunk_spans, windows_of


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 50), st.integers(1, 200), st.integers(6, 40), st.integers(0, 5))
def test_windows_cover_every_frame_in_order(start: int, length: int, window: int, overlap: int) -> None:
    stop = start + length
    done = start
    lengths = []
    for span in windows_of(start, stop, window, overlap):
        assert span.stop - span.start <= window
        assert span.start + span.overlap == done
        assert done < span.stop
        if span.start > start:
            assert span.overlap == overlap
        lengths.append(span.stop - span.start - (overlap if span.start == start else span.overlap))
        done = span.stop
    assert done == stop
    assert length <= window or max(lengths) - min(lengths) <= 1
    assert len(lengths) == max(1, -(-(length - overlap) // (window - overlap)))


def test_windows_must_be_longer_than_their_overlap() -> None:
    with pytest.raises(ValueError, match="overlap"):
        list(windows_of(0, 10, 5, 5))


def test_lead_ins_stop_at_cuts_and_only_adjacent_chunks_of_a_shot_continue() -> None:
    first = Chunk(0, 0, 0, 0, 40)
    second = Chunk(1, 0, 1, 40, 80)
    other = Chunk(2, 1, 2, 80, 83)
    spans = list(chunk_spans([first, second, other, Chunk(3, 1, 2, 83, 90), Chunk(4, 1, 2, 95, 99)], 5))
    assert [span.num_lead_in_frames for span in spans] == [0, 5, 0, 3, 4]
    assert [span.start for span in spans] == [0, 35, 80, 80, 91]
    assert [span.continues for span in spans] == [None, first, None, other, None]


def test_crossfade_is_symmetric_and_never_whole() -> None:
    weights = [crossfade_weight(i, 5) for i in range(5)]
    assert weights == sorted(weights) and weights[0] > 0 and weights[-1] < 1
    assert all(abs(a + b - 1) < 1e-12 for a, b in zip(weights, reversed(weights), strict=True))
