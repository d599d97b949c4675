"""Effect of one more view, plane of focus, turn or photon on a cell's measurement."""

import numpy as np
from jaxtyping import Float, Int

from ....physics.optics.microscope import RIM_TOLERANCE, Illumination
from ...metrics.ewald_caps import Cap, FrequencyBall, count_caps
from ..plan import Gain, PlanNumber
from .geometry import resolution_of
from .linear_posterior import LinearPosterior, relative_error
from .planned_light import PlannedLight, axial_resolution, cone_angle

RIM_SHARE = 0.97
"""Aperture of the outermost light that is proposed, over that of the objective: at the rim itself it is vignetted."""
RINGS, ANGLES = (0.0, 0.3, 0.6, 0.8, RIM_SHARE), 12
"""Apertures, over the objective's, and number of angles of the directions from which a further one is chosen."""
TURNS = 24
"""Number of angles of a whole turn from which a further one is chosen."""
FOCI = (-0.5, -0.25, 0.25, 0.5)
"""Planes of focus, over the depth of the box, from which a further one is chosen."""


def _candidates(light: PlannedLight) -> Illumination:
    """List directions in focus, and further planes of focus of the light that is nearest to the axis."""
    na = light.microscope.numerical_aperture
    angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
    rings = [r * na * np.stack([np.sin(angles), np.cos(angles)], axis=1) for r in RINGS[1:]]
    directions = np.concatenate([np.zeros((1, 2)), *rings])
    own = light.illumination.na.reshape(-1, 2)
    nearest = own[np.argmin((own**2).sum(axis=1))]
    focus = float(np.median(light.illumination.defocus))
    foci = focus + np.array(FOCI) * light.depth
    return Illumination.from_directions(
        np.concatenate([directions, np.tile(nearest, (len(foci), 1))]),
        np.concatenate([np.full(len(directions), focus), foci]),
    )


def gains_of(
    light: PlannedLight, ball: FrequencyBall, counts: Int[np.ndarray, "z y x"], posterior: LinearPosterior
) -> list[Gain]:
    """List what one more view, focus or photon would bring."""
    if light.turns:
        return _gains_of_turn(light, ball, counts)
    gains = _gains_of_caps(light, ball, counts) + _gain_of_aperture(light, ball)
    if not light.is_linear or light.photons is None:
        return gains
    candidates, count = _candidates(light), 1 + (len(RINGS) - 1) * ANGLES
    spectrum = posterior.spectrum(light.illumination)
    before = [spectrum.determined(posterior.gain(n)) for n in (light.photons, 2 * light.photons)]
    shares = posterior.determined_with(light.illumination, candidates, light.photons)
    number = PlanNumber("relative_error", "error of the index", relative_error(before[0]), "%")
    own = []
    for first, last, name in ((0, count, "one view more"), (count, len(shares), "one focus more")):
        best = first + int(np.argmax(shares[first:last]))
        change = f"{name}, {_direction(candidates.na[best, 0])}, focus at {candidates.defocus[best] * 1e6:.2g} um"
        own.append(Gain(change, number, _changed(number, relative_error(float(shares[best])))))
    own.append(Gain("twice the photons", number, _changed(number, relative_error(before[1]))))
    return sorted(own, key=lambda gain: gain.after.value) + gains


def _gains_of_caps(light: PlannedLight, ball: FrequencyBall, counts: Int[np.ndarray, "z y x"]) -> list[Gain]:
    """Direction of light that fills most of the ball."""
    directions = _candidates(light).na[: 1 + (len(RINGS) - 1) * ANGLES, 0]
    directions = directions[np.hypot(*directions.T) <= max(light.aperture.illumination_na, 1e-9) * (1 + RIM_TOLERANCE)]
    number = PlanNumber("seen", "seen", ball.share(counts > 0), "%")
    caps = [Cap((float(y), float(x))) for y, x in directions]
    shares = [ball.share((counts > 0) | (count_caps(ball, light.aperture, [cap]) > 0)) for cap in caps]
    best = int(np.argmax(shares))
    change = f"the direction that fills most of the ball, {_direction(directions[best])}"
    return [Gain(change, number, _changed(number, shares[best]))]


def _gain_of_aperture(light: PlannedLight, ball: FrequencyBall) -> list[Gain]:
    """Steeper light, up to the rim of the objective."""
    m, own = light.microscope, light.aperture
    steepest = RIM_SHARE * m.numerical_aperture
    if own.illumination_na >= steepest:
        return []
    change = f"light up to n sin(theta) = {steepest:.3g} instead of {own.illumination_na:.3g}"
    axial = PlanNumber("axial_resolution", "axial resolution", axial_resolution(light), "m")
    after = resolution_of(m, steepest, False)[0]
    cone = PlanNumber("missing_cone_angle", "half angle of the missing cone", cone_angle(light), "rad")
    angle = float(np.pi / 2 - np.arcsin(steepest / m.medium_index))
    return [Gain(change, axial, _changed(axial, after)), Gain(change, cone, _changed(cone, angle))]


def _gains_of_turn(light: PlannedLight, ball: FrequencyBall, counts: Int[np.ndarray, "z y x"]) -> list[Gain]:
    """Further angle about the axis of the first two views that fills most of the ball."""
    from scipy.spatial.transform import Rotation

    rotations = light.acquisition["rotation"]
    number = PlanNumber("seen", "seen", ball.share(counts > 0), "%")
    steps = [Rotation.from_matrix(turn @ rotations[0].T).as_rotvec() for turn in rotations[1:]]
    longest = max(steps, key=np.linalg.norm, default=np.zeros(3))
    axis = longest / max(float(np.linalg.norm(longest)), 1e-12) if np.any(longest) else np.array([0.0, 1.0, 0.0])
    angles = 2 * np.pi * np.arange(1, TURNS) / TURNS
    y, x = light.illumination.na[0, 0]
    shares = []
    for angle in angles:
        cap = Cap((float(y), float(x)), Rotation.from_rotvec(angle * axis).as_matrix() @ rotations[0])
        shares.append(ball.share((counts > 0) | (count_caps(ball, light.aperture, [cap]) > 0)))
    best = int(np.argmax(shares))
    change = f"one turn more, by {np.degrees(angles[best]):.3g} deg from the first view"
    return [Gain(change, number, _changed(number, shares[best]))]


def _direction(na: Float[np.ndarray, " 2"]) -> str:
    return f"light from n sin(theta) = ({na[0] + 0.0:.2g}, {na[1] + 0.0:.2g}) (y, x)"


def _changed(number: PlanNumber, value: float) -> PlanNumber:
    return PlanNumber(number.name, number.title, value, number.unit)
