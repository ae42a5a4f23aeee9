"""The round-trip tool reports differences, and none where there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import pytest

from benchmarks import round_trip
from pipeline.media.clip import Clip
from pipeline.media.encode import EncodedFile, encode_clip
from tests.support.media import FFV1_SPECS, make_clip, spec

Spoiler = Callable[[Path, Path], None]


def test_clips_come_back_and_others_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "archive" / "deep"
    folder.mkdir(parents=True)
    for of in (spec("cfr"), spec("mov_pcm"), spec("hlg"), *FFV1_SPECS):
        make_clip(folder, replace(of, pts=of.pts[:5]))
    (folder / "notes.txt").write_text("no video")
    assert round_trip.main([str(tmp_path)]) == 0
    assert round_trip.main([str(tmp_path), "--codec", "lossless"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "8 files: 7 ok, 0 DIFFERS, 1 refused, 0 FAILED"
    assert any(line.startswith("refused notes.txt") and "UNSUPPORTED_MEDIA" in line for line in lines)


def remux(source: Path, target: Path, *, sound: bool = True, shift: int = 0, tags: bool = True) -> None:
    with av.open(str(source)) as given, av.open(str(target), "w", format="mp4") as output:
        kept = [stream for stream in given.streams if sound or stream.type != "audio"]
        copies = {stream.index: output.add_stream_from_template(stream) for stream in kept}
        output.metadata.update(given.metadata if tags else {})
        for packet in given.demux(kept):
            if packet.size:
                packet.stream = copies[packet.stream_index]
                packet.pts += shift
                packet.dts += shift
                output.mux(packet)


SPOILED: dict[str, tuple[dict[str, object], str]] = {
    "sound": ({"sound": False}, "streams should be copied"),
    "times": ({"shift": 999}, "time stamps are up to"),
    "tags": ({"tags": False}, "tag title is None"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_difference_is_found(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, said = SPOILED[name]
    plain = make_clip(tmp_path, spec("cfr"))
    folder = tmp_path / "archive"
    folder.mkdir()
    with av.open(str(plain)) as given, av.open(str(folder / "clip.mp4"), "w") as output:
        copies = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
        output.metadata["title"] = "a walk"
        for packet in given.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)

    def spoiled(frames: object, clip: Clip, stem: Path, settings: object) -> EncodedFile:
        made = encode_clip(frames, clip, stem, settings)  # type: ignore[arg-type]
        target = made.path.with_name("spoiled.mp4")
        remux(made.path, target, **arguments)  # type: ignore[arg-type]
        return EncodedFile(target, made.warnings)

    monkeypatch.setattr(round_trip, "encode_clip", spoiled)
    assert round_trip.main([str(folder)]) == 1
    output_lines = capsys.readouterr().out
    assert "DIFFERS clip.mp4" in output_lines and said in output_lines
