"""Likelihood of the tiles of a large field of view, and of the whole that they make.

Normalisation, brightness of dark fields, unit of the losses and withheld views are those of the whole, so that
neighbouring tiles agree. The whole is never propagated at once: its images are put together from those of the tiles,
each from the blended specimen in the tile's box, and each pixel from the tile whose middle is nearest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from ...acquisition import Acquisition
from ...model import Model
from ...optimize.likelihood import Batch, Nuisance
from ...optimize.minibatches import map_batches
from .corrections import aberrations_of, corrected_light
from .forward_model import Values
from .geometry import geometry_of_part
from .illumination import incident_wave
from .likelihood import CellLikelihood
from .schema import REFRACTIVE_INDEX
from .tiling import Tiling


@dataclass(frozen=True, eq=False)
class TileLikelihood(CellLikelihood):
    """Likelihood of a tile, in the units of the whole field.

    Args:
        empty_loss: Mean loss of an empty box in the whole field.
        dark_field_gain: Brightness of a dark field's light in the whole field.
        undisturbed: Pixels that light from beyond the tile does not reach; only they validate. None for all.
        corrections: Corrections of the instrument that are known from another tile, and are not fitted.
    """

    empty_loss: float = 1.0
    dark_field_gain: float = 1.0
    undisturbed: Bool[np.ndarray, "h w"] | None = None
    corrections: Mapping[str, np.ndarray] = field(default_factory=dict)

    def batch(self, views: np.ndarray, *, withheld: bool = False) -> Batch:
        """Gather images and conditions of some views, with the known corrections of their light and pupil."""
        batch = super().batch(views, withheld=withheld)
        if withheld and self.undisturbed is not None:
            batch["weights"] = batch.get("weights", np.ones(batch["measured"].shape, np.float32)) * self.undisturbed
        if self.corrections:
            known = {name: jnp.asarray(value) for name, value in self.corrections.items()}
            batch["light"] = corrected_light(batch["light"], known, batch["view"], self.microscope.medium_index)
            batch["aberrations"] = np.tile(np.asarray(aberrations_of(known)), (len(views), 1))
        return batch

    def without_margin(self) -> "TileLikelihood":
        """Return the likelihood of the pixels alone that light from beyond the tile does not reach."""
        if self.undisturbed is None:
            return self
        mask = ~self.undisturbed
        if "mask" in self.acquisition:
            mask = mask | (self.acquisition["mask"] != 0)
        arrays = {**self.acquisition.arrays, "mask": mask.astype(np.uint8)}
        return replace(self, acquisition=replace(self.acquisition, arrays=arrays), undisturbed=None)

    def with_corrections(self, corrections: Mapping[str, np.ndarray]) -> "TileLikelihood":
        """Return the likelihood of the same tile with known corrections, which are then not fitted."""
        refine = self.settings.fit.refine.model_copy(update={"sources": False, "defocus": False, "zernike": 0})
        fit = self.settings.fit.model_copy(update={"refine": refine})
        return replace(self, settings=self.settings.model_copy(update={"fit": fit}), corrections=corrections)


@dataclass(frozen=True, eq=False, kw_only=True)
class TiledLikelihood(CellLikelihood):
    """Likelihood of a large field of view, computed tile by tile.

    Args:
        tiling: Cut of the field.
        tiles: Likelihood of each tile.
    """

    tiling: Tiling
    tiles: tuple[TileLikelihood, ...]

    @classmethod
    def of(cls, whole: CellLikelihood, tiling: Tiling) -> "TiledLikelihood":
        """Cut the likelihood of a whole field into tiles."""
        tiles = tuple(_tile(whole, tiling, number) for number in tiling)
        given = (whole.settings, whole.acquisition, whole.geometry, whole.levels, whole.first_corrections)
        return cls(*given, tiling=tiling, tiles=tiles)

    @property
    def richest(self) -> int:
        """Number of the tile whose images differ most from those of an empty box."""
        return int(np.argmax([_structure(tile) for tile in self.tiles]))

    def as_chosen(self, chosen: CellLikelihood) -> "TiledLikelihood":
        """Return the likelihood under the choices that were made for one tile."""
        settings = self.with_choices(absorbs=chosen.absorbs, sign=chosen.sign).settings
        first = chosen.first_corrections
        tiles = tuple(replace(tile, settings=settings, first_corrections=first) for tile in self.tiles)
        return replace(self, settings=settings, first_corrections=first, tiles=tiles)

    def blend(self, models: Sequence[Model]) -> Model:
        """Blend the models of all tiles."""
        return Model.blend(models, [self.tiling.tile(number, self.frame) for number in self.tiling], self.frame)

    def values_of(self, model: Model) -> Float[np.ndarray, "k z y x"]:
        """Sample a model's contrast on the grid of the whole."""
        background = np.array([quantity.background for quantity in self.quantities], np.float32)
        names = [quantity.name for quantity in self.quantities]
        volume = model.volume(names=names)
        return np.stack([volume.values[name] - value for name, value in zip(names, background, strict=True)])

    def predict_with_gains(
        self, values: Values, nuisance: Nuisance, batch: Batch
    ) -> tuple[Num[Array, "view h w"], Num[Array, " view"]]:
        """Predict the images, or fields, at their brightness in the whole field, which is 1 where it is not fitted."""
        modelled = self._modelled(values, nuisance, batch)
        gains = cast(Array, self.loss_function.gains_of(modelled, batch))
        return modelled * gains[:, None, None], gains

    def losses(self, values: Values, nuisance: Nuisance, batch: Batch) -> Float[Array, " view"]:
        """Loss of each view over the whole field, relative to the mean loss of an empty box."""
        return cast(Array, self.loss_function.losses_of(self._modelled(values, nuisance, batch), batch))

    def losses_of(
        self, values: Values, nuisance: Nuisance, views: Int[np.ndarray, " view"], *, withheld: bool = False
    ) -> Float[np.ndarray, " view"]:
        """Loss of each of some views, one after the other, as a view of the whole field is large."""

        def losses_of_batch(batch: Int[np.ndarray, " batch"]) -> Float[Array, " batch"]:
            return self.losses(values, nuisance, self.batch(batch, withheld=withheld))

        return map_batches(losses_of_batch, views, 1)

    def _modelled(self, values: Values, nuisance: Nuisance, batch: Batch) -> Num[Array, "view h w"]:
        """Put the images together, view after view, from those of the tiles."""
        views = np.asarray(batch["view"])
        whole = np.empty((len(views), *self.geometry.image), self.measured.dtype)
        for number, tile in zip(self.tiling, self.tiles, strict=True):
            inside = _samples(self.tiling, number, self.geometry.lattice.binning)
            part = jnp.asarray(values[(slice(None), slice(None), *inside)])
            core, pixels = self.tiling.core(number), self.tiling.pixels(number)
            own_y, own_x = (slice(c.start - p.start, c.stop - p.start) for c, p in zip(core, pixels, strict=True))
            for i in range(len(views)):
                image = tile.loss_function.modelled(part, nuisance, tile.batch(views[i : i + 1]))
                whole[i][core] = np.asarray(image)[0, own_y, own_x]
        return jnp.asarray(whole)


