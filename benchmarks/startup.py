"""Measure the time from ``python handler.py`` to the first processed frame, and its parts.

``python -m benchmarks.startup``

The command is started as a user would, on walk_a, and killed when its first frame has been surveyed. The parts are
import times (``-X importtime``, of modules that take 50 ms or more, including their own imports).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_AIM_SECONDS = 4.0
_SHOWN_MICROSECONDS = 50_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    seconds = sorted(_first_frame()[0] for _ in range(arguments.times))
    _, text = _first_frame("-X", "importtime")
    rows = re.findall(r"import time:\s+\d+ \|\s+(\d+) \|( +)(\S+)", text)
    for total, indent, name in rows:
        if int(total) >= _SHOWN_MICROSECONDS and len(indent) <= 5:
            print(f"  {int(total) / 1e6:5.2f} s {'  ' * (len(indent) // 2)}{name}")
    median = seconds[len(seconds) // 2]
    print(f"first frame after {median:.2f} s (median of {len(seconds)}: {seconds[0]:.2f} to {seconds[-1]:.2f}; aim 4)")
    return int(median > _AIM_SECONDS)


def _first_frame(*flags: str) -> tuple[float, str]:
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *flags, "handler.py"], cwd=_ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if line.startswith("survey: "):
                return time.monotonic() - begin, "".join(said)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    raise SystemExit("".join(said))


if __name__ == "__main__":
    raise SystemExit(main())
