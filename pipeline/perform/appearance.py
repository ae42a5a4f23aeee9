"""The appearance that a generator receives: the one person in a reference picture, and the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance, ReferencePicture
from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.survey import Person
from pipeline.errors import InvalidInput
from pipeline.maths.cutout import refined_mask, without_gaps
from pipeline.models.interfaces import PeopleBackend
from pipeline.perform.body_core import body_core, limb_gaps
from pipeline.perform.nearer_face import with_nearer_face

_SAME_OUTLINE = 0.75
"""Least overlap (IoU) of an alpha channel with the detected person: with less it outlines other things too."""

_DOMINANT = 2.0
"""The new person is so many times as tall as anybody else in a reference picture."""


def find_appearance(
    prompt: str,
    negative_prompt: str,
    reference: NDArray[np.uint8] | None,
    people: PeopleBackend,
    more_references: Sequence[NDArray[np.uint8]] = (),
) -> Appearance:
    """Return the generator's appearance input. Raises ``InvalidInput`` where a reference (H, W, 3 or 4) shows nobody,
    or several people of whom none is by far the largest: bystanders and people on posters are small."""
    if reference is None:
        return Appearance(prompt, negative_prompt)
    fields = ["reference_image_url"]
    if more_references:
        fields = [f"reference_image_urls.{n}" for n in range(len(more_references) + 1)]
    first, *others = (
        _only_person(picture, people, field)
        for picture, field in zip([reference, *more_references], fields, strict=True)
    )
    return Appearance(prompt, negative_prompt, first.picture, first.person, tuple(others))


def _only_person(reference: NDArray[np.uint8], people: PeopleBackend, field: str) -> ReferencePicture:
    people.reset()
    picture = opaque(reference)
    seen = people.find(picture)
    people.reset()
    if not seen:
        raise InvalidInput("nobody was found in the reference picture, which must show one person", field=field)
    person, *others = sorted(seen, key=_height_px, reverse=True)
    if others and _height_px(person) < _DOMINANT * _height_px(others[0]):
        told = f"the reference picture must show one person, and {len(seen)} of similar size were found"
        raise InvalidInput(told, field=field)
    person = with_nearer_face(person, picture, people)
    if reference.shape[2] == 4:
        person = _with_mask(person, reference[..., 3] > 127)
    else:
        person = replace(person, mask=_cut_out(reference, person))
    return ReferencePicture(reference, person)


def _height_px(person: Person) -> float:
    return float(person.box_xyxy[3] - person.box_xyxy[1])


def _cut_out(reference: NDArray[np.uint8], person: Person) -> Mask:
    """Return the outline of a person in a photograph."""
    mask = refined_mask(reference, person.mask)
    core = body_core(person.joints, mask.shape)
    return mask if core is None else without_gaps(reference, mask, core, limb_gaps(person.joints, mask.shape))


def opaque(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composite an RGBA picture over mid gray; RGB (H, W, 3) is returned unchanged."""
    if picture.shape[2] == 3:
        return picture
    alpha = picture[..., 3:].astype(np.float32) / 255.0
    return np.asarray(np.rint(picture[..., :3] * alpha + 128.0 * (1.0 - alpha)), np.uint8)


def _with_mask(person: Person, opaque: Mask) -> Person:
    """Return the person with the outline of an alpha channel (H, W), which knows bags and brims that no detector does.

    Where it outlines more than the person, it only limits their mask.
    """
    _, labels = cv2.connectedComponents(opaque.astype(np.uint8), connectivity=8)
    counts = np.bincount(labels[person.mask & opaque], minlength=2)
    whole = np.asarray(labels == counts.argmax()) if counts.any() else opaque
    overlap = float((whole & person.mask).sum() / max(int((whole | person.mask).sum()), 1))
    return replace(person, mask=whole if overlap > _SAME_OUTLINE else person.mask & opaque)
