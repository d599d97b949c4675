"""Begun fits of simulated specimens: the network's inputs, with all that the physics and its priors leave wrong.

They are those of the command `fit` itself, by multi-slice propagation, some steps long, with its own field, start and
total variation. What a network learns from them holds for the fits that it is to complete.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ....acquisition import Acquisition
from ....optimize.trial import begin_fit
from ..config import CellSettings
from ..likelihood import likelihood
from .inputs import resample
from .instruments import Instrument

STEPS = (50, 50, 100, 200)
"""Lengths of a begun fit: those of the trials of a fit (`recon.optimize.steps`), and of one half way."""
_BATCH = 4
"""Views in a step."""

Images = Float[np.ndarray, "view h w"]
Contrast = Float[np.ndarray, "z y x"]


@dataclass(frozen=True)
class BegunFits:
    """Beginning of the fits of one instrument, which share their compiled programs.

    Args:
        instrument: Instrument as it is described.
        sign: Sign of the specimens that the fits assume, as in ``fit.sign``.
        steps: Number of steps.
        seed: Seed of the fits.
        is_ended: Whether to end early.
        absorbs: Whether the fits find an imaginary index, too.
    """

    instrument: Instrument
    sign: str
    steps: int
    seed: int
    is_ended: Callable[[], bool]
    absorbs: bool = False

    def fit(self, images: Images) -> Contrast | None:
        """Fit one specimen; its contrast on the instrument's lattice, or None where it was to end early."""
        settings = self._settings
        measured = likelihood(settings, self._acquisition(images))
        begun = begin_fit(measured, settings.fit, self.seed, self.steps, self.is_ended)
        return None if self.is_ended() else resample(begun.values[0], self.instrument.lattice.shape)

    @property
    def _settings(self) -> CellSettings:
        settings: CellSettings = CellSettings.model_validate(
            {
                "kind": "cell",
                "seed": self.seed,
                "volume": {"depth": self.instrument.lattice.thickness},
                "physics": {"absorption": self.absorbs},
                "fit": {"sign": self.sign, "withheld": 0.0, "batch": _BATCH},
            }
        )
        return settings

    def _acquisition(self, images: Images) -> Acquisition:
        scope, light = self.instrument.microscope, self.instrument.illumination
        arrays = {
            "images": images,
            "wavelength": np.array(scope.wavelength),
            "numerical_aperture": np.array(scope.numerical_aperture),
            "medium_index": np.array(scope.medium_index),
            "pixel_size": np.asarray(scope.pixel_size),
            "illumination_na": light.na[:, 0],
        }
        return Acquisition("cell", arrays, "simulation")
