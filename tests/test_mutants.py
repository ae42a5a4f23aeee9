"""What ``make mutants`` does around its mutants: a complete copy, and no failed run counted as a catch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import MUTANTS, Mutant, copy_repository, run_tests, survives

_ROOT = Path(__file__).resolve().parents[1]
_PROGRAM = "def double(x):\n    return 2 * x\n"
_TEST = "from program import double\n\n\ndef test_it() -> None:\n    assert double(3) == 6\n"


def _copy(folder: Path) -> Path:
    (folder / "program.py").write_text(_PROGRAM)
    (folder / "test_program.py").write_text(_TEST)
    (folder / "test_nothing.py").write_text("def test_nothing() -> None:\n    pass\n")
    return folder


def test_every_mutants_line_is_in_the_program() -> None:
    for mutant in MUTANTS:
        assert mutant.before in (_ROOT / mutant.file).read_text(encoding="utf-8"), mutant.name
        assert mutant.before != mutant.after and all((_ROOT / test).is_file() for test in mutant.tests), mutant.name


def test_the_copy_has_every_package_of_the_program(tmp_path: Path) -> None:
    copy_repository(tmp_path / "copy")
    for package in ("pipeline/models/weights", "pipeline/models/diffusion", "tests/models", "conf/generate"):
        listed = {path.name for path in (_ROOT / package).iterdir() if path.name != "__pycache__"}
        assert {path.name for path in (tmp_path / "copy" / package).iterdir()} == listed
    assert (tmp_path / "copy" / "weights").is_symlink() and not (tmp_path / "copy" / ".git").exists()


def test_a_mutant_is_caught_by_a_test_that_fails_and_by_nothing_else(tmp_path: Path) -> None:
    copy = _copy(tmp_path)
    broken = Mutant("tripled", "program.py", "2 * x", "3 * x", ("test_program.py",))
    assert not survives(broken, copy) and (copy / "program.py").read_text() == _PROGRAM
    assert survives(Mutant("unseen", "program.py", "2 * x", "3 * x", ("test_nothing.py",)), copy)
    with pytest.raises(ValueError, match="did not run"):
        survives(Mutant("no program", "program.py", "def double", "def half", ("test_program.py",)), copy)
    with pytest.raises(ValueError, match="has no"):
        survives(Mutant("gone", "program.py", "nothing like it", "", ("test_program.py",)), copy)
    assert run_tests(("test_program.py",), copy)
