"""The chunks of a chunk job, one after the other: those of its order, then those of further portions in the bucket.

A job that goes on spares its worker the pause between two jobs: RunPod's SDK asks for the next one up to a second after
the last one has ended, and each would begin with its inputs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.draw_chunk import accept_layers, layers_path
from pipeline.errors import DownloadFailed, InvalidInput
from worker.delivery.bucket_settings import Bucket
from worker.fan_out.store import SmallObjects, download
from worker.fan_out.token import ChunkOrder, FurtherPortion, Portion, portion_key, read_token
from worker.threads import wait_until

_WAIT_SECONDS = 10.0
"""How long a job waits for a further portion: the one that shares the chunks may have died."""


class ChunkLine:
    """Yields chunks as they are ordered, each once the layers that it depends on are in the workspace."""

    def __init__(
        self,
        order: ChunkOrder,
        bucket: Bucket,
        key: bytes,
        workspace: Path,
        check: Callable[[], None],
        wait_seconds: float = _WAIT_SECONDS,
    ) -> None:
        self.places: dict[int, str] = {}
        """Key to store the layers under, by chunk, for the chunks so far."""
        self._order = order
        self._bucket = bucket
        self._key = key
        self._workspace = workspace
        self._check = check
        self._wait_seconds = wait_seconds
        self._objects = SmallObjects(bucket)

    def chunks(self) -> Iterator[int]:
        """Yield the chunks' indices; waits between portions. Raises ``InvalidInput`` for an unsigned portion."""
        portion: Portion | None = self._order
        number = 0
        while portion is not None and portion.chunks:
            self._download_needed(portion)
            self.places |= portion.chunks
            yield from portion.chunks
            number += 1
            portion = self._next_portion(number)

    def close(self) -> None:
        """Close the connection to the bucket."""
        self._objects.close()

    def _next_portion(self, number: int) -> FurtherPortion | None:
        """Wait for a further portion; return None if it does not come."""
        found: list[bytes] = []

        def is_there() -> bool:
            try:
                data = self._objects.read(portion_key(self._order.further, number))
            except DownloadFailed:
                # Possibly transient.
                return False
            if data is not None:
                found.append(data)
            return data is not None

        if not wait_until(is_there, self._check, time.monotonic() + self._wait_seconds):
            return None
        portion = read_token(found[0].decode("ascii", "replace"), FurtherPortion, self._key, "chunk")
        if (portion.job, portion.further, portion.number) != (self._order.job, self._order.further, number):
            raise InvalidInput("is a portion of another job", field="chunk")
        return portion

    def _download_needed(self, portion: Portion) -> None:
        """Download the layers of earlier chunks that a portion's chunks continue from, unless they are there."""
        for index, (place, digest) in portion.needed.items():
            if not layers_path(self._workspace, self._order.subject, index).exists():
                file = self._workspace / f"needed_{index}.part"
                download(self._bucket, place, file, digest, self._check)
                accept_layers(self._workspace, self._order.subject, index, file)
