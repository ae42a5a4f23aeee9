"""Distribute one clip over several workers with simulated GPUs: `python -m benchmarks.fan_out`.

Uses a local stand-in for RunPod, a bucket, and real worker processes whose GPU is simulated (see
``benchmarks.card_worker``). The time is that of the job alone, from being taken to its result: workers are warm.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.support.card_workers import OVERRIDES, CardWorkers, card_workers
from tests.support.job_api import wait_until

AIM = 0.35
_LEAN = ("plate=off", "composite.light=daylight", "composite.shadows=keep")
"""For this tiny clip the passes before and after generation take longer, relative to it, than for a real one."""


def seconds_of(group: CardWorkers, name: str, workers: int) -> float:
    """Run the job once and return its time, in seconds."""
    asked = {"video_url": group.clip_url} | ({"fan_out": workers} if workers > 1 else {})
    group.api.give(name, asked)
    wait_until(lambda: name in group.api.taken_by, "nobody takes the job")
    begin = time.monotonic()
    output = group.api.wait_for(name)["output"]
    seconds = time.monotonic() - begin
    print(f"{name}: {seconds:.2f} s {output.get('fan_out') or ''} {output['timings_s']}", flush=True)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fan_out", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--chunks", type=int, default=16)
    parser.add_argument("--card", type=float, default=1.0, metavar="SECONDS", help="that a chunk takes (%(default)s)")
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="fan-out-") as temporary,
        card_workers(
            Path(temporary),
            given.workers,
            given.chunks,
            given.card,
            UNDERSTUDY_OVERRIDES=" ".join([*OVERRIDES, *_LEAN]),
        ) as group,
    ):
        # Each worker imports and compiles everything once.
        for number in range(given.workers):
            group.api.give(f"warm-{number}", {"video_url": group.clip_url, "end_s": 0.5})
        for number in range(given.workers):
            group.api.wait_for(f"warm-{number}")
        alone = []
        shared = []
        for turn in range(given.times):
            alone.append(seconds_of(group, f"alone-{turn}", 1))
            shared.append(seconds_of(group, f"shared-{turn}", given.workers))
        same = group.result("alone-0").read_bytes() == group.result("shared-0").read_bytes()
        calls = group.api.calls / given.times
    ratio = sorted(shared)[len(shared) // 2] / sorted(alone)[len(alone) // 2]
    verdict = "ok" if ratio <= AIM and same else "MISSED"
    print(f"shared over alone: {ratio:.3f} (aim {AIM}); same bytes: {same}; {calls:.0f} calls a job  {verdict}")
    return int(verdict != "ok")


if __name__ == "__main__":
    sys.exit(main())
