"""A chunk's inputs, packed and unpacked: the layers equal those of the whole job, byte for byte."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.card_worker import RedBoxPeople, write_clip
from conf import compose_settings
from pipeline.draw_chunk import accept_layers, draw_chunks, layers_path
from pipeline.errors import DownloadFailed
from pipeline.media.decode import open_clip
from pipeline.models.fakes import IdentityGenerator
from pipeline.models.loaded import LoadedModels
from pipeline.perform.sharing import ChunkOffer, ShareChunks
from pipeline.request import JobRequest
from pipeline.run import run_job
from worker.fan_out.bundle import pack, unpack

SETTINGS = compose_settings("preview", ("segment.chunk_seconds=0.5", "segment.count=1"))


def models() -> LoadedModels:
    return LoadedModels(RedBoxPeople(), IdentityGenerator(window_frames=8, conditioning_frames=3))


def test_chunks_drawn_from_the_bundle_have_the_jobs_bytes(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 5)
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[20:80, 40:60] = (220, 20, 20)
    request = JobRequest(clip, tmp_path / "out", start_s=0.5, reference=picture, prompt="who", seed=5)
    offers: list[ChunkOffer] = []

    def share(subject: int) -> ShareChunks:
        def shared(offer: ChunkOffer, *_: object) -> object:
            offers.append(offer)
            return iter(offer.spans)

        return shared  # type: ignore[return-value]

    whole = tmp_path / "whole"
    run_job(request, SETTINGS, models(), whole, share=share)
    [offer] = offers
    # The generator continues from the previous frames: each chunk needs only the one before it.
    assert {index: set(needed) for index, needed in offer.needed.items()} == {0: set(), 1: {0}, 2: {1}, 3: {2}}

    assert not offer.with_plates
    pack(tmp_path / "plates.zip", request, SETTINGS, whole, "code", with_plates=True)
    pack(tmp_path / "bundle.zip", request, SETTINGS, whole, "code", with_plates=False)
    for name, with_plates in (("plates", True), ("bundle", False)):
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            assert not any("layers" in name for name in archive.namelist())
            assert any("plates" in name for name in archive.namelist()) == with_plates
    wanted, settings, workspace = unpack(tmp_path / "bundle.zip", tmp_path / "there", "code")
    assert settings == SETTINGS and wanted.seed == 5 and wanted.prompt == "who" and wanted.start_s == 0.5
    assert wanted.reference is not None and np.array_equal(wanted.reference, picture)
    needed = tmp_path / "needed.zip"
    needed.write_bytes(layers_path(whole, 0, 1).read_bytes())
    accept_layers(workspace, 0, 1, needed)
    opened = open_clip(wanted.video, start_s=wanted.start_s)
    made: dict[int, bytes] = {}

    def in_turn() -> Iterator[int]:
        yield 2
        # The next index is requested when the chunk is finished.
        assert list(made) == [2]
        yield 3

    def drawn(index: int, path: Path) -> None:
        made[index] = path.read_bytes()

    draw_chunks(wanted, settings, models(), workspace, 0, in_turn(), drawn, clip=opened)
    assert made == {index: layers_path(whole, 0, index).read_bytes() for index in (2, 3)}
    assert not layers_path(workspace, 0, 0).exists() and not (workspace / "plates").exists()
    with pytest.raises(ValueError, match="no chunk 4"):
        draw_chunks(wanted, settings, models(), workspace, 0, [4], drawn, clip=opened)


def test_the_bundle_of_another_version_is_refused_and_no_name_leads_out(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 1)
    pack(tmp_path / "bundle.zip", JobRequest(clip, tmp_path), SETTINGS, tmp_path / "nothing", "old", with_plates=False)
    with pytest.raises(DownloadFailed, match="another version"):
        unpack(tmp_path / "bundle.zip", tmp_path / "there", "new")
    with zipfile.ZipFile(tmp_path / "bundle.zip", "a") as archive:
        for name in ("workspace/../../escaped", "/etc/escaped", "workspace/a/../../../escaped"):
            archive.writestr(name, "x")
    unpack(tmp_path / "bundle.zip", tmp_path / "there", "old")
    assert not list(tmp_path.rglob("escaped"))
