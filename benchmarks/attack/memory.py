"""Too little memory, by limiting the address space: a job succeeds, is refused, or fails with ``OUT_OF_MEMORY``."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.attack.bench import Bench, Tried
from tests.support.job_runner import ROOT, WALK

_LIMITS_GB = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 3.0)
_SECONDS = 60.0


def run(bench: Bench) -> Iterator[Tried]:
    """Run the local command under each limit."""
    asked = json.dumps({"input": {"video_url": str(WALK), "start_s": 1.5, "end_s": 1.8}})
    for limit in _LIMITS_GB:
        size = int(limit * 1e9)
        begin = time.monotonic()
        try:
            ended = subprocess.run(
                [sys.executable, "handler.py", "--test_input", asked],
                cwd=ROOT,
                env={**os.environ, "UNDERSTUDY_OUTPUTS": str(bench.folder / "o"), "UNDERSTUDY_WORK": str(bench.folder)},
                preexec_fn=lambda size=size: resource.setrlimit(resource.RLIMIT_AS, (size, size)),  # type: ignore[misc]
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
            status: int | str = ended.returncode
            text = ended.stdout + ended.stderr
        except subprocess.TimeoutExpired:
            status = "hangs"
            text = ""
        # Refused at start-up or as a job; a crash has a different status.
        is_told = "OUT_OF_MEMORY" in text or "GB of memory are available; the preset needs" in text
        outcome = "told" if is_told else f"status {status}"
        if status == 0:
            outcome = "OK"
        is_defined = status == 0 or (status == 1 and is_told)
        note = "" if is_defined else text.strip()[-300:]
        yield Tried(f"{limit} GB of address space", outcome, is_defined, time.monotonic() - begin, note)
    yield bench.good()
