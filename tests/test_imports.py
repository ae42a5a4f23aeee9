"""Who may import whom, read from the source of every file: one table of folders."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]

_GROUND = ("pipeline.datatypes", "pipeline.joints", "pipeline.settings", "pipeline.errors", "pipeline.request",
           "pipeline.result", "pipeline.mode_results", "pipeline.runtime", "pipeline.shaped")  # fmt: skip
_BELOW_PASSES = (*_GROUND, "pipeline.maths", "pipeline.media", "pipeline.workspace", "pipeline.models.interfaces")
_LIBRARY = ("pipeline.run", "pipeline.find_people", "pipeline.character", "pipeline.draw_chunk", "pipeline.api",
            "pipeline.estimate", "pipeline.needs")  # fmt: skip

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    # The ground: values, their schema, and the runtime.
    **dict.fromkeys(_GROUND, _GROUND),
    "pipeline.maths": _GROUND,
    "pipeline.media": (*_GROUND, "pipeline.maths"),
    "pipeline.workspace": (*_GROUND, "pipeline.maths"),
    # Models.
    "pipeline.models.interfaces": _GROUND,
    "pipeline.models": (*_GROUND, "pipeline.maths"),
    # The passes know nothing of each other; only the plates are handed on as more than a value.
    "pipeline.survey": _BELOW_PASSES,
    "pipeline.plan": _BELOW_PASSES,
    "pipeline.plate": _BELOW_PASSES,
    "pipeline.perform": (*_BELOW_PASSES, "pipeline.models.loaded", "pipeline.plate.plate_set"),
    "pipeline.scene": (*_BELOW_PASSES, "pipeline.plate.plate_set"),
    "pipeline.finish": (*_BELOW_PASSES, "pipeline.plate.plate_set", "pipeline.scene"),
    "pipeline.report": (*_GROUND, "pipeline.maths", "pipeline.media", "pipeline.workspace.pictures"),
    # The composition.
    "pipeline.estimate": ("pipeline",),
    "pipeline.needs": _GROUND,
    "pipeline.run": ("pipeline",),
    "pipeline.subjects": ("pipeline",),
    "pipeline.find_people": ("pipeline",),
    "pipeline.job_steps": (*_GROUND, "pipeline.media", "pipeline.workspace"),
    "pipeline.character": ("pipeline",),
    "pipeline.draw_chunk": ("pipeline",),
    "pipeline.api": ("pipeline",),
    # Programs around the library.
    "conf": _GROUND,
    "worker": (*_GROUND, *_LIBRARY, "conf", "pipeline.media.clip", "pipeline.media.sandbox",
               "pipeline.models.interfaces", "pipeline.models.loaded", "pipeline.models.weights",
               "pipeline.perform.backends", "pipeline.perform.sharing", "pipeline.perform.windows",
               "pipeline.report.verdicts"),
    "handler": (*_GROUND, "conf", "worker"),
    "builder": ("pipeline.datatypes", "pipeline.shaped", "pipeline.models.weights", "pipeline.models.mannequin",
                "pipeline.models.diffusion.fused"),
    "client": ("pipeline.errors", "pipeline.estimate", "worker"),
    "webpage": (*_GROUND, *_LIBRARY, "conf", "worker", "client", "pipeline.media", "pipeline.report"),
    "app": (*_GROUND, "conf", "worker", "client", "webpage"),
}  # fmt: skip
"""Each room, by the longest matching name, with what it may import besides itself."""

MAY_IMPORT_OUTSIDE: dict[str, tuple[str, ...]] = {
    "hydra": ("conf",),
    "omegaconf": ("conf",),
    "runpod": ("handler", "worker", "client"),
    "gradio": ("webpage", "app"),
    **dict.fromkeys(
        ("torch", "torchvision", "diffusers", "transformers", "ultralytics", "safetensors", "ai_edge_litert"),
        ("pipeline.models",),
    ),
}
"""Packages that only these rooms import."""


def _modules() -> dict[str, str]:
    """Return the source of every module of the program, by its dotted name."""
    files = [_ROOT / "handler.py", _ROOT / "app.py"]
    for top in ("pipeline", "worker", "conf", "builder", "client", "webpage"):
        files += sorted((_ROOT / top).rglob("*.py"))
    return {_name(path): path.read_text(encoding="utf-8") for path in files}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")


def _is_in(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def _room(module: str) -> str | None:
    return max((room for room in MAY_IMPORT if _is_in(module, room)), key=len, default=None)


def _imports(source: str) -> Iterator[str]:
    """Yield every imported module (``from a import b`` as ``a.b``), in whatever function or block."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _broken(module: str, source: str) -> list[str]:
    room = _room(module)
    if room is None:
        return [f"{module} is in no room"]
    broken = []
    for imported in _imports(source):
        top = imported.partition(".")[0]
        owners = MAY_IMPORT_OUTSIDE.get(top)
        if owners is not None and not any(_is_in(module, owner) for owner in owners):
            broken.append(f"{module} imports {imported}")
        if top in {name.partition(".")[0] for name in MAY_IMPORT}:
            allowed = any(_is_in(imported, target) for target in (room, *MAY_IMPORT[room]))
            if not allowed:
                broken.append(f"{module} imports {imported}")
    return broken


@pytest.mark.parametrize("module", sorted(name for name, source in _modules().items() if source.strip()))
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    if module in ("pipeline",):
        return
    assert _broken(module, _modules()[module]) == []


def test_no_room_is_empty() -> None:
    rooms = {_room(module) for module in _modules()}
    assert set(MAY_IMPORT) - rooms == set()


def test_packages_import_each_other_in_no_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for module, source in _modules().items():
        top = module.partition(".")[0]
        arrows.setdefault(top, set()).update(imported.partition(".")[0] for imported in _imports(source))
    tops = {top: {to for to in targets if to in arrows and to != top} for top, targets in arrows.items()}
    while leaves := [top for top, targets in tops.items() if not targets & tops.keys()]:
        for leaf in leaves:
            del tops[leaf]
    assert tops == {}


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("pipeline.survey.camera", "from pipeline.plate.build import make_plates"),
        ("pipeline.survey.camera", "def late():\n    import pipeline.plan.subject"),
        ("pipeline.maths.geometry", "from pipeline.media import decode"),
        ("pipeline.plate.build", "from pipeline.models.people.blazepose import BlazePosePeople"),
        ("pipeline.models.interfaces", "from pipeline.models.registry import make_people"),
        ("pipeline.run", "from worker.input import JobInput"),
        ("pipeline.run", "import hydra"),
        ("pipeline.perform.generate", "import torch.nn"),
        ("pipeline.media.encode", "from runpod.serverless import start"),
        ("pipeline.models.weights.lock", "from builder.fetch_models import main"),
        ("handler", "from ultralytics import YOLO"),
    ],
)
def test_a_broken_import_rule_is_found(module: str, line: str) -> None:
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
from pipeline.models.loaded import load_models

load_models(compose_settings("preview"))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
