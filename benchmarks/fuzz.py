"""Fuzz requests and media files: only defined errors, no hang, no crash, no memory growth.

``python -m benchmarks.fuzz requests [--examples 20000] [--answers 200]``
``python -m benchmarks.fuzz media [--mutations 1000] [--keep FOLDER]``

``requests`` draws requests with hypothesis: valid ones with spoiled parts, and arbitrary JSON. Each is validated by the
schema and the overrides; ``--answers`` more are answered as by a worker, on eight small frames, with hostile job ids.
``media`` damages small files of every codec and container that callers send, in ten ways. Each is opened, read in every
way a job reads it, and copied with its sound, in a process that is replaced when it crashes or exceeds its time limit.

The same seed draws the same examples. Exit code 1 if a rule is broken; hypothesis then shows the smallest such request.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.fuzz_media import MediaTally, fuzz_media
from benchmarks.fuzz_requests import fuzz_answers, fuzz_parsing

_GROWTH_AIM_MIB = 30.0
_LEAST_SHARE = 0.05
"""Least fraction of the examples that must be accepted, and as many refused: otherwise only one side is exercised."""


def main() -> int:
    """Run one of the two and print the outcomes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    kinds = parser.add_subparsers(dest="kind", required=True)
    requests = kinds.add_parser("requests", help="requests through the schema, and some through a worker's answer")
    requests.add_argument("--examples", type=int, default=20_000)
    requests.add_argument("--answers", type=int, default=200)
    media = kinds.add_parser("media", help="damaged files through opening, reading and copying")
    media.add_argument("--mutations", type=int, default=1000)
    media.add_argument("--seconds", type=float, default=60.0, help="a file that takes longer counts as a hang")
    media.add_argument("--keep", type=Path, help="an existing folder for files that show a bug")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="understudy-fuzz-") as folder:
        begin = time.monotonic()
        if arguments.kind == "requests":
            is_well = _requests(arguments.examples, arguments.answers, Path(folder), arguments.seed)
        else:
            tally = fuzz_media(
                arguments.mutations, Path(folder), start=arguments.seed, seconds=arguments.seconds, keep=arguments.keep
            )
            is_well = _media(tally)
    print(f"{time.monotonic() - begin:.0f} s")
    return int(not is_well)


def _requests(examples: int, answers: int, folder: Path, start: int) -> bool:
    parsed = fuzz_parsing(examples, start)
    _show("requests", parsed.outcomes)
    is_well = all(parsed.outcomes[name] >= _LEAST_SHARE * examples for name in ("accepted", "refused: schema"))
    if answers:
        answered = fuzz_answers(answers, folder, start)
        _show("answers", answered.outcomes)
        is_well = is_well and answered.outcomes["OK"] >= _LEAST_SHARE * answers
    if not is_well:
        print("too few examples on one side: this run shows little")
    return is_well


def _media(tally: MediaTally) -> bool:
    _show("mutations", tally.outcomes)
    for bug in tally.bugs:
        print(f"  {bug}")
    growth = tally.growth_mib()
    files = tally.more_files()
    print(
        f"RSS grows {growth:+.1f} MiB, {files:+} open files; the reading process had at most {tally.peak_mib:.0f} MiB"
    )
    reads = sum(number for outcome, number in tally.outcomes.items() if outcome.startswith("read"))
    is_both = _LEAST_SHARE * tally.total <= reads <= (1 - _LEAST_SHARE) * tally.total
    if not is_both:
        print("too few files on one side: this run shows little")
    return not tally.bugs and growth <= _GROWTH_AIM_MIB and files <= 0 and is_both


def _show(what: str, outcomes: Counter[str]) -> None:
    print(
        f"{outcomes.total()} {what}: " + ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
    )


if __name__ == "__main__":
    raise SystemExit(main())