def _samples(tiling: Tiling, number: int, binning: int) -> tuple[slice, slice]:
    """Samples (y, x) of the whole lattice that a tile covers."""
    y, x = (slice(binning * pixels.start, binning * pixels.stop) for pixels in tiling.pixels(number))
    return y, x


def _tile(whole: CellLikelihood, tiling: Tiling, number: int) -> TileLikelihood:
    """Cut out the images of a tile, and their mask."""
    rows, columns = tiling.pixels(number)
    arrays = {name: array for name, array in whole.acquisition.arrays.items() if name not in ("background", "mask")}
    arrays["field" if whole.is_field else "images"] = whole.measured[:, rows, columns]
    if whole.weights is not None:
        arrays["mask"] = (whole.weights[:, rows, columns] == 0).astype(np.uint8)
    acquisition = replace(whole.acquisition, arrays=arrays, truth=None)
    if whole.is_field:  # The phase of the incident wave is counted from the middle of the tile.
        acquisition = _with_field(acquisition)
    return TileLikelihood(
        whole.settings,
        acquisition,
        geometry_of_part(whole.settings, whole.acquisition, whole.geometry, tiling.shape),
        whole.levels,
        whole.first_corrections,
        first_values=_first_values(whole, tiling, number),
        empty_loss=whole.empty_loss,
        dark_field_gain=whole.dark_field_gain,
        undisturbed=tiling.undisturbed(number),
    )


def _first_values(whole: CellLikelihood, tiling: Tiling, number: int) -> Float[np.ndarray, "k z y x"] | None:
    """Cut out the values that a tile begins with, where those of the whole are given."""
    if whole.first_values is None:
        return None
    inside = _samples(tiling, number, whole.geometry.lattice.binning)
    return whole.first_values[(slice(None), slice(None), *inside)]


def _with_field(acquisition: Acquisition) -> Acquisition:
    """Multiply demodulated fields by their incident waves."""
    fields = acquisition["field"] * incident_wave(acquisition)
    return replace(acquisition, arrays={**acquisition.arrays, "field": fields})


def _structure(tile: TileLikelihood) -> float:
    """Mean square of the amplitudes beyond those of an empty box."""
    weights = 1.0 if tile.weights is None else tile.weights
    if tile.is_field:
        difference = np.abs(tile.measured - 1)
    else:
        difference = np.sqrt(tile.measured) - tile.is_bright.astype(np.float32)[:, None, None]
    return float(np.mean(weights * difference**2))


def seam_numbers(model: Model) -> dict[str, float]:
    """Compare neighbouring tiles in their overlaps, where their fields are blended.

    Returns:
        ``seam_difference``, root-mean-square difference of their refractive index, each place weighted by the product
        of both windows, of the pair that differs most; ``seam_ratio``, the same over the root-mean-square contrast of
        the whole.
    """
    differences = []
    for one, other, tile, neighbour in model.overlaps():
        ends = zip(tile.window, neighbour.window, strict=True)
        box = [(max(a[0], b[0]), min(a[3], b[3])) for a, b in ends]
        z, y, x = one.grid(region=tuple(box)).axes
        weights = np.prod(
            np.meshgrid(*(tile.along(i, a) * neighbour.along(i, a) for i, a in enumerate((z, y, x))), indexing="ij"),
            axis=0,
        )
        squares = (one.sample(z, y, x) - other.sample(z, y, x)) ** 2
        if weights.any():
            differences.append(float(np.sqrt(np.sum(weights * squares) / np.sum(weights))))
    if not differences:
        return {}
    volume = model.volume(names=[REFRACTIVE_INDEX.name])
    contrast = float(np.sqrt(np.mean((volume.main - model.background()) ** 2)))
    return {"seam_difference": max(differences), "seam_ratio": max(differences) / max(contrast, 1e-12)}
