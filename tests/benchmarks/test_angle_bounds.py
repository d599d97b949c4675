"""Bound of the fitted angles, against the Jacobian of the joint fit by automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.angle_bounds import deviations, voxels_of
from unflat.physics.diffraction.far_field import ifftshift3
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.frame_fit import with_positions
from unflat.recon.phase_retrieval.joint_frames import JointFit
from unflat.recon.phase_retrieval.pattern import ideal_point_spread, to_device_pattern

EDGE, COUNTS = 8, 1e6


def test_the_bound_is_that_of_the_joint_fit() -> None:
    z, y, x = np.meshgrid(*[np.arange(2 * EDGE) - EDGE] * 3, indexing="ij")
    fine = ((np.abs(z) <= 2) & (np.abs(y + 0.4 * x) <= 3) & (np.abs(x) <= 2)) * np.exp(0.2j * (z + 0.3 * x * y))
    voxels, along = voxels_of(fine, 2, EDGE, EDGE, 0.2), np.arange(EDGE) - EDGE // 2
    bright = np.ones(EDGE, bool)
    bounds = deviations(voxels, along.astype(float), COUNTS, EDGE, bright)

    density, support = np.zeros((EDGE,) * 3, complex), np.zeros((EDGE,) * 3, np.float32)
    inside = tuple(np.round(voxels.places + EDGE // 2).astype(int))
    density[inside], support[inside] = voxels.values, 1
    density = ifftshift3(density)
    power = np.abs(np.fft.fftn(density)) ** 2
    factor = COUNTS / power.sum()
    weights = np.ones(power.shape, np.float32)
    data = DiffractionData(np.fft.fftshift(power * factor), weights)
    stated = with_positions(to_device_pattern(data, 0.0, 0))
    active, prior = jnp.asarray([1.0, 0, 0, 0]), jnp.ones(4)
    fit = JointFit(jnp.asarray(ifftshift3(support)), ideal_point_spread(), stated, active, prior)
    unknowns = fit.unknowns(jnp.asarray(density * np.sqrt(factor), jnp.complex64), jnp.zeros((EDGE, 4)))
    rows = jax.jit(jax.jacfwd(lambda one: fit.residuals(one)[0].ravel()))(unknowns)
    chosen = np.flatnonzero(ifftshift3(support))
    parts = [np.asarray(part, np.float64).reshape(power.size, -1)[:, chosen] for part in (rows.real, rows.imag)]
    step = float(jnp.max(fit.parts(unknowns._replace(frames=jnp.ones((EDGE, 4))))[1]))
    angles = np.fft.fftshift(np.asarray(rows.frames, np.float64)[..., 0].reshape(power.size, EDGE), axes=1) / step
    jacobian = np.concatenate([*parts, angles], axis=1)
    information = jacobian.T @ jacobian
    information[-EDGE:, -EDGE:] += np.eye(EDGE)
    covariance = np.linalg.pinv(information, rcond=1e-9, hermitian=True)[-EDGE:, -EDGE:]
    lines = np.stack([np.ones(EDGE), np.arange(EDGE)], axis=1)
    rest = np.eye(EDGE) - lines @ np.linalg.pinv(lines)
    np.testing.assert_allclose(bounds, np.sqrt(np.diag(rest @ covariance @ rest.T)), rtol=0.05)


def test_an_expectation_beyond_the_measured_pixels_narrows_the_angles_on_finer_voxels() -> None:
    z, y, x = np.meshgrid(*[np.arange(2 * EDGE) - EDGE] * 3, indexing="ij")
    fine = ((np.abs(z) <= 3) & (np.abs(y) <= 3) & (np.abs(x) <= 2)) * np.exp(0.2j * (z + 0.3 * x * y))
    positions, bright = np.arange(EDGE) - EDGE // 2 + 0.2 * np.sin(np.arange(EDGE)), np.ones(EDGE, bool)
    coarse = deviations(voxels_of(fine, 2, EDGE, EDGE, 0.1), positions, COUNTS, EDGE, bright)
    voxels = voxels_of(fine, 2, EDGE, 10, 0.1)
    free = deviations(voxels, positions, COUNTS, EDGE, bright)
    bound = deviations(voxels, positions, COUNTS, EDGE, bright, np.full((10, 10, 10), 3.0))
    assert coarse.mean() < free.mean()
    assert bound.mean() < free.mean()
