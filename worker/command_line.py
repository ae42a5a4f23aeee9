"""The worker's command line: our settings and options, and those passed on to RunPod's SDK."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

from conf import CALLER_KEYS, DEFAULT_PRESET, compose_settings, group_names, preset_names
from conf.sentences import nearest
from pipeline.errors import InvalidInput
from pipeline.settings import Settings, classes_of
from worker.environment import JobOrigin

_OVERRIDES_VARIABLE = "UNDERSTUDY_OVERRIDES"
_HELP = """\
Understudy replaces the person in a video and keeps everything else.

usage: python handler.py [KEY=VALUE ...] [--test_input JSON] [--check] [SDK options]

  python handler.py                  run test_input.json
  python handler.py --test_input '{{"input": {{"video_url": "clip.mp4"}}}}'
  python handler.py --test_input '{{"input": {{"video_url": "clip.mp4", "mode": "people"}}}}'    list the people in it
  python handler.py --test_input '{{"input": {{"mode": "character", "prompt": "a woman in a coat"}}}}'
  python handler.py preset=preview segment.count=3 output=lossless --test_input '...'
  python handler.py --check          check this worker and every byte of its weights

Results are written to outputs/<job id>/: result.mp4, result.json and the requested artifacts.
All fields of a job are described in docs/api.md.

settings of this worker (Hydra's override grammar; files in conf/):
  preset=NAME          default preset for jobs, one of: {presets} (default: {default})
  GROUP=FILE           for example output=lossless, plate=off, temporal=flow, foot_lock=fixed
  GROUP.KEY=VALUE      for example segment.count=3, foot_lock.strength=0.7

settings that a job may change under "overrides":
  {keys}

options of RunPod's SDK:
  --test_input JSON     run one job and exit with status 0 on success, 1 on failure
  --rp_serve_api        serve /run and /runsync on --rp_api_host (localhost) and --rp_api_port (8000)
  --rp_log_level LEVEL  ERROR, WARN, INFO or DEBUG
  --rp_debugger         enable the SDK's debugger

environment variables:
  UNDERSTUDY_OVERRIDES       settings as above, separated by spaces; the command line takes precedence
  UNDERSTUDY_LOCKED          settings that jobs may not change, separated by commas
  UNDERSTUDY_WEIGHTS         folder of the model weights (default: weights/); see python -m builder.fetch_models --help
  UNDERSTUDY_VOLUME          network volume with the weights of wan and ultra (default: /runpod-volume)
  UNDERSTUDY_WORK            folder for the jobs' temporary files (default: understudy in the system's temporary folder)
  UNDERSTUDY_OUTPUTS         folder for local results (default: outputs/)
  UNDERSTUDY_STATE_DIR       folder for checkpoints of unfinished jobs, such as a network volume (default: none)
  UNDERSTUDY_STATE_MAX       maximum size of that folder (default: 20G)
  UNDERSTUDY_JOB_SECONDS     time limit of a job (default: none); set it to the endpoint's execution timeout
  UNDERSTUDY_UPLOAD_SECONDS  how long the upload of a finished result is retried (default: 300)
  UNDERSTUDY_STALL_SECONDS   a job without any progress for this long fails, and the worker is replaced (default: 300)
  UNDERSTUDY_FAN_OUT_MAX     most workers that a job may request with fan_out (default: 16; 1 disables fan-out)
  UNDERSTUDY_LATE_SECONDS    a chunk that another worker has had for longer, and for more than three times the usual
                             time, is generated again by the job itself (default: 60)
  UNDERSTUDY_INLINE_MAX      largest result that an answer may contain (default: 6M)
  UNDERSTUDY_LINK_SECONDS    lifetime of the links to results in the bucket (default: 604800, 7 days)
  UNDERSTUDY_PRIVATE_HOSTS   hosts with private addresses that jobs may use, separated by commas, such as minio:9000
  UNDERSTUDY_LOCAL_ROOT      with --rp_serve_api: jobs may read files under this folder, and results go to
                             UNDERSTUDY_OUTPUTS
  RUNPOD_API_KEY             lets jobs with fan_out send their chunks to their own endpoint
  BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID, BUCKET_SECRET_ACCESS_KEY, BUCKET_NAME, BUCKET_REGION
                             the bucket for results
"""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The parsed command line and settings of this worker."""

    preset: str | None
    overrides: tuple[str, ...]
    """The operator's overrides in Hydra's grammar, without the preset."""
    locked: tuple[str, ...]
    origin: JobOrigin
    for_sdk: tuple[str, ...]
    check_only: bool = False
    """Check the worker and its weights, then exit."""


