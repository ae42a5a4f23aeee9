"""The new person: the figure shaped and colored after the reference pictures, or in its own plain colors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance, CharacterFit, ReferencePicture
from pipeline.models.mannequin.accessories import with_accessories
from pipeline.models.mannequin.arms_before_body import find_lower_arms
from pipeline.models.mannequin.bare_arms import bares_upper_arms
from pipeline.models.mannequin.beards import beard_share, with_beard
from pipeline.models.mannequin.before_legs import without_thing_before_legs
from pipeline.models.mannequin.bodies import AVERAGE, Bodies, BodyType
from pipeline.models.mannequin.body_fitting import fit_body
from pipeline.models.mannequin.cut_dress import continues_as_dress
from pipeline.models.mannequin.deformation import make_graph, part_shares
from pipeline.models.mannequin.figure import Figure
from pipeline.models.mannequin.fitting import fit_shape, fit_view, with_cloth_and_hair
from pipeline.models.mannequin.hanging import covered_by_hanging, find_hanging, hides_shins
from pipeline.models.mannequin.hats import below_hat, find_hat, without_hat
from pipeline.models.mannequin.hems import with_hems_as_shown
from pipeline.models.mannequin.mesh_colors import MeshColors, sample_grid, with_levels
from pipeline.models.mannequin.outfit import Outfit, outfit_of
from pipeline.models.mannequin.painted import paint_clothes
from pipeline.models.mannequin.painted_skin import paint_skin
from pipeline.models.mannequin.reference import make_view
from pipeline.models.mannequin.sleeve_ends import with_sleeves_as_shown
from pipeline.models.mannequin.stance import sits, with_standing_height
from pipeline.models.mannequin.texture import bake
from pipeline.models.mannequin.things import find_things, with_bags_hanging, with_things, without_things
from pipeline.models.mannequin.trousers import with_spanning_trousers
from pipeline.models.mannequin.unclear_body import is_turned_aside
from pipeline.models.mannequin.upright import with_trunk_upright
from pipeline.models.mannequin.wardrobe import choose_from_words
from pipeline.models.mannequin.worn import with_bare_limbs, with_straight_hems, with_worn

_MIN_OVERLAP = 0.8
"""Least overlap (IoU): below it the figure does not match the picture's person, and colors would land on the wrong
limbs."""
_ORDER = ("front", "back", "left", "right")
_ONE_NOT_LAID = "the figure could not be fitted to the person in every reference picture: those pictures are left out"
_NOT_LAID = "the figure could not be fitted to the person in the reference picture: only plain colors are taken over"
_ARMS_BEFORE = (
    "arms or hands are in front of the body in a reference picture: their surface, and what they hide, is filled in"
)
_ASIDE = "the person in a reference picture is turned aside: the side that is hardly seen is filled in"
_SITS = "the person in the reference picture sits: their standing height is estimated"
_BEFORE_LEGS = "a thing in front of the legs in a reference picture is left out, and what it hides is filled in"
_DRESS = "the reference picture ends above the hem of what is taken for a dress: it ends at the knees"
_NO_FACE = "no reference picture shows the face from the front: the face is the figure's own, in a matching color"
_CUT_OFF = (
    "the reference picture ends above the feet: what is below is the figure's own, "
    "in matching colors where they are known"
)


@dataclass(frozen=True, slots=True, eq=False)
class NewPerson:
    """The figure that the generator draws."""

    figure: Figure
    drawn: NDArray[np.bool_]
    """(F,) which of the figure's triangles are shown."""
    colors: MeshColors
    """Of the drawn triangles, in their order."""
    fit: CharacterFit = field(default_factory=CharacterFit)
    warnings: tuple[str, ...] = ()
    body: BodyType = AVERAGE
    """Of a person fitted to a picture."""


def plain_person(figure: Figure, outfit: Outfit) -> NewPerson:
    """The figure in an outfit: flat colors, with the patterns and openings that its clothes have."""
    share = beard_share(figure, outfit.beard)
    figure = replace(figure, vertices=with_beard(figure, outfit.beard, share))
    worn = with_straight_hems(with_bare_limbs(with_worn(figure, outfit), outfit), outfit)
    worn = with_accessories(worn, outfit)
    drawn = _drawn(worn, outfit)
    fine = _flat_colors(worn, outfit, drawn)
    triangles = worn.triangles[drawn]
    groups = worn.groups[drawn]
    _, weights = sample_grid()
    places = np.einsum("sk,fkd->fsd", weights, worn.vertices[triangles])
    paint_clothes(fine, places, worn, groups, outfit)
    paint_skin(fine, worn, triangles, groups, outfit, np.pad(share, (0, len(worn.vertices) - len(share))))
    return NewPerson(worn, drawn, with_levels(fine, triangles, len(worn.vertices)))


