"""Caps of the Ewald sphere: against random scattered waves, against the bounds of all directions, and turned."""

import numpy as np
from scipy.spatial.transform import Rotation

from unflat.physics.optics.patterns import spiral
from unflat.recon.metrics.ewald_caps import Cap, FrequencyBall, count_caps, count_caps_at, highest_frequencies
from unflat.recon.metrics.missing_cone import Aperture, visible_frequencies_at

APERTURE = Aperture(532e-9, 1.333, 0.5, 0.65)
DEPTH = 6e-6


def eta(u: np.ndarray) -> np.ndarray:
    return np.sqrt((1.333 / 532e-9) ** 2 - (u**2).sum(axis=-1))


def test_every_wave_that_passes_the_pupil_is_seen_and_no_other() -> None:
    ball, p = FrequencyBall.of(APERTURE, DEPTH), np.array([0.3, -0.2]) / 532e-9
    seen = count_caps(ball, APERTURE, [Cap((0.3, -0.2))]) > 0
    w, uy, ux = ball.axes
    expected = np.zeros(seen.shape, bool)
    for i, y in enumerate(uy):
        for j, x in enumerate(ux):
            for sign in (1, -1):  # The conjugate of the wave that is scattered the other way.
                q = sign * np.array([y, x]) + p
                if np.hypot(*q) <= 0.65 / 532e-9:
                    height = sign * (eta(q) - eta(p))
                    expected[:, i, j] |= np.abs(w - height) <= 0.5 / DEPTH
    assert np.array_equal(seen, expected)
    assert 0 < ball.share(seen) < 0.1


def test_many_directions_fill_all_that_the_apertures_can_show() -> None:
    ball = FrequencyBall.of(APERTURE, DEPTH)
    caps = [Cap((float(y), float(x))) for y, x in spiral(400, 0.5)]
    seen, band = count_caps(ball, APERTURE, caps) > 0, visible_frequencies_at(ball.axes, APERTURE)
    assert np.mean(seen[band]) > 0.97
    w, uy, ux = ball.axes
    wide = np.logical_or.reduce(
        [visible_frequencies_at((w + s * ball.tolerance, uy, ux), APERTURE) for s in np.linspace(-1, 1, 9)]
    )
    assert not np.any(seen & ~wide)


def test_a_turned_specimen_shows_a_turned_cap() -> None:
    # A quarter turn about y carries z into x; with as many samples along z it permutes them.
    ball = FrequencyBall.of(APERTURE, 24 / FrequencyBall.of(APERTURE, DEPTH).radius)
    assert len({len(axis) for axis in ball.axes}) == 1
    quarter = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    at_rest, turned = (count_caps(ball, APERTURE, [Cap((0.2, 0.1), r)]) for r in (None, quarter))
    # R (w, uy, ux) = (ux, uy, -w): the turned counts at a point are those at rest at that point.
    assert np.array_equal(turned, np.transpose(at_rest, (2, 1, 0))[::-1])


def test_points_of_a_grid_are_counted_as_the_grid() -> None:
    ball = FrequencyBall.of(APERTURE, DEPTH)
    caps = [Cap((0.3, -0.2)), Cap((0.2, 0.1), Rotation.from_rotvec([0.3, 0.8, -0.2]).as_matrix())]
    points = np.stack(np.meshgrid(*ball.axes, indexing="ij"), axis=-1)[::4, ::3, ::3]
    counts = count_caps_at(points.reshape(-1, 3), ball.tolerance, APERTURE, caps)
    agrees = counts.reshape(points.shape[:3]) == count_caps(ball, APERTURE, caps)[::4, ::3, ::3]
    assert agrees.mean() > 0.999  # Rounding at the edge of a cap.
    assert counts.any()


def test_the_highest_frequencies_are_those_of_sampled_waves() -> None:
    angle = np.linspace(0, 2 * np.pi, 361)
    q = np.linspace(0, 0.65 / 532e-9, 61)[:, None, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    q = q.reshape(-1, 2)
    for rotvec in ([0.0, 0.0, 0.0], [0.1, 0.4, -0.2], [0.0, 1.3, 0.0], [0.0, 0.0, 3.0]):
        turn = Rotation.from_rotvec(rotvec).as_matrix()
        p = np.array([0.3, -0.2]) / 532e-9
        own = np.column_stack([eta(q) - eta(p), q - p]) @ turn
        exact = highest_frequencies(APERTURE, [Cap((0.3, -0.2), turn)])
        assert np.allclose(exact, np.abs(own).max(axis=0), rtol=2e-3)
        assert np.all(exact >= np.abs(own).max(axis=0) * (1 - 1e-9))
