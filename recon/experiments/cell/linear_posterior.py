"""Share of a weak specimen's spectrum that counted photons determine: the posterior of the linear model.

Notation
--------
L, A       depth and area of the box [m, m²]; w_j = j/L
c_uj       Fourier coefficients of the index: n(r) − n_m = Σ c_uj exp(2πi (u·r + w_j z))
σ_n        standard deviation of the index
K          radius of the ball of frequencies that are to be known [1/m]
N, a       photons of an empty pixel in each view, and its area [m²]

To first order in the contrast the spectrum of the image under light along p with the focus at f is Σ_j h_j c_uj with
    h_j = Σ_± ±i 2πL/(λ η±) P± exp(±2πi w± f) sinc((w_j ∓ w±) L),
η± = λη(±u + p)/n_m, w± = η(±u + p) − η(p); the terms are those of the scattered wave and of its conjugate, as in
`physics.optics.born`. With a white prior, E|c|² = σ_n²/(4/3 π K³ L A), and noise of variance a/(N A) a coefficient of
an image, the posterior covariance in units of the prior is (1 + γ HᴴH)⁻¹ with γ = σ_n² N/(4/3 π K³ L a). The mean of
its diagonal over the band, the frequencies that the apertures can show, is the squared relative error of the index
in that band; outside it, in the missing cone, nothing is determined.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float

from ....physics.optics.microscope import RIM_TOLERANCE, Illumination, Microscope
from ...metrics.missing_cone import Aperture, axial_bounds

LATERAL = 13
"""Number of samples of the frequencies along y and x of the whole ball."""
MOST_AXIAL = 401
"""Largest number of coefficients along w: of deeper boxes the middle part stands for all."""
INDEX_CONTRAST = 0.01
"""Standard deviation of the index that is assumed, as of the inside of a cell."""
MANY_PHOTONS = 1e7
"""Photons of a pixel beyond which noise no longer matters: more than a camera collects in an image."""
ENOUGH = 0.9
"""Part of what many photons determine that is enough."""
NOTHING = 1e-6
"""Share determined by many photons below which views determine nothing."""
LEAST_COSINE = 0.03
"""Floor of the cosine of grazing waves, which no objective passes."""


class FrequencyColumn(NamedTuple):
    """One transverse frequency.

    Args:
        u: [1/m] The frequency (y, x).
        weight: Number of coefficients along w that each of the samples stands for.
        w: [1/m] Axial frequencies of the ball.
        in_band: Mask of those that the apertures can show, within half a step.
    """

    u: tuple[float, float]
    weight: float
    w: Float[np.ndarray, " j"]
    in_band: Bool[np.ndarray, " j"]


@dataclass(frozen=True)
class LinearPosterior:
    """Posterior of the coefficients in the band: the frequencies of the ball that the apertures can show.

    Args:
        microscope: Instrument.
        depth: [m] Depth of the box.
        aperture: Largest apertures of light and objective, which bound the band.
    """

    microscope: Microscope
    depth: float
    aperture: Aperture

    @property
    def radius(self) -> float:
        """[1/m] Radius K of the ball."""
        return (self.aperture.illumination_na + self.aperture.numerical_aperture) / self.aperture.wavelength

    @cached_property
    def columns(self) -> tuple[FrequencyColumn, ...]:
        """Columns of the ball along w at transverse frequencies on a grid, one of each pair ±u."""
        axis = np.linspace(-self.radius, self.radius, LATERAL + 2)[1:-1]
        columns = []
        for uy in axis[axis >= -1e-9 * self.radius]:
            for ux in axis:
                half = self.radius**2 - uy**2 - ux**2
                if half <= 0 or (abs(uy) < 1e-9 * self.radius and ux < -1e-9 * self.radius):
                    continue
                order = int(np.sqrt(half) * self.depth)
                most = min(order, MOST_AXIAL // 2)
                w = np.arange(-most, most + 1) / self.depth
                in_band = self._in_band(float(uy), float(ux), w)
                columns.append(FrequencyColumn((float(uy), float(ux)), (2 * order + 1) / len(w), w, in_band))
        return tuple(columns)

    def _in_band(self, uy: float, ux: float, w: Float[np.ndarray, " j"]) -> Bool[np.ndarray, " j"]:
        """Whether the apertures can show axial frequencies at a transverse one, within half a step."""
        (low,), (high,) = axial_bounds(np.array([np.hypot(uy, ux)]), self.aperture)
        half = 0.5 / self.depth
        within = [(s * w + half >= low) & (s * w - half <= high) for s in (1, -1)]
        return np.asarray(within[0] | within[1])

    def gain(self, photons: float) -> float:
        """Compute γ of a number of photons, for the assumed contrast."""
        ball = 4 / 3 * np.pi * self.radius**3
        area = self.microscope.pixel_size[0] * self.microscope.pixel_size[1]
        return float(INDEX_CONTRAST**2 * photons / (ball * self.depth * area))

    def transfer(self, column: FrequencyColumn, light: Illumination) -> Complex[np.ndarray, "view j"]:
        """Compute h_j of every view at one transverse frequency."""
        passes = self.in_pupil(light.na)
        share = np.where(passes, light.weights, 0)
        share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-30)
        ahead, behind = (self._amplitude(sign, column, light) for sign in (1, -1))
        return np.asarray(np.einsum("vs,vsj->vj", share, ahead + np.conj(behind)))

    def in_pupil(self, na: Float[np.ndarray, "*n 2"]) -> Bool[np.ndarray, "*n"]:
        """Whether waves of apertures (y, x) pass the pupil."""
        limit = self.microscope.numerical_aperture * (1 + RIM_TOLERANCE)
        return np.asarray((na**2).sum(axis=-1) <= limit**2)

    def _amplitude(
        self, sign: int, column: FrequencyColumn, light: Illumination
    ) -> Complex[np.ndarray, "view source j"]:
        """Amplitude of the wave that is scattered by ±u, of each source, from each coefficient."""
        n, wavelength = self.microscope.medium_index, self.microscope.wavelength
        scattered = light.na + sign * wavelength * np.array(column.u)
        cosine, incident = (
            np.sqrt(np.maximum(1 - (na**2).sum(axis=-1) / n**2, LEAST_COSINE**2)) for na in (scattered, light.na)
        )
        height = (cosine - incident) * n / wavelength
        strength = 2j * np.pi * self.depth / (wavelength * cosine) * self.in_pupil(scattered)
        phase = np.exp(2j * np.pi * height * light.defocus[:, None])
        # The conjugate of this term sums the coefficients at −w, of which the sinc is real.
        overlap = np.sinc((column.w - sign * height[..., None]) * self.depth)
        return np.asarray((strength * phase)[..., None] * overlap)

    def spectrum(self, light: Illumination) -> "InformationSpectrum":
        """Decompose what views tell of the band into independent combinations of its coefficients."""
        powers, own, total = [], [], 0.0
        for column in self.columns:
            matrix = self.transfer(column, light)
            if len(matrix) <= matrix.shape[1]:
                power, vectors = np.linalg.eigh(matrix @ matrix.conj().T)
                parts = (np.abs(vectors.conj().T @ matrix[:, column.in_band]) ** 2).sum(axis=1)
            else:
                power, vectors = np.linalg.eigh(matrix.conj().T @ matrix)
                parts = power * (np.abs(vectors[column.in_band]) ** 2).sum(axis=0)
            powers.append(np.maximum(power, 0))
            own.append(column.weight * parts)
            total += column.weight * np.count_nonzero(column.in_band)
        return InformationSpectrum(np.concatenate(powers), np.concatenate(own) / total)

    def determined_with(self, light: Illumination, candidates: Illumination, photons: float) -> Float[np.ndarray, " n"]:
        """Compute the share that views determine together with one more, for each candidate."""
        gain = self.gain(photons)
        explained, total = np.zeros(len(candidates.defocus)), 0.0
        for column in self.columns:
            matrix, added = self.transfer(column, light), self.transfer(column, candidates)
            covariance = _posterior_covariance(matrix, gain)
            before = np.count_nonzero(column.in_band) - np.real(np.diagonal(covariance))[column.in_band].sum()
            rows = added @ covariance
            own = np.real(np.sum(rows * added.conj(), axis=1))
            reduction = (np.abs(rows[:, column.in_band]) ** 2).sum(axis=1) / (1 / gain + own)
            explained += column.weight * (before + reduction)
            total += column.weight * np.count_nonzero(column.in_band)
        return np.asarray(explained / total)

    def photons_needed(self, spectrum: "InformationSpectrum") -> float:
        """Find the photons of an empty pixel in each view that determine most of what many photons would.

        Returns:
            The number; NaN where many photons determine nothing.
        """
        if spectrum.determined(self.gain(MANY_PHOTONS)) < NOTHING:
            return math.nan
        logs = np.linspace(0, np.log10(MANY_PHOTONS), 57)
        shares = np.array([spectrum.determined(self.gain(float(10**log))) for log in logs])
        return float(10 ** np.interp(ENOUGH * shares[-1], shares, logs))


def _posterior_covariance(matrix: Complex[np.ndarray, "view j"], gain: float) -> Complex[np.ndarray, "j j"]:
    """Compute (1 + γ HᴴH)⁻¹ in the smaller of the two spaces: for few views it is 1 − Hᴴ(HHᴴ + 1/γ)⁻¹H."""
    views, count = matrix.shape
    adjoint = matrix.conj().T
    if views > count:
        return np.asarray(np.linalg.inv(np.eye(count) + gain * (adjoint @ matrix)))
    return np.asarray(np.eye(count) - adjoint @ np.linalg.solve(matrix @ adjoint + np.eye(views) / gain, matrix))


@dataclass(frozen=True)
class InformationSpectrum:
    """Independent combinations of coefficients that the views of a measurement tell.

    Args:
        powers: Squared gain of each.
        own: Squared gain of the part of each that lies in the band, over the number of coefficients of the band.
    """

    powers: Float[np.ndarray, " k"]
    own: Float[np.ndarray, " k"]

    def determined(self, gain: float) -> float:
        """Compute the share of the band that is determined at γ."""
        return float((gain * self.own / (1 + gain * self.powers)).sum())


def relative_error(share: float) -> float:
    """Relative error of the index from the share of its spectrum that is determined."""
    return float(np.sqrt(max(1 - share, 0.0)))
