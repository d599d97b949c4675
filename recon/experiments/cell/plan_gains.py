"""Effect of one more view, plane of focus, turn or photon on a cell's measurement."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ....physics.optics.microscope import RIM_TOLERANCE, Illumination
from ...metrics.ewald_caps import Cap, count_caps_at
from ...metrics.frequency_points import ball_points
from ...metrics.missing_cone import Aperture
from ..plan import Gain, PlanNumber
from .caps import axial_resolution
from .geometry import resolution_of
from .light_grid import LightGrid, find_grid
from .linear_posterior import InformationSpectrum, LinearPosterior, relative_error
from .planned_light import PlannedLight, cone_angle, turn_angles

RIM_SHARE = 0.97
"""Aperture of the outermost light that is proposed, over that of the objective: at the rim itself it is vignetted."""
RINGS, ANGLES = (0.0, 0.3, 0.6, 0.8, RIM_SHARE), 12
"""Apertures, over the objective's, and number of angles of the directions from which a further one is chosen."""
TURNS = 24
"""Number of angles of a whole turn from which a further one is chosen."""
WHITE_ERROR = "error of white structure, not of a fit"
"""Title of the error of the linear theory: equal strength at all frequencies, which no specimen has."""
FOCI = (-0.5, -0.25, 0.25, 0.5)
"""Planes of focus, over the depth of the box, from which a further one is chosen."""


@dataclass(frozen=True)
class SeenPart:
    """Part of the ball of frequencies that views show.

    Args:
        aperture: Largest apertures of light and objective.
        tolerance: [1/m] Distance along kz from a cap up to which a frequency is seen.
        caps: Caps of the views.
        points: [1/m] Frequencies spread over the ball.
        is_seen: Mask of those that the views show.
    """

    aperture: Aperture
    tolerance: float
    caps: Sequence[Cap]
    points: Float[np.ndarray, "n 3"]
    is_seen: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, aperture: Aperture, depth: float, caps: Sequence[Cap]) -> "SeenPart":
        """Find the part that caps show of a specimen in a box of a depth [m]."""
        points = ball_points((aperture.illumination_na + aperture.numerical_aperture) / aperture.wavelength)
        is_seen = count_caps_at(points, 0.5 / depth, aperture, caps) > 0
        return cls(aperture, 0.5 / depth, caps, points, is_seen)

    @property
    def share(self) -> float:
        """Share of the ball."""
        return float(self.is_seen.mean())

    def share_with(self, cap: Cap) -> float:
        """Compute the share of the ball with one cap more."""
        added = count_caps_at(self.points[~self.is_seen], self.tolerance, self.aperture, [cap]) > 0
        return self.share + float(np.count_nonzero(added)) / len(self.points)


def candidate_directions(light: PlannedLight) -> Illumination:
    """List directions of light, those of its grid if it has one, at the middle plane of focus of the views."""
    na = light.microscope.numerical_aperture
    angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
    rings = [r * na * np.stack([np.sin(angles), np.cos(angles)], axis=1) for r in RINGS[1:]]
    directions = np.concatenate([np.zeros((1, 2)), *rings])
    if (grid := _grid(light)) is not None:
        directions = grid.nearest(directions)
        directions = directions[np.hypot(*directions.T) <= na * (1 + RIM_TOLERANCE)]
    return Illumination.from_directions(directions, np.full(len(directions), _focus(light)))


def _grid(light: PlannedLight) -> LightGrid | None:
    """Square grid on which the sources of the views lie; None where they lie on none."""
    own = light.illumination
    return find_grid(own.na[own.weights > 0])


def candidate_foci(light: PlannedLight) -> tuple[int, Illumination]:
    """List further planes of focus of the view whose light, as a whole, is nearest to the axis.

    Returns:
        Index of that view, and its light at each plane.
    """
    own = light.illumination
    view = int(np.argmin((own.weights * (own.na**2).sum(axis=-1)).sum(axis=1) / own.weights.sum(axis=1)))
    count = len(FOCI)
    na, weights = (np.repeat(part[view : view + 1], count, axis=0) for part in (own.na, own.weights))
    return view, Illumination(na, weights, _focus(light) + np.array(FOCI) * light.depth)


def _focus(light: PlannedLight) -> float:
    """[m] Middle plane of focus of the views."""
    return float(np.median(light.illumination.defocus))


