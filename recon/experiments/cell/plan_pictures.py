"""Pictures of the part of Fourier space that a cell's measurement shows."""

import numpy as np
from jaxtyping import Float, Int

from ...metrics.ewald_caps import FrequencyBall
from ...metrics.missing_cone import visible_frequencies_at
from ...visualization.fourier_section import FourierSection, circle
from .planned_light import PlannedLight


def pictures_of(light: PlannedLight, ball: FrequencyBall, counts: Int[np.ndarray, "z y x"]) -> list[FourierSection]:
    """Sections of the ball: kx–kz, and kx–ky."""
    w, uy, ux = ball.axes
    middle = len(uy) // 2
    outlines = {"lateral cut-off in all directions": circle(ball.radius)}
    upright = dict(outlines)
    if not light.turns:
        upright["limit of all directions of the light"] = _bounds(light, ball)
    legend = "number of directions that measure the frequency"
    plane = counts.max(axis=0) if not light.turns else counts[len(w) // 2]
    title = "kx-ky, largest number along kz" if not light.turns else "kx-ky at kz = 0"
    return [
        FourierSection(
            "kx-kz at ky = 0",
            ("kx", "kz"),
            (ux[0], ux[-1], w[0], w[-1]),
            counts[:, middle].astype(np.float64),
            legend,
            upright,
        ),
        FourierSection(title, ("kx", "ky"), (ux[0], ux[-1], uy[0], uy[-1]), plane.astype(np.float64), legend, outlines),
    ]


def _bounds(light: PlannedLight, ball: FrequencyBall) -> Float[np.ndarray, "n 2"]:
    """Outline of all that the apertures can show in the plane of kx and kz."""
    rho = np.linspace(0, ball.radius, 61)
    fine = np.linspace(-ball.radius, ball.radius, 1201)
    seen = visible_frequencies_at((fine, np.zeros(1), rho), light.aperture)[:, 0]
    top = np.array([fine[column].max(initial=0.0) for column in seen.T])
    right = np.stack([rho, top], axis=1)
    return np.concatenate([right, right[::-1] * [1, -1], right * [-1, -1], right[::-1] * [-1, 1]])
