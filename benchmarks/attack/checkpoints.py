"""Corrupt, truncate, swap and remove checkpoints: none may be accepted for what it is not."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pipeline.run
from benchmarks.attack.bench import Bench, Tried, clear
from pipeline.workspace.checkpoints import is_intact
from tests.support.job_runner import Runner, good_job

_FILES_ALONE = 10_000
_WHOLE_JOBS = 12


def run(bench: Bench) -> Iterator[Tried]:
    """Damage the checkpoints of a real job, one at a time; then resume jobs from damaged ones."""
    worker = bench.worker({"UNDERSTUDY_STATE_DIR": str(bench.folder / "state")})
    expected = Path(worker.answer(good_job())["video_url"]).read_bytes()
    clear(worker)
    state = _unfinished(worker)
    kept = bench.folder / "kept"
    shutil.copytree(state, kept)
    chance = random.Random(bench.seed)
    yield from _files_alone(kept, bench.folder / "harmed", chance)
    for number in range(_WHOLE_JOBS):
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(kept, state)
        names = [_harm(chance.choice(_files(state)), _files(state), chance) for _ in range(chance.randint(1, 3))]
        begin = time.monotonic()
        answer = worker.answer(good_job())
        place = answer.get("video_url")
        same = place is not None and Path(place).read_bytes() == expected
        outcome = str(answer.get("error_code", "same bytes" if same else "OTHER BYTES"))
        yield Tried(f"job {number} on {', '.join(names)}", outcome, same, time.monotonic() - begin)
        clear(worker)


def _unfinished(worker: Runner) -> Path:
    """Return the folder of a job that failed in its last pass, with all its checkpoints."""

    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    with patch.object(pipeline.run, "finish", fails):
        assert worker.answer(good_job())["error_code"] == "OUT_OF_MEMORY"
    [state] = [path for path in (worker.folder / "state" / "understudy").iterdir() if path.is_dir()]
    return state


def _files(state: Path) -> list[Path]:
    return sorted(path for path in state.rglob("*") if path.is_file() and path.stat().st_size > 16)


def _files_alone(kept: Path, harmed: Path, chance: random.Random) -> Iterator[Tried]:
    """Test the integrity check alone on many more: a changed file must not count as intact."""
    shutil.copytree(kept, harmed)
    tops = sorted(path for path in harmed.iterdir() if path.suffix != ".json" and path.name != "layers")
    checkpoints = [*tops, *sorted(harmed.glob("layers/*.zip"))]
    begin = time.monotonic()
    missed = 0
    for _ in range(_FILES_ALONE):
        checkpoint = chance.choice(checkpoints)
        inside = _files(checkpoint) if checkpoint.is_dir() else [checkpoint]
        path = chance.choice(inside)
        before = path.read_bytes()
        others = [each for each in inside if each != path]
        swapped = {each: each.read_bytes() for each in others[:1]}
        _harm(path, [path, *swapped], chance)
        changed = not path.exists() or path.read_bytes() != before
        missed += changed and is_intact(harmed, checkpoint)
        path.write_bytes(before)
        for each, data in swapped.items():
            each.write_bytes(data)
    seconds = time.monotonic() - begin
    yield Tried(f"{_FILES_ALONE} harmed files", f"{missed} missed", missed == 0, seconds / _FILES_ALONE)


def _harm(path: Path, others: list[Path], chance: random.Random) -> str:
    """Apply one of seven kinds of damage to a file; return its name."""
    data = bytearray(path.read_bytes())
    kind = chance.choice(("flip", "flip", "cut", "zeros", "swap", "lengthen", "exchange"))
    at = chance.randrange(len(data))
    if kind == "flip":
        data[at] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del data[at:]
    elif kind == "zeros":
        data[at : at + 512] = bytes(len(data[at : at + 512]))
    elif kind == "swap":
        to = chance.randrange(len(data))
        data[at], data[to] = data[to], data[at]
    elif kind == "lengthen":
        data += chance.randbytes(chance.randint(1, 64))
    else:
        other = chance.choice(others)
        mine = bytes(data)
        data = bytearray(other.read_bytes())
        other.write_bytes(mine)
    path.write_bytes(data)
    return f"{path.name} ({kind})"
