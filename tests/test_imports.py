"""Who may import whom (DESIGN section 2), read from the source of every file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]

PURE = {
    # Values and their schema.
    "datatypes", "errors", "settings", "progress",
    # Maths on arrays.
    "geometry", "smoothing", "blending", "windows", "colors", "grain", "quality", "report_figures", "flow",
    "loose_mask", "framing", "missed", "masks",
    # What lies on the disk: spools, containers, FFV1 files.
    "spool", "chunked_layers", "media", "artifact_video", "checkpoints",
    # Threads that keep the order, and their memory.
    "ahead", "heap",
    # The plugs that backends fill.
    "models.interfaces",
}  # fmt: skip
"""Anybody may import these; they import each other alone."""

STAGES: dict[str, set[str]] = {
    "decode": {"scan"},
    "stabilize": set(),
    "people": {"tracking"},
    "subject": {"body_motion", "linking"},
    "segment": set(),
    "contacts": set(),
    "crop": set(),
    "plate": {"plate_place", "plate_samples", "plate_set", "plate_stack", "registration", "stacking"},
    "controls": set(),
    "generate": {"matte"},
    "color_anchor": set(),
    "temporal": set(),
    "foot_lock": set(),
    "reshake": set(),
    "composite": set(),
    "encode": set(),
}
"""Each stage with the files that are parts of it, which import what it may, and nobody else imports."""

COMPOSERS = {
    "run",
    "finish",
    "artifacts",
    "report",
    "report_moments",
    "report_plots",
    "facts",
    "stills",
    "plug",
    "reference_person",
    "cost",
}
"""They know the order, and so the stages. ``artifacts`` and ``report`` show what ``finish`` made."""

EXCEPTIONS: dict[tuple[str, str], set[str]] = {
    ("composite", "reshake"): {"PlacedLayer"},  # the value that it lays over the plate
    ("encode", "decode"): {"Clip"},  # the type of its argument
    ("job.work", "subject"): {"PointChoice", "SubjectChoice"},  # the request's point, as a value
    ("job.work", "run"): {"JobRequest", "run_job"},  # the one that does the job
    ("job.work", "decode"): {"open_clip"},  # how long a job will take is asked before it begins
    ("job.work", "cost"): {"estimate", "generation_share", "seconds_of_job"},  # asked before it begins, too
    ("job.state", "run"): {"JobRequest"},
    # Whether this worker is fit: its weights are as the lock says, and load.
    ("job.startup", "pipeline.models.weights.lock"): {"LockedFile", "Source", "is_right", "read_lock"},
    ("job.startup", "models.registry"): {"make_people"},
    ("models.weights", "pipeline.models.weights.lock"): {
        "read_lock",
        "sha256_of",
    },  # a pickle is verified before it is loaded
    ("job.startup", "plug"): {"make_plug", "warm_up"},
    ("job.work", "models.registry"): {"make_people"},
    ("job.work", "plug"): {"make_plug"},
    ("job.startup", "models.weights"): {"weights_folder"},
    ("job.deliver", "run"): {"JobResult"},  # the value that it delivers
    ("job.destination", "run"): {"JobResult"},
}
"""Values that cross a border, by name; a function may not."""

OUTSIDE: dict[str, tuple[str, ...]] = {
    "hydra": ("conf",),
    "omegaconf": ("conf",),
    "runpod": ("handler", "job."),
    **dict.fromkeys(
        ("torch", "torchvision", "diffusers", "transformers", "ultralytics", "safetensors", "ai_edge_litert"),
        ("models.",),
    ),
}
"""Packages that only modules with these beginnings import."""


def _modules() -> dict[str, str]:
    """Return the source of every module of the program, by name without ``pipeline.``."""
    files = [_ROOT / "handler.py", *(path for top in ("pipeline", "conf", "builder") for path in _python(_ROOT / top))]
    return {_name(path): path.read_text(encoding="utf-8") for path in files}


def _python(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if path.stat().st_size)


def _name(path: Path) -> str:
    dotted = ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")
    return dotted.removeprefix("pipeline.")


def _imports(source: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name in it or ""), whatever function or block it stands in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield from ((node.module, alias.name) for alias in node.names)


def _internal(module: str, name: str) -> tuple[str, str] | None:
    """Return (module, name) with modules as in ``_modules``, or None for another package's."""
    top, _, rest = module.partition(".")
    if top in ("handler", "conf", "builder"):
        return module, name
    if top != "pipeline":
        return None
    # `from pipeline import spool` names a module where `from pipeline.workspace.masks import X` names a value.
    return (rest, name) if rest else (name or "pipeline", "")


