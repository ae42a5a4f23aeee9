"""Every library's failure on a full disk or memory is recognized, with the missing amount."""

from __future__ import annotations

import errno
import os
from collections import namedtuple
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import NoSpace, OutOfMemory, UnderstudyError, UnsupportedMedia
from pipeline.runtime import resources
from pipeline.runtime.resources import (
    available_memory,
    check_disk,
    check_memory,
    memory_size,
    resource_error,
    resource_errors,
    size_on_disk,
)

_Disk = namedtuple("_Disk", "total used free")


def _raised(work: object) -> Exception:
    try:
        work()  # type: ignore[operator]
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def _numpy_on_a_full_disk() -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        np.zeros(100_000).tofile(file)


def _python_on_a_full_disk() -> None:
    with Path("/dev/full").open("wb") as file:
        file.write(bytes(100_000))


def _ffmpeg_on_a_full_disk() -> None:
    with av.open("/dev/full", "w", format="matroska") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width = 64
        stream.height = 64
        stream.pix_fmt = "gray"
        for number in range(200):
            noise = np.random.default_rng(number).integers(0, 256, (64, 64), np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "gray")))


def _wrapped() -> None:
    try:
        _python_on_a_full_disk()
    except OSError as error:
        raise RuntimeError("the pass failed") from error


@pytest.mark.parametrize("work", [_numpy_on_a_full_disk, _python_on_a_full_disk, _ffmpeg_on_a_full_disk, _wrapped])
def test_a_full_disk_is_recognized_in_every_form(work: object) -> None:
    told = resource_error(_raised(work))
    assert isinstance(told, NoSpace) and "the disk is full" in told.message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EFBIG])
def test_every_errno_of_a_disk_that_takes_nothing(number: int) -> None:
    assert isinstance(resource_error(OSError(number, os.strerror(number))), NoSpace)


@pytest.mark.parametrize(
    "work",
    [
        lambda: np.empty(1 << 60, np.uint8),
        lambda: cv2.resize(np.zeros((4, 4), np.uint8), (2**30, 2**30)),
        lambda: (_ for _ in ()).throw(OSError(errno.ENOMEM, "Cannot allocate memory")),
        lambda: (_ for _ in ()).throw(av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")),
        lambda: (_ for _ in ()).throw(RuntimeError("can't start new thread")),
    ],
)
def test_missing_memory_is_recognized_in_every_form(work: object) -> None:
    assert isinstance(resource_error(_raised(work)), OutOfMemory)


@pytest.mark.parametrize(
    "work",
    [
        lambda: Path("/nowhere").read_bytes(),
        lambda: {}["key"],
        lambda: cv2.resize(np.zeros((4, 4), np.uint8), (-1, 3)),
        lambda: int("x"),
        lambda: (_ for _ in ()).throw(RuntimeError("no")),
    ],
)
def test_other_errors_pass_unchanged(work: object, tmp_path: Path) -> None:
    error = _raised(work)
    assert resource_error(error, tmp_path) is None
    with pytest.raises(type(error)), resource_errors(tmp_path):
        raise error


def test_a_missing_folder_is_reported_as_a_disk_error(tmp_path: Path) -> None:
    told = resource_error(_raised(lambda: (tmp_path / "gone" / "file").read_bytes()), tmp_path / "gone")
    assert isinstance(told, NoSpace) and "is gone" in told.message


def test_errors_of_ours_pass_as_they_are(tmp_path: Path) -> None:
    ours: UnderstudyError = UnsupportedMedia("x")
    with pytest.raises(UnsupportedMedia) as raised, resource_errors(tmp_path):
        raise ours from OSError(errno.ENOSPC, "")
    assert raised.value is ours


def test_the_missing_amount_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda folder: _Disk(10**9, 0, 3 * 10**6))
    (tmp_path / "done").write_bytes(bytes(10**7))
    assert size_on_disk(tmp_path) >= 10**7
    with pytest.raises(NoSpace, match=r"about 3[67] MB are missing"), resource_errors(tmp_path, needed_bytes=5 * 10**7):
        raise OSError(errno.ENOSPC, "")
    with pytest.raises(NoSpace, match=r"3\.0 MB are left"), resource_errors(tmp_path):
        raise OSError(errno.ENOSPC, "")
    with pytest.raises(NoSpace, match=r"needs about 50 MB of disk and 3\.0 MB are free: 47 MB are missing"):
        check_disk(5 * 10**7, tmp_path)
    check_disk(2 * 10**6, tmp_path, tmp_path / "not" / "there")


def test_memory_is_what_machine_and_container_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = available_memory(tmp_path)
    assert machine is not None and memory_size(tmp_path) is not None
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_size(tmp_path) > 10**9  # type: ignore[operator]
    (tmp_path / "memory.max").write_text("500000000\n")
    (tmp_path / "memory.current").write_text("450000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 100000000\n")
    assert available_memory(tmp_path) == 150_000_000 and memory_size(tmp_path) == 500_000_000
    monkeypatch.setattr(resources.resource, "getrlimit", lambda kind: (10**9, 10**9))
    assert memory_size(tmp_path) == round(10**9 / 2.3) and available_memory(tmp_path) <= 150_000_000  # type: ignore[operator]
    monkeypatch.undo()
    with pytest.raises(OutOfMemory, match="50 MB are missing"):
        check_memory(200_000_000, tmp_path)
    check_memory(100_000_000, tmp_path)