def gains_of(light: PlannedLight, seen: SeenPart) -> list[Gain]:
    """List the frequencies and the resolution that one more direction, turn, or steeper light would bring."""
    if light.turns:
        return [_gain_of_turn(light, seen)]
    return _gain_of_cap(light, seen) + _gain_of_aperture(light)


def gains_of_spread(light: PlannedLight, posterior: LinearPosterior, spectrum: InformationSpectrum) -> list[Gain]:
    """List the direction, the plane of focus and the photons that lower the error most; none of unknown photons."""
    if (photons := light.photons) is None:
        return []
    before, brighter = (spectrum.determined(posterior.gain(n)) for n in (photons, 2 * photons))
    number = PlanNumber("relative_error", WHITE_ERROR, relative_error(before), "%")
    view, foci = candidate_foci(light)
    several = np.count_nonzero(foci.weights[0]) > 1
    gains = []
    for name, candidates in (("one view more", candidate_directions(light)), ("one focus more", foci)):
        shares = posterior.determined_with(light.illumination, candidates, photons)
        best = int(np.argmax(shares))
        own = candidates.na[best, int(np.argmax(candidates.weights[best]))]
        source = f"light of view {view}" if several and candidates is foci else _direction(own, light)
        change = f"{name}, {source}, focus at {candidates.defocus[best] * 1e6:.2g} um"
        gains.append(Gain(change, number, _changed(number, relative_error(float(shares[best])))))
    gains.append(Gain("twice the photons", number, _changed(number, relative_error(brighter))))
    return sorted(gains, key=lambda gain: gain.after.value)


def _gain_of_cap(light: PlannedLight, seen: SeenPart) -> list[Gain]:
    """Direction of light that fills most of the ball; none where all are there already."""
    directions = candidate_directions(light).na[:, 0]
    directions = directions[np.hypot(*directions.T) <= max(light.aperture.illumination_na, 1e-9) * (1 + RIM_TOLERANCE)]
    number = PlanNumber("seen", "seen", seen.share, "%")
    shares = [seen.share_with(Cap((float(y), float(x)))) for y, x in directions]
    best = int(np.argmax(shares))
    if not shares[best] > seen.share:
        return []
    change = f"the direction that fills most of the ball, {_direction(directions[best], light)}"
    return [Gain(change, number, _changed(number, shares[best]))]


def _gain_of_aperture(light: PlannedLight) -> list[Gain]:
    """Steeper light, up to the rim of the objective."""
    m, own = light.microscope, light.aperture
    steepest = RIM_SHARE * m.numerical_aperture
    if own.illumination_na >= steepest:
        return []
    change = f"light up to n sin(theta) = {steepest:.3g} instead of {own.illumination_na:.3g}"
    axial = PlanNumber("axial_resolution", "axial resolution", axial_resolution(light.acquisition), "m")
    after = resolution_of(m, steepest, False)[0]
    cone = PlanNumber("missing_cone_angle", "half angle of the missing cone", cone_angle(light), "rad")
    angle = float(np.pi / 2 - np.arcsin(steepest / m.medium_index))
    return [Gain(change, axial, _changed(axial, after)), Gain(change, cone, _changed(cone, angle))]


def _gain_of_turn(light: PlannedLight, seen: SeenPart) -> Gain:
    """Further angle about the axis of the turn that fills most of the ball."""
    from scipy.spatial.transform import Rotation

    first = light.acquisition["rotation"][0]
    number = PlanNumber("seen", "seen", seen.share, "%")
    axis, _ = turn_angles(light)
    angles = 2 * np.pi * np.arange(1, TURNS) / TURNS
    y, x = (float(na) for na in light.illumination.na[0, np.argmax(light.illumination.weights[0])])
    turns = [Rotation.from_rotvec(angle * axis).as_matrix() @ first for angle in angles]
    shares = [seen.share_with(Cap((y, x), turn)) for turn in turns]
    best = int(np.argmax(shares))
    change = f"one turn more, by {np.degrees(angles[best]):.3g} deg from the first view"
    return Gain(change, number, _changed(number, shares[best]))


def _direction(na: Float[np.ndarray, " 2"], light: PlannedLight) -> str:
    y, x = np.round(na, 6) + 0.0
    place = "" if _grid(light) is None else ", a place of the light's grid"
    return f"light from n sin(theta) = ({y:.2g}, {x:.2g}) (y, x){place}"


def _changed(number: PlanNumber, value: float) -> PlanNumber:
    return PlanNumber(number.name, number.title, value, number.unit)