def _flat_colors(figure: Figure, outfit: Outfit, drawn: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(F, S, 3) linear colors of the drawn triangles in an outfit."""
    # Iris and brows are painted by the tint, folds by the baked occlusion (in the light).
    corners = outfit.group_colors()[figure.groups[drawn]][:, None] * figure.tint[figure.triangles[drawn]]
    _, weights = sample_grid()
    return np.einsum("sk,fkc->fsc", weights, corners).astype(np.float32)


def _drawn(figure: Figure, outfit: Outfit) -> NDArray[np.bool_]:
    """(F,) the triangles that an outfit shows."""
    return ~np.isin(figure.groups, sorted(outfit.hidden)) & ~covered_by_hanging(figure)


def make_person(bodies: Bodies, appearance: Appearance) -> NewPerson:
    """Fit and color the figure by the appearance's reference pictures.

    What the prompt says of age, weight and muscles is kept: a picture does not tell it reliably. A picture to which
    the figure cannot be fitted provides only its colors, with a warning.
    """
    outfit = outfit_of(appearance)
    figure = bodies.average
    if appearance.reference is None or appearance.reference_person is None:
        return plain_person(figure, outfit)
    given = [ReferencePicture(appearance.reference, appearance.reference_person), *appearance.more_references]
    shown = [view for each in given if (view := make_view(each.picture, each.person)) is not None]
    uncovered = [without_thing_before_legs(view) for view in shown]
    shown = [view for view, _ in uncovered]
    is_seated = any(sits(view) for view in shown)
    views = [with_trunk_upright(with_standing_height(view), figure) for view in shown]
    # Width and lengths come from a view across the shoulders, depth from the side.
    views.sort(key=lambda view: _ORDER.index(view.view))
    if not views:
        return replace(plain_person(figure, outfit), warnings=(_NOT_LAID,))
    if find_lower_arms(views[0]).hides_forearms:
        outfit = replace(outfit, long_sleeves=not bares_upper_arms(views[0]))
    hat = find_hat(views[0])
    body = views[0] if hat is None else without_hat(views[0], hat)
    cloth = find_hanging(body)
    if cloth is not None and hides_shins(cloth, body):
        outfit = replace(outfit, long_legs=False)
    is_dress = continues_as_dress(body)
    if is_dress:
        in_one = {**outfit.colors, "lower": outfit.colors["upper"]}
        outfit = replace(outfit, hanging="knee", long_legs=False, colors=in_one)
    fitted = fit_body(bodies, body, choose_from_words(appearance.prompt).body, _drawn(figure, outfit))
    figure = with_bare_limbs(bodies.of(fitted), outfit)
    shaped = figure
    if body.view in ("front", "back"):
        shaped = with_cloth_and_hair(fit_shape(figure, body), body)
    if is_dress:
        shaped = with_straight_hems(with_worn(shaped, outfit), outfit)
    drawn = _drawn(shaped, outfit)
    fitted_body, first = fit_view(shaped, body, drawn, reshape=True)
    things = find_things(first)
    if things:
        body = without_things(body, things)
        if np.isfinite(body.cut_row):
            views[0] = without_things(views[0], things)
        fitted_body, first = fit_view(shaped, body, drawn, reshape=True)
    shaped = with_spanning_trousers(fitted_body, figure) if outfit.long_legs else fitted_body
    shaped = with_hems_as_shown(shaped, first, drawn)
    shaped = with_sleeves_as_shown(shaped, first, drawn)
    for view in views[1:]:
        if view.view in ("left", "right"):
            shaped, _ = fit_view(shaped, view, drawn, reshape=True)
    shaped = with_things(shaped, body, things, hat)
    drawn = _drawn(shaped, outfit)
    # A hat's height is none of the person's.
    views[0] = replace(views[0], height_px=body.height_px)
    shares = part_shares(shaped)
    graph = make_graph(shaped, shares)
    laid = [fit_view(shaped, view, drawn, reshape=False, graph=graph)[1] for view in views]
    if hat is not None:
        laid[0] = replace(laid[0], reference=below_hat(views[0], hat))
    good = [each for each in laid if each.overlap >= _MIN_OVERLAP]
    if not good:
        plain = plain_person(bodies.average, outfit)
        return replace(plain, fit=CharacterFit(overlap=laid[0].overlap), warnings=(_NOT_LAID,))
    flat = _flat_colors(shaped, outfit, drawn)
    warnings = () if len(good) == len(given) else (_ONE_NOT_LAID,)
    if all(np.isfinite(each.reference.cut_row) for each in good):
        warnings = (*warnings, _CUT_OFF)
    if is_dress:
        warnings = (*warnings, _DRESS)
    if any(found for _, found in uncovered):
        warnings = (*warnings, _BEFORE_LEGS)
    if not any(each.reference.view == "front" for each in good):
        warnings = (*warnings, _NO_FACE)
    if any(find_lower_arms(each.reference).before_body for each in good):
        warnings = (*warnings, _ARMS_BEFORE)
    if all(is_turned_aside(each.reference) for each in good):
        warnings = (*warnings, _ASIDE)
    if is_seated:
        warnings = (*warnings, _SITS)
    fit = CharacterFit(tuple(each.reference.view for each in good), laid[0].overlap)
    colors = bake(shaped, shares, drawn, good, flat)
    return NewPerson(with_bags_hanging(shaped, body), drawn, colors, fit, warnings, fitted)
