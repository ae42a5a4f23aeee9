"""Weights from the model hub, with a local stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import fetch_models
from builder.fetch_models import fetch_weights, main
from pipeline.models.weights.lock import (
    FetchError,
    LockedHub,
    LockedRelease,
    files_of,
    preset_table,
    read_lock,
    read_volume_models,
)
from tests.support.hub_server import COMMIT, Hub, hub_server

_FILES = {"maker/model/unet/weights.safetensors": bytes(range(256)) * 400, "maker/model/config.json": b'{"a": 1}'}
_LFS = frozenset({"maker/model/unet/weights.safetensors"})
_LOCK = """\
# A word that stays.
wheel = []

[[hub]]
repository = "maker/model"
revision = ""
licence = "MIT"

[[hub.file]]
name = "sd15/unet/weights.safetensors"
member = "unet/weights.safetensors"
sha256 = ""
presets = ["fast"]

[[hub.file]]
name = "sd15/config.json"
member = "config.json"
sha256 = ""
presets = ["fast", "high"]

[[release]]
url = "{url}/assets/v1"
licence = "AGPL-3.0"

[[release.file]]
name = "yolo.pt"
member = "yolo.pt"
sha256 = ""
presets = ["high"]
"""
_RELEASE = {"assets/v1/yolo.pt": b"pickle" * 100}


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "models.lock"
    monkeypatch.setattr(fetch_models, "LOCK_PATH", path)
    monkeypatch.setattr(fetch_models, "read_lock", lambda: read_lock(path))
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return path


def _use(hub: Hub, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    lock.write_text(_LOCK.replace("{url}", hub.url))


def test_the_lock_is_filled_from_the_hub_and_then_files_come(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with hub_server({**_FILES, **_RELEASE}, _LFS) as hub:
        _use(hub, lock, monkeypatch)
        assert main(["--preset", "fast"]) == 1
        assert "--lock" in capsys.readouterr().err and not list((tmp_path / "weights").rglob("*.safetensors"))
        assert main(["--lock"]) == 0
        assert "# A word that stays." in lock.read_text() and COMMIT in lock.read_text()
        before = lock.read_text()
        assert main(["--lock"]) == 0 and lock.read_text() == before
        assert main(["--preset", "fast"]) == 0
        weights = tmp_path / "weights" / "sd15" / "unet" / "weights.safetensors"
        assert weights.read_bytes() == _FILES["maker/model/unet/weights.safetensors"]
        assert not (tmp_path / "weights" / "yolo.pt").exists()
        assert main(["--check", "--preset", "fast"]) == 0 and main(["--check", "--preset", "fast,high"]) == 1
        assert main(["--preset", "high", "--preset", "fast"]) == 0
        assert main(["--check", "--all"]) == 0
        weights.write_bytes(b"damaged")
        assert main(["--check", "--preset", "fast"]) == 1
    # Present files are not requested again, so the hub is not needed.
    (tmp_path / "weights" / "sd15" / "unet" / "weights.safetensors").write_bytes(
        _FILES["maker/model/unet/weights.safetensors"]
    )
    assert main(["--all"]) == 0


def test_a_repositorys_licence_is_locked_and_comes_with_its_weights(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {"maker/model/LICENSE.md": b"Do no harm.", "maker/model/docs/LICENSE": b"of something else"}
    with hub_server(_FILES | _RELEASE | texts, _LFS) as hub:
        _use(hub, lock, monkeypatch)
        assert main(["--lock"]) == 0
        before = lock.read_text()
        assert main(["--lock"]) == 0 and lock.read_text() == before
        assert main(["--preset", "high"]) == 0
        folder = tmp_path / "weights" / "licences" / "maker" / "model"
        assert (folder / "LICENSE.md").read_bytes() == b"Do no harm." and len(list(folder.iterdir())) == 1


def test_a_wrong_name_affects_only_its_own_entry(
    lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = """
