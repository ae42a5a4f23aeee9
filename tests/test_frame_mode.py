"""The mode `frame`: one finished frame per segment."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np

from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from tests.support.http_server import http_server
from tests.support.job_runner import WALK, Runner
from tests.support.put_server import put_server


def test_single_frames_are_generated_without_the_whole_clip(tmp_path: Path) -> None:
    runner = Runner(tmp_path, overrides=("segment.count=3",))
    answer = runner.answer({"video_url": str(WALK), "mode": "frame", "end_s": 1.2})
    assert "video_url" not in answer and len(answer["artifacts"]["frame"]) == 3 == len(answer["segments"])
    source = {frame.index: rgb_of(frame) for frame in open_clip(WALK).frames() if frame.index in answer["stills"]}
    for number, name, segment in zip(answer["stills"], answer["artifacts"]["frame"], answer["segments"], strict=True):
        assert segment["start_frame"] <= number < segment["end_frame"]
        picture = cv2.imread(name, cv2.IMREAD_COLOR)
        assert picture is not None
        changed = np.abs(picture[..., ::-1].astype(int) - source[number]).max(axis=2) > 24
        with np.load(WALK.with_name("mask.npz")) as archive:
            old = np.unpackbits(archive["mask"][number], axis=-1, count=640).astype(bool)
        assert changed[old].mean() > 0.5
        assert not changed[cv2.dilate(old.astype(np.uint8), np.ones((61, 61), np.uint8)) == 0].any()


def test_single_frames_are_delivered_as_a_clip_would_be(tmp_path: Path) -> None:
    asked = {"video_url": str(WALK), "mode": "frame", "start_s": 2.0, "end_s": 2.2}
    inline = Runner(tmp_path).answer({**asked, "inline": True})
    assert base64.b64decode(inline["artifacts_base64"]["frame"])[:4] == b"\x89PNG" and "video_base64" not in inline
    with put_server() as server:
        url = f"http://127.0.0.1:{server.port}/frame?Signature=1"
        runner = Runner(tmp_path, "platform", environment={"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"})
        with http_server({"/a.mp4": WALK.read_bytes()}) as clips:
            answer = runner.answer({**asked, "video_url": clips.url("/a.mp4"), "upload_url": url})
        assert answer["artifacts"]["frame"] == url.partition("?")[0]
        assert [each.body[:4] for each in server.received] == [b"\x89PNG"]
    Runner(tmp_path).fails({**asked, "artifacts": ["mask"]}, "INVALID_INPUT", "artifacts")
