"""The meaning of an encoder failure without a message depends on the memory that is left."""

from __future__ import annotations

import av.error
import pytest

from pipeline.errors import EncodeFailed, OutOfMemory, UnderstudyError
from pipeline.media import containers


@pytest.mark.parametrize(("free", "kind"), [(10**7, OutOfMemory), (10**10, EncodeFailed), (None, EncodeFailed)])
def test_an_encoder_that_fails_without_a_message_is_reported(
    monkeypatch: pytest.MonkeyPatch, free: int | None, kind: type[UnderstudyError]
) -> None:
    monkeypatch.setattr(containers, "available_memory", lambda: free)
    with pytest.raises(kind), containers.failures_told():
        raise av.error.ExternalError(0x20545845, "Generic error in an external library")
