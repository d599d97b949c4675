"""Interface between an experiment and the fit: the grid of the specimen, and the loss of each view.

An experiment becomes fittable by an object with these members. A fit is validated on whole views that it never sees
(images of a cell), or on withheld pixels of every view (a crystal's rocking curve, which is one view): the experiment
decides. To withhold pixels, `Likelihood.split` lists the same views as fitted and as withheld, and `Likelihood.batch`
gathers a weight of each pixel, 1 or 0: that of the fitted pixels, or with ``withheld=True`` that of the others.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Int

from ..fields.base import FieldGrid
from ..model import Model

Batch: TypeAlias = dict[str, Any]
"""Measurement and conditions of some views: arrays, and pytrees of them, whose first axis is the view."""
Nuisance: TypeAlias = dict[str, Array]
"""Corrections of the instrument that are fitted besides the field, by name; zero for the instrument as described."""
Weights: TypeAlias = Mapping[str, np.ndarray]
"""Parameters of a field, by name."""


class Split(NamedTuple):
    """Views of the fit and of its validation.

    Args:
        fitted: Views that are fitted.
        withheld: Views that validate the fit: others, or the fitted ones by their withheld pixels; empty for no
            validation.
    """

    fitted: Int[np.ndarray, " fitted"]
    withheld: Int[np.ndarray, " withheld"]


class MetricNames(NamedTuple):
    """Names of a fit's metrics in ``metrics.json``.

    Args:
        fitted: Name of the metric of the fitted views.
        withheld: Name of the metric of the withheld views or pixels.
        initial: Name of the metric of the withheld views or pixels at the initial guess.
    """

    fitted: str
    withheld: str
    initial: str


@runtime_checkable
class LossFunction(Protocol):
    """Loss of views, free of measured numbers: a hashable constant of compiled programs.

    A likelihood may have one as its attribute ``loss_function``, whose losses are then its own. Scans with equal ones
    share their compiled programs; without it, every scan compiles anew.
    """

    def losses(self, values: Float[Array, "k z y x"], nuisance: Nuisance, batch: Batch) -> Float[Array, " view"]:
        """Compute the loss of each view; see `Likelihood.losses`."""
        ...


@runtime_checkable
class Likelihood(Protocol):
    """Measurement of a specimen. Values are physical, relative to the background: n − n_m for a cell.

    A likelihood may also have an attribute ``expected``, a `SpectralPrior` of its first output.
    """

    @property
    def grid(self) -> FieldGrid:
        """Grid of the specimen."""
        ...

    @property
    def scales(self) -> tuple[float, ...]:
        """Physical value of a field's output of 1, for each output; outputs should be of order 1."""
        ...

    @property
    def sign(self) -> str:
        """Sign to which the outputs are constrained: ``any``, ``nonnegative`` or ``nonpositive``."""
        ...

    @property
    def views(self) -> int:
        """Number of views."""
        ...

    @property
    def batch_size(self) -> int:
        """Number of views in a step."""
        ...

    @property
    def metric_names(self) -> MetricNames:
        """Names of the metrics."""
        ...

    @property
    def nuisance_parameters(self) -> dict[str, np.ndarray]:
        """Corrections of the instrument to fit, all zero; in units of their expected size."""
        ...

    def split(self) -> Split:
        """Choose the withheld views, by the config and its seed alone.

        A view that is both fitted and withheld has pixels of both sorts, which `batch` tells apart.
        """
        ...

    def initial_guess(self, views: np.ndarray) -> Float[np.ndarray, "k z y x"] | None:
        """Compute values on the grid to start from, perhaps from some of the views; None to start flat."""
        ...

    def batch(self, views: np.ndarray, *, withheld: bool = False) -> Batch:
        """Gather the measurement of some views: the part to fit, or the part that is withheld.

        The first axis of each array is the view. Where pixels are withheld, the batch holds their weights.
        """
        ...

    def losses(self, values: Float[Array, "k z y x"], nuisance: Nuisance, batch: Batch) -> Float[Array, " view"]:
        """Compute the loss of each view, in an array of shape (views,).

        The loss of a view must not depend on the other views of the batch, which other devices may compute.

        Losses are about 1 for an empty specimen, and of the size of the noise for the true one: the weight of the
        priors follows the mean loss up to ``program.LOSS_LIMIT``.

        The fit compiles it with ``jax.jit``. Constants, such as the matrices of a blur, are prepared beforehand as
        NumPy arrays (in ``__init__`` or a property that is read before): an array of jax that is first computed and
        stored here would be an invalid tracer in the next call.
        """
        ...

    def metric(self, losses: Float[np.ndarray, " view"]) -> float:
        """Compute the metric of some views from their losses; smaller is better."""
        ...

    def model(self, architecture: Mapping[str, Any], weights: list[Weights], provenance: Mapping[str, Any]) -> Model:
        """Make the continuous model of a fitted field, or of an ensemble of them."""
        ...

    def write(
        self,
        folder: Path,
        model: Model,
        values: Float[np.ndarray, "k z y x"],
        nuisance: Nuisance,
        provenance: Mapping[str, Any],
    ) -> dict[str, float]:
        """Write the sampled volume and the predictions beside the model.

        Args:
            folder: Run folder.
            model: The fitted model.
            values: Values of the first member on the grid.
            nuisance: Corrections of the instrument of the first member.
            provenance: Origin of the model, as plain data for JSON.

        Returns:
            Further numbers for ``metrics.json``.
        """
        ...
