"""Fit the figure to people of other ages and builds: `python -m benchmarks.body_types`.

Each person is the figure with a known body (sex, age, weight, muscles) in clothes of the wardrobe, drawn from the front
over a background as a reference picture. The fit gets this picture alone, not the sex. Printed for each: the overlap
(IoU) of fitted and true silhouettes from the front, half turned, from the side and from behind, both as tall, and what
body was found. ``--words`` gives the fit the prompt as well. The bodies are mixtures of the same shapes as the fit's
(but for the sex and the muscles, which it does not determine), so what is measured is how well a front view tells them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.references import first_frame
from conf import compose_settings
from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.arrays import Mask
from pipeline.errors import InvalidInput
from pipeline.models.interfaces import PeopleBackend
from pipeline.models.loaded import load_models
from pipeline.models.mannequin.bodies import BodyType
from pipeline.models.mannequin.mannequin import Mannequin
from pipeline.models.weights.folder import weight_path
from pipeline.perform.appearance import find_appearance

_TURNS = (0.0, 0.125, 0.25, 0.5)
_SIZE_WH = (640, 1000)


@dataclass(frozen=True, slots=True)
class Someone:
    """A person of the benchmark, as a prompt says it."""

    prompt: str
    tuned: bool = False
    """Thresholds were chosen on it."""


PEOPLE = {
    "heavy_man": Someone("a fat man in a red t-shirt and jeans", tuned=True),
    "slim_woman": Someone("a slim woman in a white blouse and black trousers", tuned=True),
    "child": Someone("a girl of 5, 5 years old, in a yellow t-shirt and blue shorts", tuned=True),
    "heavy_woman": Someone("an overweight woman in a green sweater and gray trousers"),
    "thin_man": Someone("a skinny man in a white t-shirt and khaki shorts"),
    "boy": Someone("a boy, 7 years old, in a red sweater and jeans"),
    "chubby_boy": Someone("a chubby boy, 9 years old, in a blue t-shirt and brown shorts"),
    "toddler": Someone("a toddler, 2 years old, in a pink sweater and white trousers"),
    "old_woman": Someone("a plump woman, 80 years old, in a purple sweater and black trousers"),
    "strong_man": Someone("a muscular man in a white t-shirt and black trousers"),
}


def picture_of(prompt: str, background: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[Mask]]:
    """Return a reference picture (H, W, 3), and the person's true silhouettes from ``_TURNS``."""
    true = Mannequin(weight_path("figure.npz"))
    true.prepare(Appearance(prompt))
    layer = true.turned(0.0, _SIZE_WH)
    assert layer.alpha is not None
    behind = cv2.resize(background, _SIZE_WH, interpolation=cv2.INTER_AREA).astype(np.float32)
    share = layer.alpha[..., None].astype(np.float32) / 255
    picture = np.clip(layer.picture * share + behind * (1 - share), 0, 255).astype(np.uint8)
    return picture, [silhouette(true, turn) for turn in _TURNS]


def silhouette(mannequin: Mannequin, turn: float) -> Mask:
    """(H, W) the figure without its shadow."""
    layer = mannequin.turned(2 * np.pi * turn, _SIZE_WH)
    assert layer.alpha is not None
    return np.asarray(layer.alpha > 200)


def overlap(first: Mask, second: Mask) -> float:
    """Intersection over union."""
    return float((first & second).sum() / max(int((first | second).sum()), 1))


def judge(
    prompt: str, words: str, background: NDArray[np.uint8], people: PeopleBackend
) -> tuple[list[float], BodyType]:
    """Return the overlaps from ``_TURNS`` and the body that was found."""
    picture, truth = picture_of(prompt, background)
    fitted = Mannequin(weight_path("figure.npz"))
    fitted.prepare(find_appearance(words, "", picture, people))
    return [
        overlap(silhouette(fitted, turn), true) for turn, true in zip(_TURNS, truth, strict=True)
    ], fitted.person.body


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.body_types", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *PEOPLE], default=[])
    parser.add_argument("--background", type=Path, default=Path("assets/walk_a/plate.mp4"))
    parser.add_argument("--words", action="store_true", help="give the fit the prompt too")
    arguments = parser.parse_args()
    people = load_models(compose_settings("preview", [])).people
    background = first_frame(arguments.background)
    missed = 0
    for name in arguments.names or PEOPLE:
        someone = PEOPLE[name]
        try:
            overlaps, body = judge(someone.prompt, someone.prompt if arguments.words else "", background, people)
        except InvalidInput as error:
            print(f"{name:<12} {error}", flush=True)
            missed += 1
            continue
        missed += overlaps[0] < 0.93
        shown = "  ".join(f"{value:.3f}" for value in overlaps)
        kind = "tuned" if someone.tuned else "judged"
        print(f"{name:<12} {kind:<6} {shown}  {body.age_years:.0f} years, weight {body.weight:+.2f}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