def _may(module: str, target: str) -> bool:
    if target in PURE:
        return True
    if module in PURE:
        return False
    if module in COMPOSERS:
        return not target.startswith(("job.", "models.", "conf", "handler", "builder")) or target == "models.registry"
    for stage, parts in STAGES.items():
        if module == stage or module in parts:
            return target in parts
    if module.startswith("models."):
        return target.startswith("models.")
    if module.startswith("job."):
        return target == "conf" or target.startswith("job.")
    if module == "handler":
        return target == "conf" or target.startswith("job.")
    # builder turns a mesh into the file that models.figure reads, with its names of bones and groups.
    return module.startswith("builder") and target.startswith(("builder", "models."))


def _broken(module: str, source: str) -> list[str]:
    told = []
    for imported, name in _imports(source):
        owners = OUTSIDE.get(imported.partition(".")[0])
        if owners is not None and not module.startswith(owners):
            told.append(f"{module} imports {imported}")
        inside = _internal(imported, name)
        if inside is None:
            continue
        target, value = inside
        if not _may(module, target) and value not in EXCEPTIONS.get((module, target), set()):
            told.append(f"{module} imports {value or 'all'} of {target}")
    return told


@pytest.mark.parametrize("module", sorted(_modules()))
def test_a_module_imports_only_what_it_may(module: str) -> None:
    assert _broken(module, _modules()[module]) == []


def test_every_file_of_the_pipeline_has_its_place_here() -> None:
    placed = PURE | COMPOSERS | set(STAGES).union(*STAGES.values())
    placed_flat = {name for name in placed if "." not in name}
    found = {name for name in _modules() if "." not in name} - {"pipeline", "conf", "builder", "handler"}
    assert found == placed_flat


def test_no_exception_outlives_its_reason() -> None:
    modules = _modules()
    for (module, target), names in EXCEPTIONS.items():
        used = {inside[1] for pair in _imports(modules[module]) if (inside := _internal(*pair)) and inside[0] == target}
        assert used == names, (module, target)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("stabilize", "from pipeline.plate.plate import make_plates"),
        ("stabilize", "def late():\n    import pipeline.survey.people"),
        ("segment", "from pipeline import decode"),
        ("plate", "from pipeline.models.people.blazepose import BlazePosePeople"),
        ("contacts", "from pipeline.plate.registration import align"),
        ("geometry", "from pipeline.survey.camera import smooth_path"),
        ("composite", "from pipeline.finish.reshake import place_layer"),
        ("run", "from pipeline.models.mannequin.mannequin import Mannequin"),
        ("run", "from worker.input import Request"),
        ("run", "import hydra"),
        ("generate", "import torch.nn"),
        ("encode", "from runpod.serverless import start"),
        ("handler", "from ultralytics import YOLO"),
    ],
)
def test_a_broken_rule_is_seen(module: str, line: str) -> None:
    assert len(_broken(module, line)) == 1


def test_preview_needs_no_torch() -> None:
    program = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "diffusers", "transformers", "ultralytics"}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Missing())
import handler
from conf import compose_settings
import worker.answer
from pipeline.models.registry import make_generator, make_people

settings = compose_settings("preview")
make_people(settings.people)
make_generator(settings.generate)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
