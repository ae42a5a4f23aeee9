"""Test whether a muxer accepts streams to be copied, by writing to a null file, since it reports errors only while
writing."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable

import av

from pipeline.media.clip import Clip
from pipeline.media.copied_streams import copied_packets, rising_packets


class _Nowhere:
    """A file that accepts everything and stores nothing."""

    def __init__(self) -> None:
        self._place = 0
        self._size = 0

    def write(self, data: bytes) -> int:
        self._place += len(data)
        self._size = max(self._size, self._place)
        return len(data)

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place


def refused_packets(clip: Clip, indices: Iterable[int], muxer: str) -> dict[int, frozenset[int] | None]:
    """Return, for each of the source's streams, the numbers of the packets that a muxer rejects; None for all of them.

    Numbers count the packets that ``rising_packets`` keeps of a stream. Reads the streams once.
    """
    refused: dict[int, set[int]] = {}
    counts: Counter[int] = Counter()
    useless: set[int] = set()
    with clip.reopen() as source, contextlib.ExitStack() as opened:
        outputs: dict[int, av.container.OutputContainer] = {}
        copies: dict[int, av.stream.Stream] = {}
        for index in indices:
            output = av.open(_Nowhere(), "w", format=muxer)
            opened.callback(_closed, output)
            refused[index] = set()
            try:
                copies[index] = output.add_stream_from_template(source.streams[index])
            except (av.FFmpegError, ValueError):
                useless.add(index)
                continue
            outputs[index] = output
        index_of = {copy: index for index, copy in copies.items()}
        for _, packet in rising_packets(copied_packets(clip, source, copies), muxer, Counter()):
            index = index_of[packet.stream]
            number = counts[index]
            counts[index] += 1
            try:
                outputs[index].mux(packet)
            except (av.FFmpegError, ValueError):
                refused[index].add(number)
        useless |= {index for index, output in outputs.items() if not _closed(output)}
    useless |= {index for index, numbers in refused.items() if numbers and 2 * len(numbers) >= counts[index]}
    return {index: None if index in useless else frozenset(numbers) for index, numbers in refused.items()}


def _closed(output: av.container.OutputContainer) -> bool:
    try:
        output.close()
    except (av.FFmpegError, ValueError):
        return False
    return True
