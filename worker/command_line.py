"""The worker's command line: ours before the SDK's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conf import CALLER_KEYS, DEFAULT_PRESET, preset_names
from pipeline.errors import InvalidInput
from worker.environment import JobOrigin

_OVERRIDE = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@]*=.*|~[A-Za-z_][\w./@]*", re.DOTALL)
_SDK_VALUES = ("--test_input", "--rp_log_level", "--rp_api_port", "--rp_api_concurrency", "--rp_api_host")
_HELP = """\
Understudy: replaces the person in a video and keeps everything else.

usage: python handler.py [KEY=VALUE ...] [--test_input JSON] [--check] [SDK options]

  python handler.py                                    runs test_input.json
  python handler.py --test_input '{{"input": {{"video_url": "clip.mp4"}}}}'
  python handler.py preset=preview segment.count=3 output=lossless --test_input '...'
  python handler.py --check                            checks this worker and every byte of its weights

The result lies in outputs/<job id>/: result.mp4, result.json, and the artifacts asked for.

settings for this worker (Hydra's grammar; files in conf/):
  preset=NAME          default preset of jobs; there are: {presets} (default {default})
  GROUP=FILE           such as output=lossless, plate=off, temporal=flow, foot_lock=fixed
  GROUP.KEY=VALUE      such as segment.count=3, foot_lock.strength=0.7

settings that a job may have under "overrides":
  {keys}

options of RunPod's SDK:
  --test_input JSON    run one job and exit: 0 when it succeeded, 1 when it failed
  --rp_serve_api       serve /run and /runsync on --rp_api_host (localhost) and --rp_api_port (8000)
  --rp_api_concurrency N   API workers
  --rp_log_level LEVEL ERROR, WARN, INFO or DEBUG
  --rp_debugger        the SDK's debugger

environment:
  UNDERSTUDY_OVERRIDES   settings as above, parted by blanks; the command line comes after them
  UNDERSTUDY_LOCKED      keys that a job may not change, parted by commas
  UNDERSTUDY_WEIGHTS     where the models lie (default: weights/); fetched by python -m builder.fetch_models
  UNDERSTUDY_WORK        where jobs keep their temporary folders (default: understudy in the system's)
  UNDERSTUDY_OUTPUTS     where local results go (default: outputs/)
  UNDERSTUDY_STATE_DIR   where unfinished jobs keep what they have done, such as a network volume (default: nowhere)
  UNDERSTUDY_STATE_MAX   how much may lie there (default: 20G)
  UNDERSTUDY_JOB_SECONDS how long a job may take (default: no limit); set it to the endpoint's execution timeout
  UNDERSTUDY_UPLOAD_SECONDS how long a finished result is offered to a store that does not take it (300)
  UNDERSTUDY_STALL_SECONDS  after so long without a sign of life a job has failed and the worker is replaced (300)
  UNDERSTUDY_INLINE_MAX  the largest result that an answer may hold (default: 6M)
  UNDERSTUDY_LOCAL_ROOT  with --rp_serve_api: jobs may name files under it, and results go to UNDERSTUDY_OUTPUTS
  UNDERSTUDY_PRIVATE_HOSTS  hosts with private addresses that jobs may name: minio:9000, parted by commas
  UNDERSTUDY_LINK_SECONDS   life of the links to results in the bucket (default: 7 days)
  BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID, BUCKET_SECRET_ACCESS_KEY, BUCKET_NAME   where results go; BUCKET_REGION
"""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What this worker was started with."""

    preset: str | None
    overrides: tuple[str, ...]
    """The operator's, Hydra's grammar, without the preset."""
    locked: tuple[str, ...]
    place: JobOrigin
    for_sdk: tuple[str, ...]
    check_only: bool = False
    """Check the worker and its weights, and end."""


def parse_arguments(argv: Sequence[str], environment: Mapping[str, str]) -> Arguments | None:
    """Part our arguments from the SDK's. None when help was asked for and printed.

    Raises ``InvalidInput`` for a ``--test_input`` that is no job.
    """
    if any(word in ("-h", "--help") for word in argv[1:]):
        print(help_text(), end="")
        return None
    ours = environment.get("UNDERSTUDY_OVERRIDES", "").split()
    theirs: list[str] = []
    words = iter(argv[1:])
    for word in words:
        if word == "--check":
            continue
        if word in _SDK_VALUES:
            theirs += [word, *(value for value in [next(words, None)] if value is not None)]
        elif not word.startswith("-") and _OVERRIDE.fullmatch(word):
            ours.append(word)
        else:
            theirs.append(word)
    _check_test_input(theirs)
    presets = [word.removeprefix("preset=") for word in ours if word.startswith("preset=")]
    return Arguments(
        preset=presets[-1] if presets else None,
        overrides=tuple(word for word in ours if not word.startswith("preset=")),
        locked=tuple(key.strip() for key in environment.get("UNDERSTUDY_LOCKED", "").split(",") if key.strip()),
        place=_place(theirs, environment),
        for_sdk=tuple(theirs),
        check_only="--check" in argv[1:],
    )


def _place(words: Sequence[str], environment: Mapping[str, str]) -> JobOrigin:
    # argparse also takes an option's beginning for it.
    if any(word.startswith("--rp_s") for word in words):
        return "api"
    if any(word.startswith("--t") for word in words):
        return "local"
    on_platform = any(environment.get(name) for name in ("RUNPOD_WEBHOOK_GET_JOB", "RUNPOD_REALTIME_PORT"))
    return "platform" if on_platform else "local"


def _check_test_input(words: Sequence[str]) -> None:
    """Refuse what the SDK would meet with a traceback, or by running test_input.json instead (``{}``)."""
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if not (name.startswith("--t") and "--test_input".startswith(name)):
            continue
        try:
            job = json.loads(value if equals else "".join(words[number + 1 : number + 2]))
        except ValueError:
            raise InvalidInput("this is no JSON", field="--test_input") from None
        if not isinstance(job, dict) or "input" not in job:
            raise InvalidInput('must be an object such as {"input": {"video_url": "clip.mp4"}}', field="--test_input")


def help_text() -> str:
    """Return what ``--help`` prints."""
    lines, line = [], ""
    for key in CALLER_KEYS:
        if len(line) + len(key) > 110:
            lines.append(line.rstrip())
            line = ""
        line += key + "  "
    lines.append(line.rstrip())
    return _HELP.format(presets=", ".join(preset_names()), default=DEFAULT_PRESET, keys="\n  ".join(lines))
