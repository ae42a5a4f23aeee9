"""The ultralytics people backend: real loading of a real ``.pt``, and the real heads with random weights."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from supervision import box_iou_batch

from pipeline.errors import PresetUnavailable
from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from pipeline.models.people.yolo import YoloPeople, import_ultralytics, load_yolo, people_of
from pipeline.models.weights.folder import verified_path

_ROOT = Path(__file__).resolve().parents[3]
_WALK = _ROOT / "assets" / "walk_a"


def test_a_pickle_is_loaded_only_where_its_hash_is_the_locks(tiny_weights: Path) -> None:
    real = _ROOT / "weights" / "test" / "yolov8s_people.pt"
    (tiny_weights / "test").mkdir(exist_ok=True)
    shutil.copy(real, tiny_weights / "test" / "yolov8s_people.pt")
    assert verified_path("test/yolov8s_people.pt").is_file()
    with (tiny_weights / "test" / "yolov8s_people.pt").open("ab") as file:
        file.write(b"x")
    with pytest.raises(PresetUnavailable, match=r"models\.lock"):
        verified_path("test/yolov8s_people.pt")
    # Its hash is not known yet, so it is not loaded, whatever it is.
    shutil.copy(real, tiny_weights / "yolo26m-seg.pt")
    with pytest.raises(PresetUnavailable, match=r"models\.lock"):
        YoloPeople("cpu", 0.25)


def test_a_real_pt_finds_the_man() -> None:
    """Boxes of the detector that a package ships, against the truth, through the loading code."""
    model = load_yolo(_ROOT / "weights" / "test" / "yolov8s_people.pt")
    packed = np.load(_WALK / "mask.npz")
    masks = np.unpackbits(packed["mask"], axis=-1, count=int(packed["shape"][2]))
    overlaps = []
    for frame in open_clip(_WALK / "sample.mp4").frames_at([40, 80, 110]):
        mask = np.asarray(masks[frame.index]) > 0
        ys, xs = np.nonzero(mask)
        true = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float64)
        found = model.predict(np.ascontiguousarray(rgb_of(frame)[..., ::-1]), verbose=False, device="cpu")[0]
        overlaps.append(box_iou_batch(true[None], found.boxes.xyxy.numpy().astype(np.float64)).max())
    assert min(overlaps) > 0.7


def test_ultralytics_changes_no_other_library() -> None:
    """In a process of its own: this one has imported it already."""
    script = """
import PIL.Image, cv2
before = (PIL.Image.open, cv2.imread, cv2.imwrite, cv2.getNumThreads())
from pathlib import Path
from pipeline.models.people.yolo import load_yolo
load_yolo(Path("weights/test/yolov8s_people.pt"))
assert (PIL.Image.open, cv2.imread, cv2.imwrite, cv2.getNumThreads()) == before
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def random_backend(tiny_weights: Path, tmp_path: Path) -> YoloPeople:
    """The smallest of each model from ultralytics' own descriptions, saved and loaded as the real ones are."""
    for name, description in (("yolo26m-seg.pt", "yolo26n-seg.yaml"), ("yolo26m-pose.pt", "yolo26n-pose.yaml")):
        torch.manual_seed(1)
        import_ultralytics().YOLO(description).save(tmp_path / name)
    models = load_yolo(tmp_path / "yolo26m-seg.pt"), load_yolo(tmp_path / "yolo26m-pose.pt")
    # An untrained head scores every place about 1e-5.
    return YoloPeople("cpu", 1e-6, models)


def test_the_real_heads_run_batched(random_backend: YoloPeople) -> None:
    pictures = list(np.random.default_rng(1).integers(0, 255, (3, 360, 640, 3), np.uint8))
    found = random_backend.find_batch(pictures)
    assert len(found) == 3 and random_backend.batch_frames > 1 and random_backend.look_back == 0
    assert all(found)
    for person in (person for people in found for person in people):
        assert person.mask.shape == (360, 640) and person.mask.dtype == np.bool_
        assert person.joints.shape == (21, 3) and np.isnan(person.joints[17:, 0]).all()
        assert person.skeleton.shape == (23, 3)
    single = random_backend.find(pictures[0])
    assert len(single) == len(found[0])
    assert not list(Path.cwd().glob("runs*"))


def _result(boxes: list[list[float]], masks: Any = None, keypoints: Any = None) -> Any:
    picture = np.zeros((100, 200, 3), np.uint8)
    return import_ultralytics().engine.results.Results(
        picture,
        path="",
        names={0: "person"},
        boxes=torch.tensor(boxes).reshape(-1, 6),
        masks=None if masks is None else torch.tensor(masks),
        keypoints=None if keypoints is None else torch.tensor(keypoints),
    )


def test_joints_belong_to_the_mask_whose_box_they_share() -> None:
    boxes = [[10.0, 10, 50, 90, 0.9, 0], [120.0, 10, 160, 90, 0.8, 0]]
    masks = np.zeros((2, 100, 200), np.float32)
    masks[0, 10:90, 10:50] = masks[1, 10:90, 120:160] = 1
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, :] = 140, 50, 0.7
    keypoints[0, 3] = 0, 0, 0.01  # not seen
    people = people_of(_result(boxes, masks), _result([[121.0, 9, 161, 91, 0.9, 0]], keypoints=keypoints))
    assert [round(person.score, 2) for person in people] == [0.9, 0.8]
    assert np.isnan(people[0].joints[:, 0]).all()
    assert people[1].joints[0].tolist() == pytest.approx([140, 50, 0.7])
    assert np.isnan(people[1].joints[3, 0]) and np.isnan(people[1].joints[17:, 0]).all()
    assert people[1].skeleton[0].tolist() == [140, 50, 0] and people[1].mask[50, 140] and not people[1].mask[50, 30]
    assert people_of(_result([]), _result([])) == []


def test_a_failing_device_is_reported_as_one() -> None:
    from pipeline.errors import GpuError, OutOfMemory

    for error, told in ((torch.OutOfMemoryError("full"), OutOfMemory), (RuntimeError("CUDA error: gone"), GpuError)):

        def fail(*values: Any, error: Exception = error, **more: Any) -> Any:
            raise error

        failing = SimpleNamespace(predict=fail)
        with pytest.raises(told):
            YoloPeople("cpu", 0.5, (failing, failing)).find(np.zeros((64, 64, 3), np.uint8))
