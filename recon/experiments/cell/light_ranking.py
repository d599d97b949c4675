"""Ranking of descriptions of the light: eight orientations, both signs of the focus, by linear theory.

Light from the opposite side, with the focus reversed where there are several, explains the images as well by a specimen
of the opposite contrast: descriptions come in such pairs, whose residuals are equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ....physics.optics.microscope import Illumination
from .forward_model import CellForwardModel
from .light_description import AXES, Description
from .light_names import CLEAR_ERRORS, CLEAR_RATIO
from .linear_test import LinearTest

FEWEST_VIEWS = 6
"""Bright fields below which nothing is compared."""
_OPPOSITE = (2, 3, 0, 1, 5, 4, 7, 6)
"""Orientation with the opposite directions of each."""


@dataclass(frozen=True)
class Ranked:
    """Descriptions that explain the images equally well, and how well.

    Args:
        descriptions: One, or two that linear theory does not tell apart.
        misfits: Squared residual of each view, of which the mean is about 1 where nothing is explained.
    """

    descriptions: tuple[Description, ...]
    misfits: Float[np.ndarray, " view"]

    @property
    def residual(self) -> float:
        """Residual of views that are predicted from the others, over that of an empty box."""
        return float(np.sqrt(self.misfits.mean()))

    def relative_to(self, other: "Ranked") -> float:
        """Residual over another one."""
        return self.residual / max(other.residual, 1e-12)

    def errors_below(self, other: "Ranked") -> float:
        """Standard errors, over the views, by which the squared residual is smaller than another."""
        difference = other.misfits - self.misfits
        spread = float(difference.std(ddof=1)) / np.sqrt(len(difference))
        return float(difference.mean() / max(spread, 1e-12))

    def is_clearly_below(self, other: "Ranked") -> bool:
        """Whether the residual is smaller, more than by chance."""
        return self.residual < CLEAR_RATIO * other.residual and self.errors_below(other) > CLEAR_ERRORS


def linear_test(model: CellForwardModel) -> LinearTest | None:
    """Prepare the test; None for complex fields, turning specimens, too few bright fields, or blank ones."""
    bright = np.flatnonzero(model.is_bright)
    if model.is_field or "rotation" in model.acquisition or len(bright) < FEWEST_VIEWS:
        return None
    light, planes = model.illumination, model.geometry.lattice.planes
    chosen = Illumination(light.na[bright], light.weights[bright], light.defocus[bright])
    images = model.measured[bright]
    if model.weights is not None:
        images = np.where(model.weights[bright] > 0, images, 1)
    test = LinearTest.of_images(images, model.microscope, chosen, (float(planes[0]), float(planes[-1])))
    return test if np.any(test.spectra) else None


def rank(test: LinearTest) -> list[Ranked]:
    """Rank all descriptions, the best first; those that are the same light are left out."""
    has_foci = float(np.ptp(test.light.defocus)) > 0
    done: list[Description] = []
    ranking: list[Ranked] = []
    for orientation in range(len(AXES)):
        for reverses in (False, True) if has_foci else (False,):
            description = Description(orientation, reverses)
            if description in done or any(_is_same(test, description, other) for other in done):
                continue
            opposite = Description(_OPPOSITE[orientation], reverses != has_foci)
            pair = [description] if _is_same(test, description, opposite) else [description, opposite]
            done += pair
            ranking.append(Ranked(tuple(pair), test.under(description.light(test.light)).misfits()))
    return sorted(ranking, key=lambda ranked: ranked.residual)


def described_among(ranking: Sequence[Ranked]) -> Ranked:
    """Find the light as it is described."""
    return next(ranked for ranked in ranking if Description() in ranked.descriptions)


def _is_same(test: LinearTest, one: Description, other: Description) -> bool:
    """Whether two descriptions give the same light."""
    a, b = one.light(test.light), other.light(test.light)
    return np.allclose(a.na, b.na, atol=1e-9) and np.allclose(a.defocus, b.defocus, atol=1e-12)


def light_ranking_numbers(model: CellForwardModel) -> dict[str, float]:
    """Compare the described light of a fit with its orientations, in numbers for ``metrics.json``.

    Returns:
        ``light_ratio``, residual of the best description over that of the described light; ``light_errors``, standard
        errors by which it is smaller; ``light_orientation`` and ``light_focus_reversed``, which it is. Empty where that
        cannot be compared.
    """
    test = linear_test(model)
    if test is None:
        return {}
    ranking = rank(test)
    described, best = described_among(ranking), ranking[0]
    errors = 0.0 if best is described else best.errors_below(described)
    first = Description() if best is described else best.descriptions[0]
    numbers = {"light_ratio": best.relative_to(described), "light_errors": errors}
    numbers |= {"light_orientation": float(first.orientation), "light_focus_reversed": float(first.reverses_focus)}
    return numbers


def shifted(test: LinearTest, shift: Float[np.ndarray, " 2"]) -> Ranked:
    """Test the light with a numerical aperture added to all its directions."""
    return Ranked((), test.under(replace(test.light, na=test.light.na + shift)).misfits())
