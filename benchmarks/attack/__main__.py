"""Run all known kinds of attack on a worker, on loopback only: only defined outcomes, and a good job after each.

``python -m benchmarks.attack [GROUP ...] [--seed 0] [--limit 420]``

Each group is a module in this package with ``run(bench)``, executed in its own process with a time limit: whatever
kills or hangs that process would have killed or hung a worker. An outcome is defined if the answer has the documented
code, arrived in time (twice a good job's time plus five seconds), used bounded memory and left no files. Exit code 1 if
any is not. Full disks require the right to mount; without it that group reports so and counts as not tried.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from benchmarks import attack
from benchmarks.attack.bench import Bench, Tried

_MARK = "attack: "


def main() -> int:
    groups = sorted(
        each.name for each in pkgutil.iter_modules(attack.__path__) if each.name not in ("bench", "__main__")
    )
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(groups)}; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=420.0, help="seconds per group; more on a busy machine")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not set(arguments.groups) <= set(groups):
        parser.error(f"groups are {', '.join(groups)}")
    if arguments.inside is not None:
        _run_inside(arguments.groups[0], arguments.inside, arguments.seed)
        return 0
    begin = time.monotonic()
    results = {group: _run(group, arguments.seed, arguments.limit) for group in arguments.groups or groups}
    _show(results)
    print(f"{time.monotonic() - begin:.0f} s")
    return int(any(not tried.is_defined for rows in results.values() for tried in rows))


def _run_inside(group: str, folder: Path, seed: int) -> None:
    for tried in import_module(f"benchmarks.attack.{group}").run(Bench(folder, seed)):
        print(_MARK + json.dumps(asdict(tried)), flush=True)


def _run(group: str, seed: int, limit_seconds: float) -> list[Tried]:
    """Run a group in its own process; ending within the time limit is one of its results."""
    rows: list[Tried] = []
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="understudy-attack-") as folder:
        words = [sys.executable, "-m", "benchmarks.attack", group, "--seed", str(seed), "--inside", folder]
        try:
            ended = subprocess.run(words, capture_output=True, text=True, timeout=limit_seconds, check=False)
            output = ended.stdout
            status: int | str = ended.returncode
            last = ended.stderr.strip().splitlines()[-1:]
        except subprocess.TimeoutExpired as error:
            output = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
            status = "hangs"
            last = []
        _unmount_below(folder)
        for line in output.splitlines():
            if line.startswith(_MARK):
                rows.append(Tried(**json.loads(line.removeprefix(_MARK))))
    if status != 0:
        rows.append(Tried("the worker itself", f"ended with {status}", False, time.monotonic() - begin, " ".join(last)))
    undefined = [row for row in rows if not row.is_defined]
    print(f"{group}: {len(rows)} tried, {len(undefined)} undefined, {time.monotonic() - begin:.0f} s", flush=True)
    for row in undefined:
        print(f"  {row.name}: {row.outcome} after {row.seconds:.1f} s {row.note}", flush=True)
    return rows


def _unmount_below(folder: str) -> None:
    """Unmount the disks that a killed process has left in a folder: it could not be removed otherwise."""
    mounts = Path("/proc/mounts")
    for line in mounts.read_text(encoding="utf-8").splitlines() if mounts.exists() else ():
        place = line.split()[1]
        if Path(place).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", place], check=False)


def _show(results: dict[str, list[Tried]]) -> None:
    print(f"\n{'group':<14} {'tried':>6} {'defined':>8} {'undefined':>10} {'worst s':>8}  outcomes")
    for group, rows in [*results.items(), ("all", [row for each in results.values() for row in each])]:
        outcomes: dict[str, int] = {}
        for row in rows:
            outcomes[row.outcome] = outcomes.get(row.outcome, 0) + 1
        told = ", ".join(f"{number} {name}" for name, number in sorted(outcomes.items(), key=lambda each: -each[1]))
        good = sum(row.is_defined for row in rows)
        worst = max((row.seconds for row in rows), default=0.0)
        print(f"{group:<14} {len(rows):>6} {good:>8} {len(rows) - good:>10} {worst:>8.1f}  {told}")


if __name__ == "__main__":
    sys.exit(main())
