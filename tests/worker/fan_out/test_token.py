"""Only the owner of the bucket's key can make a chunk job, and no token of one kind is valid as another."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InvalidInput
from tests.support.job_runner import SECRET, WALK, Runner
from worker.delivery.bucket_settings import Bucket
from worker.fan_out.token import ChunkOrder, ChunkReceipt, read_token, sign, signing_key

BUCKET = Bucket("http://127.0.0.1:9", "AK", "the-secret-key-of-the-bucket", "b")
KEY = signing_key(BUCKET)
SOON = int(time.time()) + 86_400
ORDER = ChunkOrder(
    job="j", expires=SOON, bundle="understudy/fan_out/j/bundle.zip", bundle_sha256="0" * 64, subject=0,
    further="understudy/fan_out/j/orders/0_1_", chunks={3: "understudy/fan_out/j/layers/3.zip"},
    needed={2: ("k", "1" * 64)},
)  # fmt: skip
VARIABLES = {
    "BUCKET_ENDPOINT_URL": "http://127.0.0.1:9",
    "BUCKET_ACCESS_KEY_ID": "AK-of-the-test",
    "BUCKET_SECRET_ACCESS_KEY": BUCKET.secret_access_key,
    "BUCKET_NAME": "bucket",
}


def test_a_signed_token_is_read_back() -> None:
    assert read_token(sign(ORDER, KEY), ChunkOrder, KEY, "chunk") == ORDER


def _changed(token: str, **change: Any) -> str:
    body, _, mac = token.partition(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | change
    return base64.urlsafe_b64encode(json.dumps(said, sort_keys=True).encode()).decode().rstrip("=") + "." + mac


@pytest.mark.parametrize(
    "forged",
    [
        "", ".", "a.b", 5, None, ["x"], {"chunk": 1}, "ü.ü", "x" * 10**6,
        sign(ORDER, signing_key(replace(BUCKET, secret_access_key="another key of another bucket"))),
        sign(ORDER, b""),
        sign(ORDER, KEY)[:-2],
        sign(ORDER, KEY).partition(".")[0] + ".",
        _changed(sign(ORDER, KEY), chunks={"3": "understudy/another/result.mp4"}),
        _changed(sign(ORDER, KEY), subject=1),
        _changed(sign(ORDER, KEY), expires=SOON + 10**6),
    ],
)  # fmt: skip
def test_an_unsigned_token_is_refused(forged: Any) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_token(forged, ChunkOrder, KEY, "chunk")
    assert raised.value.field == "chunk"


def test_a_receipt_is_no_order_and_old_orders_are_over() -> None:
    receipt = ChunkReceipt(job="j", expires=SOON, subject=0, chunk=3, layers="k", sha256="0" * 64)
    with pytest.raises(InvalidInput):
        read_token(sign(receipt, KEY), ChunkOrder, KEY, "chunk")
    old = ORDER.model_copy(update={"expires": int(time.time()) - 1})
    with pytest.raises(InvalidInput, match="has expired"):
        read_token(sign(old, KEY), ChunkOrder, KEY, "chunk")


@pytest.mark.parametrize("environment", [{}, VARIABLES])
def test_a_callers_chunk_job_is_refused_before_anything_is_fetched(environment: dict[str, str], tmp_path: Path) -> None:
    runner = Runner(tmp_path, "platform", environment=environment)
    for asked in ("x", sign(ORDER, b"guessed"), {"bundle": "a"}):
        runner.fails({"chunk": asked}, "INVALID_INPUT", "chunk")
    # Beside a job's own fields it is an unknown field.
    runner.fails({"video_url": "https://example.com/a.mp4", "chunk": "x"}, "INVALID_INPUT", "chunk")


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "no bucket"),
        ({**VARIABLES, "RUNPOD_ENDPOINT_ID": "ep", "RUNPOD_API_KEY": ""}, "RUNPOD_API_KEY"),
        ({**VARIABLES, "RUNPOD_ENDPOINT_ID": "ep", "UNDERSTUDY_FAN_OUT_MAX": "2"}, "at most 2"),
    ],
)
def test_a_job_that_cannot_be_shared_is_refused_before_any_work(
    environment: dict[str, str], told: str, tmp_path: Path
) -> None:
    runner = Runner(tmp_path, environment=environment)
    answer = runner.fails({"video_url": str(WALK), "fan_out": 4}, "INVALID_INPUT", "fan_out")
    assert told in answer["error"] and SECRET not in answer["error"]
    runner.fails({"video_url": str(WALK), "fan_out": 17}, "INVALID_INPUT", "fan_out")
    runner.fails({"video_url": str(WALK), "fan_out": 2, "mode": "frame"}, "INVALID_INPUT", "fan_out")