def parse_arguments(argv: Sequence[str], environment: Mapping[str, str]) -> Arguments | None:
    """Separate our arguments from the SDK's. Returns None after printing the requested help.

    Raises ``InvalidInput`` for an unknown argument, a ``--test_input`` that is not a job, and invalid settings of the
    operator; the error's field is the offending argument or variable.
    """
    if any(word in ("-h", "--help") for word in argv[1:]):
        print(help_text(), end="")
        return None
    of_variable = environment.get(_OVERRIDES_VARIABLE, "").split()
    for word in of_variable:
        check_override(word, _OVERRIDES_VARIABLE)
    given, rest = _parser().parse_known_args(list(argv[1:]))
    of_command = [_override(word) for word in rest]
    _compose(of_variable, _OVERRIDES_VARIABLE)
    theirs = _for_sdk(given)
    if given.test_input is not None:
        _check_test_input(given.test_input)
    ours = of_variable + of_command
    presets = [word.removeprefix("preset=") for word in ours if word.startswith("preset=")]
    return Arguments(
        preset=presets[-1] if presets else None,
        overrides=tuple(word for word in ours if not word.startswith("preset=")),
        locked=_locked(environment.get("UNDERSTUDY_LOCKED", "")),
        origin=_origin(given, environment),
        for_sdk=tuple(theirs),
        check_only=given.check,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse's format: "argument --test_input: expected one argument".
        option, _, text = message.removeprefix("argument ").partition(": ")
        raise InvalidInput(text or message, field=option if text else "command line")


def _parser() -> argparse.ArgumentParser:
    """Return the parser of our options and the SDK's. Like the SDK's own, it accepts abbreviated options."""
    parser = _Parser(add_help=False)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--test_input")
    parser.add_argument("--rp_serve_api", action="store_true")
    parser.add_argument("--rp_debugger", action="store_true")
    parser.add_argument("--rp_log_level", choices=("ERROR", "WARN", "INFO", "DEBUG"))
    parser.add_argument("--rp_api_port", type=int)
    parser.add_argument("--rp_api_host")
    # A worker runs one job at a time, and the SDK's server has only this one worker.
    parser.add_argument("--rp_api_concurrency", type=int, choices=(1,))
    return parser


def _for_sdk(given: argparse.Namespace) -> list[str]:
    words: list[str] = []
    for name, value in vars(given).items():
        if name == "check" or value is None or value is False:
            continue
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


def _override(word: str) -> str:
    """Return a remaining argument if it is a setting; else raise ``InvalidInput`` and suggest the closest match."""
    if word[:1] != "-" and ("=" in word or word[:1] in ("+", "~")):
        check_override(word, word.partition("=")[0][:60])
        return word
    if word.startswith("-"):
        options = [option for action in _parser()._actions for option in action.option_strings]
        raise InvalidInput(f"unknown option{nearest(word.partition('=')[0], options)}", field=word[:60])
    raise InvalidInput(
        f"""neither a setting nor an option{nearest(word, _known_keys())}; """
        """pass a job as --test_input '{"input": {"video_url": "clip.mp4"}}'""",
        field=word[:60],
    )


def check_override(word: str, field: str) -> None:
    """Raise ``InvalidInput`` for an override that does not change an existing setting.

    That is: one that adds or removes a key, one of Hydra's own settings, or an unknown key.
    """
    key, equals, _ = word.partition("=")
    if not equals or key[:1] in ("+", "~"):
        raise InvalidInput(f"settings can only be changed (KEY=VALUE), not added or removed: {key[:60]}", field=field)
    known = _known_keys()
    if key not in known and not any(key.startswith(f"{each}.") for each in known if "." in each):
        raise InvalidInput(f"unknown setting {key[:60]}{nearest(key, known)}", field=field)


def _compose(overrides: Sequence[str], variable: str) -> None:
    """Compose the settings with a variable's overrides, so that an error in them names the variable."""
    presets = [word.removeprefix("preset=") for word in overrides if word.startswith("preset=")]
    try:
        compose_settings(
            presets[-1] if presets else DEFAULT_PRESET, tuple(w for w in overrides if not w.startswith("preset="))
        )
    except InvalidInput as error:
        raise InvalidInput(f"{error.field}: {error.message}", field=variable) from error


def _locked(text: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    for key in keys:
        if key not in CALLER_KEYS:
            message = f"{key[:60]} is not a setting that a job may change, so it cannot be locked"
            raise InvalidInput(message + nearest(key, CALLER_KEYS), field="UNDERSTUDY_LOCKED")
    return keys


@cache
def _known_keys() -> tuple[str, ...]:
    """Return the valid keys of an override: ``preset``, groups that have files, and every GROUP.KEY."""
    keys = ["preset", *group_names()]
    for group in Settings.model_fields:
        if group != "preset":
            keys += [f"{group}.{name}" for kind in classes_of(group) for name in kind.model_fields]
    return tuple(dict.fromkeys(keys))


def _origin(given: argparse.Namespace, environment: Mapping[str, str]) -> JobOrigin:
    if given.rp_serve_api:
        return "api"
    if given.test_input is not None:
        return "local"
    on_platform = any(environment.get(name) for name in ("RUNPOD_WEBHOOK_GET_JOB", "RUNPOD_REALTIME_PORT"))
    return "platform" if on_platform else "local"


def _check_test_input(text: str) -> None:
    """Reject what the SDK would answer with a traceback or, for ``{}``, by running test_input.json instead."""
    try:
        job = json.loads(text)
    except ValueError:
        raise InvalidInput("not valid JSON", field="--test_input") from None
    if not isinstance(job, dict) or "input" not in job:
        raise InvalidInput('must be an object such as {"input": {"video_url": "clip.mp4"}}', field="--test_input")


def help_text() -> str:
    """Return the text that ``--help`` prints."""
    lines = []
    line = ""
    for key in CALLER_KEYS:
        if len(line) + len(key) > 110:
            lines.append(line.rstrip())
            line = ""
        line += key + "  "
    lines.append(line.rstrip())
    return _HELP.format(presets=", ".join(preset_names()), default=DEFAULT_PRESET, keys="\n  ".join(lines))
