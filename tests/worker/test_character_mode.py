"""The mode ``character``: the new person alone, turning, through the worker, without a clip or a generator."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.models.loaded import LoadedModels
from pipeline.report.turntable import FRAMES, SIZE_WH
from pipeline.settings import Settings
from tests.support.job_runner import WALK, Runner
from tests.support.put_server import put_server
from worker.models import ModelKeeper
from worker.output import CharacterAnswer, read_answer
from worker.progress import JobPercent, local_summary

_SUIT = str(Path(__file__).resolve().parents[2] / "assets" / "suit.png")


def _no_generator(settings: Settings, kept: LoadedModels | None) -> LoadedModels:
    raise AssertionError("the mode character loads no generator")


def _runner(folder: Path) -> Runner:
    return Runner(folder, models=ModelKeeper(_no_generator))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> CharacterAnswer:
    raw = _runner(tmp_path_factory.mktemp("shown")).answer({"mode": "character", "reference_image_urls": [_SUIT]})
    answer = read_answer(raw)
    assert isinstance(answer, CharacterAnswer), raw
    return answer


def _stills(answer: CharacterAnswer) -> dict[str, np.ndarray]:
    places = answer.artifacts["character"]
    assert isinstance(places, list)
    return {Path(place).stem.removeprefix("character_"): cv2.imread(place)[..., ::-1] for place in places}


def test_the_person_of_the_picture_turns_once(shown: CharacterAnswer) -> None:
    with av.open(shown.video_url) as film:
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(pictures) == shown.frames == FRAMES and (shown.width, shown.height) == SIZE_WH
    stills = _stills(shown)
    assert list(stills) == ["front", "left", "back", "right"]
    for turn, side in enumerate(stills):
        apart = np.abs(pictures[turn * FRAMES // 4].astype(int) - stills[side]).mean()
        assert apart < 3, side
    # White shirt and skin are seen from the front and not from the back.
    front, back = (
        (stills[side][SIZE_WH[1] // 6 : SIZE_WH[1] // 3, SIZE_WH[0] // 2 - 8 : SIZE_WH[0] // 2 + 8]).mean()
        for side in ("front", "back")
    )
    assert front > back + 15
    assert shown.views == ("front",) and shown.outline_overlap is not None and shown.outline_overlap > 0.95
    assert "fitted to: front" in local_summary(shown)


def test_the_sides_mirror_each_other_in_outline(shown: CharacterAnswer) -> None:
    stills = _stills(shown)
    left, right = (np.abs(stills[side].astype(int) - (224, 226, 230)).max(2) > 40 for side in ("left", "right"))
    mirrored = right[:, ::-1]
    assert (left & mirrored).sum() / (left | mirrored).sum() > 0.85


def test_the_same_request_has_the_same_bytes_and_only_the_video_is_sent_to_a_callers_url(
    shown: CharacterAnswer, tmp_path: Path
) -> None:
    with put_server() as server:
        url = f"http://127.0.0.1:{server.port}/film.mp4?Signature=1"
        runner = Runner(tmp_path, environment={"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"})
        again = read_answer(runner.answer({"mode": "character", "reference_image_url": _SUIT, "upload_url": url}))
        assert isinstance(again, CharacterAnswer)
        assert again.video_url == url.partition("?")[0] and again.artifacts == {}
        assert [each.body for each in server.received] == [Path(shown.video_url).read_bytes()]


def test_a_prompt_dresses_the_person_and_unsupported_words_are_reported(tmp_path: Path) -> None:
    asked = {"mode": "character", "prompt": "a man in a red coat with a unicorn", "inline": True}
    answer = read_answer(_runner(tmp_path).answer(asked))
    assert isinstance(answer, CharacterAnswer)
    assert answer.views == () and answer.outline_overlap is None
    assert any("unicorn" in warning for warning in answer.warnings)
    packed = zipfile.ZipFile(io.BytesIO(base64.b64decode(answer.artifacts_base64["character"])))
    assert len(packed.namelist()) == 4 and answer.video_content_type == "video/mp4"
    front = cv2.imdecode(np.frombuffer(packed.read("character_front.png"), np.uint8), cv2.IMREAD_COLOR)
    coat = front[SIZE_WH[1] // 3, SIZE_WH[0] // 2].astype(int)
    assert coat[2] > coat[0] + 30


def test_a_clip_is_needed_in_all_other_modes_and_refused_in_this_one(tmp_path: Path) -> None:
    runner = _runner(tmp_path)
    runner.fails({"mode": "character", "video_url": str(WALK)}, "INVALID_INPUT", "video_url")
    runner.fails({"mode": "character", "subjects": [{"subject": 0}]}, "INVALID_INPUT", "subjects")
    for mode in ("replace", "frame", "people", "estimate"):
        answer = runner.fails({"mode": mode}, "INVALID_INPUT", "video_url")
        assert "is required" in answer["error"]


def test_a_picture_of_nobody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nobody.png"
    cv2.imwrite(str(path), np.full((200, 200, 3), 128, np.uint8))
    _runner(tmp_path / "job").fails(
        {"mode": "character", "reference_image_url": str(path)}, "INVALID_INPUT", "reference_image_url"
    )


def test_progress_counts_the_turn() -> None:
    assert JobPercent().update("character", 12, 48) == 25.0
