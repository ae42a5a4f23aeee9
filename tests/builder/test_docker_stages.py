"""The image's download stage copies exactly the code that downloads, so that other changes reuse its cache."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.models.weights.lock import read_lock

_ROOT = Path(__file__).resolve().parents[2]


def _copied_before_the_downloads() -> list[tuple[list[str], str]]:
    text = (_ROOT / "Dockerfile").read_text(encoding="utf-8")
    stage = text[text.index("AS models") : text.index("--no-build")]
    return [(line.split()[:-1], line.split()[-1]) for line in re.findall(r"^COPY (?!--from)(.+)$", stage, re.MULTILINE)]


def test_the_download_stage_copies_exactly_what_it_needs(tmp_path: Path) -> None:
    for sources, target in _copied_before_the_downloads():
        for source in sources:
            if (_ROOT / source).is_dir():
                shutil.copytree(_ROOT / source, tmp_path / target)
            else:
                (tmp_path / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(_ROOT / source, tmp_path / target)
    listed = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.py")}
    assert listed == {
        "pipeline/__init__.py", "pipeline/models/__init__.py", "pipeline/models/weights/__init__.py",
        "pipeline/models/weights/folder.py", "pipeline/models/weights/lock.py", "pipeline/models/weights/prepared.py",
        "builder/__init__.py", "builder/fetch_models.py", "builder/download.py",
    }  # fmt: skip
    command = [sys.executable, "-m", "builder.fetch_models", "--preset", "none", "--no-build", "--check"]
    command += ["--weights", str(tmp_path / "weights")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "missing or wrong" in done.stdout, done.stderr
    assert "figure" not in done.stdout and "landmark" in done.stdout


def test_times_of_all_code_are_whole_seconds_before_kernels_are_compiled_for_it() -> None:
    final = (_ROOT / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    before = final[: final.index("RUN python handler.py")]
    copied = {
        name.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.+)$", before, re.MULTILINE)
        for name in line.split()[:-1]
    }
    code = {name for name in copied if name.endswith(".py") or any((_ROOT / name).rglob("*.py"))}
    touched = re.search(r"find (.+) -exec touch --date (\S+)", before)
    assert touched is not None and {"pipeline", "worker", "handler.py"} <= code
    assert set(touched[1].split()) == code
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", touched[2])


def _start(tmp_path: Path, version: str | None, *, has_compat: bool = True) -> str:
    """Return what LD_LIBRARY_PATH the image's start hands to its command."""
    compat = tmp_path / "compat"
    told = tmp_path / "version"
    if has_compat:
        compat.mkdir(exist_ok=True)
        (compat / "libcuda.so.1").touch()
    if version is not None:
        told.write_text(version)
    environment = {"PATH": "/usr/bin:/bin", "CUDA_COMPAT_FOLDER": str(compat), "NVIDIA_VERSION_FILE": str(told)}
    command = ["sh", str(_ROOT / "scripts" / "start.sh"), "sh", "-c", 'printf %s "$LD_LIBRARY_PATH"']
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_older_drivers_get_the_forward_compatible_library_and_newer_ones_keep_their_own(tmp_path: Path) -> None:
    old = (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Tue Jan 14 12:00:00 UTC 2025\nGCC version: 12.3.0\n"
    )
    opened = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.183.06  Release Build\n"
    assert _start(tmp_path, old) == str(tmp_path / "compat")
    assert _start(tmp_path, opened) == str(tmp_path / "compat")
    assert _start(tmp_path, old.replace("570.86.15", "580.65.06")) == ""
    # Below 535 it does not work, and would hide the error that states so.
    assert _start(tmp_path, old.replace("570.86.15", "525.60.13")) == ""


def test_without_a_driver_or_a_library_nothing_is_set(tmp_path: Path) -> None:
    assert _start(tmp_path, None) == ""
    assert _start(tmp_path / "none", None, has_compat=False) == ""


def test_weights_lie_in_layers_by_source_and_every_folder_in_one() -> None:
    text = (_ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY --from=models (\S+) \./weights", text, re.MULTILINE)
    layers = re.findall(r"mkdir -p ((?:/layers/\w+ ?)+)", text)
    assert copied == [*layers[0].split(), "/app/weights"]
    listed = re.findall(r"for pair in (.+?);", text, re.DOTALL)[0]
    pairs = dict(pair.split(":") for pair in listed.split() if ":" in pair)
    assert {f"/layers/{layer}" for layer in pairs.values()} == set(layers[0].split())
    names = {file.name.split("/")[0] for source in read_lock() for file in source.files if "/" in file.name}
    # Small files, and those that only tests fetch, are in the last layer.
    assert names - pairs.keys() <= {"safety_checker", "licences", "footage", "test"}


def test_kernels_are_compiled_into_the_image_for_any_processor_of_its_kind() -> None:
    text = (_ROOT / "Dockerfile").read_text(encoding="utf-8")
    compiled = text.index("RUN python handler.py")
    for name in ("NUMBA_CACHE_DIR=", "NUMBA_CPU_NAME=", "NUMBA_CPU_FEATURES="):
        assert text.index(name) < compiled
    # By the user who runs the worker and may write to the cache, from the sources that the image keeps.
    assert text.index("USER worker") < compiled and text.rindex("COPY") < compiled
    job = json.loads((_ROOT / "test_input.json").read_text(encoding="utf-8"))["input"]
    assert job["preset"] == "preview" and job["video_url"].startswith("assets/")


def test_kernels_for_a_named_processor_are_compiled_once(tmp_path: Path) -> None:
    """What one process compiles, another one loads: with the image's variables, whatever processor each runs on.

    Even where both start together.
    """
    text = (_ROOT / "Dockerfile").read_text(encoding="utf-8")
    named = dict(re.findall(r"^    (NUMBA_CPU_\w+)=(\S+)", text, re.MULTILINE))
    script = """
import sys
import numpy as np
from numba.core import codegen
codegen.ll.get_host_cpu_name = lambda: sys.argv[1]
from pipeline.maths import reduce
reduce.reduced(np.zeros((8, 8, 3), np.uint8), (4, 4))
print(sum(reduce._average.stats.cache_hits.values()))
"""
    environment = {**os.environ, **named, "NUMBA_CACHE_DIR": str(tmp_path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, host], cwd=_ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        for host in ("znver2", "skylake-avx512")
    ]
    assert sorted(process.communicate()[0].strip() for process in started) == ["0", "1"]