[[hub]]
repository = "maker/gone"
revision = ""
licence = "MIT"
{more}
[[hub.file]]
name = "gone.bin"
member = "gone.bin"
sha256 = ""
presets = ["{preset}"]
"""
    with hub_server({**_FILES, **_RELEASE}, _LFS) as hub:
        for more, preset, code in (("", "fast", 1), ("optional = true", "canny", 0)):
            _use(hub, lock, monkeypatch)
            lock.write_text(wrong.format(more=more, preset=preset) + lock.read_text())
            assert main(["--lock"]) == code
            # Entries after the wrong one are still locked, and the failure is reported.
            assert COMMIT in lock.read_text()
            told = capsys.readouterr()
            assert "maker/gone" in (told.err if code else told.out + told.err)


def test_a_broken_download_resumes_where_it_ended(lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server(_FILES | _RELEASE, _LFS) as hub:
        _use(hub, lock, monkeypatch)
        assert main(["--lock"]) == 0
        hub.cut_after = 5_000
        hub.asked.clear()
        assert main(["--preset", "fast"]) == 0
    assert ("cdn/maker/model/unet/weights.safetensors", "bytes=5000-", None) in hub.asked
    assert (tmp_path / "weights/sd15/unet/weights.safetensors").stat().st_size == 102_400
    assert not list((tmp_path / "weights").rglob(".part*"))


def test_a_token_is_given_to_the_hub_and_not_to_its_cdn(
    lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with hub_server(_FILES | _RELEASE, _LFS, token="hf_secret") as hub:
        _use(hub, lock, monkeypatch)
        lock.write_text(lock.read_text()[: lock.read_text().index("[[release]]")])
        assert main(["--lock"]) == 1
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        assert main(["--lock"]) == 0
        assert main(["--preset", "fast"]) == 0
        assert all(token is None for path, _, token in hub.asked if path.startswith("cdn/"))
        monkeypatch.delenv("HF_TOKEN")
        (Path(fetch_models.os.environ["UNDERSTUDY_WEIGHTS"]) / "sd15/config.json").unlink()
        assert main(["--preset", "fast"]) == 1
    said = capsys.readouterr()
    assert "HF_TOKEN" in said.err and "hf_secret" not in said.out + said.err


def test_other_bytes_than_the_locks_are_not_written(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub_server(_FILES | _RELEASE, _LFS) as hub:
        _use(hub, lock, monkeypatch)
        assert main(["--lock"]) == 0
        hub.files = {**_FILES, "maker/model/config.json": b'{"a": 2}'}
        with pytest.raises(FetchError, match="sha256"):
            fetch_weights(files_of(read_lock(lock), frozenset({"fast"})), tmp_path / "weights", None, lambda line: None)
        assert not (tmp_path / "weights/sd15/config.json").exists()
        hub.files = {}
        assert main(["--preset", "fast"]) == 1


def test_the_real_lock_names_what_the_presets_load() -> None:
    sources = read_lock()
    for preset in ("fast", "balanced", "high"):
        names = {file.name for source in files_of(sources, frozenset({preset})) for file in source.files}
        folders = {name.split("/")[0] for name in names if "/" in name}
        assert {"sd15", "controlnet", "ip_adapter", "safety_checker"} <= folders
        # All encode with TAESD; all but one decode with the full autoencoder.
        assert "taesd" in folders and ("vae" in folders) == ("animatelcm" in folders) == (preset != "fast")
        assert ("ip_adapter/ip-adapter-plus-face_sd15.safetensors" in names) == (preset != "fast")
        assert {"controlnet/pose", "controlnet/depth"} <= {name.rpartition("/")[0] for name in names}
        assert ("controlnet/normal/config.json" in names) == (preset == "high")
        assert "controlnet/pose/config.json" in names
    assert all(source.licence for source in sources)
    for source in sources:
        assert not isinstance(source, LockedHub | LockedRelease) or all(file.member for file in source.files)
    # Unknown sizes are stated as unknown, not guessed.
    assert "not known yet" in preset_table(sources)


def test_the_lock_names_what_the_wan_presets_load() -> None:
    models = {preset: model for model in read_volume_models() for preset in model.presets}
    assert models.keys() == {"wan", "ultra"}
    for preset, model in models.items():
        assert model.repository.startswith("Wan-AI/Wan2.") and model.licence == "Apache-2.0"
        assert {"transformer", "vae", "scheduler", "text_encoder", "tokenizer"} <= set(model.parts)
        assert ("image_encoder" in model.parts) == (preset == "ultra")
        # What finds people and checks pictures is downloaded like that of the other presets.
        names = {file.name for source in files_of(read_lock(), frozenset({preset})) for file in source.files}
        assert {"yolo26m-seg.pt", "yolo26m-pose.pt", "sam2/config.json", "safety_checker/config.json"} <= names
        assert not any(name.startswith(("sd15", "controlnet")) for name in names)


def test_the_documents_table_is_made_from_the_lock() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "gpu.md").read_text(encoding="utf-8")
    told = page.split("<!-- weights -->")[1].split("<!-- /weights -->")[0].strip()
    assert told == preset_table(read_lock(), read_volume_models())
