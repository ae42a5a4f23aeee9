"""No damage to a checkpoint goes unnoticed: its hash covers every byte."""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.workspace.checkpoints import CHECKSUMS, is_intact, keep_if_intact, write_checksum

_FILES = ("masks.zip", "survey.zip", "layers/chunk_0000.zip", "layers/chunk_0001.zip")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    chance = random.Random(1)
    folder = tmp_path / "work"
    (folder / "layers").mkdir(parents=True)
    for name in _FILES:
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for frame in range(8):
                archive.writestr(f"{frame}/1", chance.randbytes(120))
        write_checksum(folder, folder / name)
    (folder / "plates" / "candidates").mkdir(parents=True)
    for name in ("plate_0000.png", "plate_nodes.bin"):
        (folder / "plates" / name).write_bytes(chance.randbytes(300))
    write_checksum(folder, folder / "plates")
    return folder


def _flip(path: Path, others: list[Path], chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def _cut(path: Path, others: list[Path], chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])


def _lengthen(path: Path, others: list[Path], chance: random.Random) -> None:
    path.write_bytes(path.read_bytes() + chance.randbytes(chance.randrange(1, 20)))


def _swap_bytes(path: Path, others: list[Path], chance: random.Random) -> None:
    data = path.read_bytes()
    first, second = chance.randrange(len(data) - 9), chance.randrange(len(data) - 9)
    changed = bytearray(data)
    changed[first : first + 8] = data[second : second + 8]
    changed[second : second + 8] = data[first : first + 8]
    path.write_bytes(changed)


def _swap_files(path: Path, others: list[Path], chance: random.Random) -> None:
    other = chance.choice(others)
    mine = path.read_bytes()
    theirs = other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


def _remove(path: Path, others: list[Path], chance: random.Random) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [_flip, _cut, _lengthen, _swap_bytes, _swap_files, _remove])
def test_no_damaged_file_counts_as_intact(
    workspace: Path, harm: Callable[[Path, list[Path], random.Random], None]
) -> None:
    chance = random.Random(harm.__name__)
    paths = [workspace / name for name in _FILES] + sorted((workspace / "plates").glob("plate*"))
    for _ in range(300):
        path = chance.choice(paths)
        kept = {each: each.read_bytes() for each in paths}
        harm(path, [each for each in paths if each != path], chance)
        for each in paths:
            checkpoint = each.parent if each.parent.name == "plates" else each
            is_as_before = each.exists() and each.read_bytes() == kept[each]
            assert is_as_before or not is_intact(workspace, checkpoint), (harm.__name__, each.name)
        for each, data in kept.items():
            each.write_bytes(data)
    assert all(is_intact(workspace, workspace / name) for name in (*_FILES, "plates"))


def test_a_damaged_list_loses_only_the_checkpoints(workspace: Path) -> None:
    chance = random.Random(3)
    whole = (workspace / CHECKSUMS).read_bytes()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (workspace / CHECKSUMS).write_bytes(data)
        for name in (*_FILES, "plates"):
            is_intact(workspace, workspace / name)
    for text in ("", "[]", "7", "[" * 100_000, '{"masks.zip": 5}'):
        (workspace / CHECKSUMS).write_text(text)
        assert not is_intact(workspace, workspace / "masks.zip")


def test_a_checkpoint_of_another_job_is_not_used(workspace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(workspace, other)
    (other / "survey.zip").write_bytes(b"of another clip")
    write_checksum(other, other / "survey.zip")
    shutil.copyfile(other / "survey.zip", workspace / "survey.zip")
    assert is_intact(other, other / "survey.zip") and not is_intact(workspace, workspace / "survey.zip")


def test_a_damaged_checkpoint_is_removed_with_its_entry(workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    masks = workspace / "masks.zip"
    survey = workspace / "survey.zip"
    assert keep_if_intact(workspace, masks, survey) and not caplog.records
    (workspace / "plates" / "more.png").touch()
    assert not keep_if_intact(workspace, workspace / "plates") and not (workspace / "plates").exists()
    masks.write_bytes(b"")
    assert not keep_if_intact(workspace, survey, masks)
    assert not masks.exists() and not survey.exists()
    assert [vars(record)["file"] for record in caplog.records] == ["plates", "survey.zip", "masks.zip"]
    caplog.clear()
    assert not keep_if_intact(workspace, survey, masks) and not caplog.records
