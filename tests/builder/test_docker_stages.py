"""The image's layer of downloads holds the code that downloads, and no other: whatever else changes, it stays."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def _copied_before_the_downloads() -> list[tuple[list[str], str]]:
    text = (_ROOT / "Dockerfile").read_text(encoding="utf-8")
    stage = text[text.index("AS models") : text.index("--no-build")]
    return [(line.split()[:-1], line.split()[-1]) for line in re.findall(r"^COPY (?!--from)(.+)$", stage, re.MULTILINE)]


def test_what_is_copied_before_the_downloads_is_enough_for_them_and_no_more(tmp_path: Path) -> None:
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
        "pipeline/models/weights/folder.py", "pipeline/models/weights/lock.py",
        "builder/__init__.py", "builder/fetch_models.py", "builder/download.py",
    }  # fmt: skip
    command = [sys.executable, "-m", "builder.fetch_models", "--preset", "none", "--no-build", "--check"]
    command += ["--weights", str(tmp_path / "weights")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "missing or not right" in done.stdout, done.stderr
    assert "figure" not in done.stdout and "landmark" in done.stdout
