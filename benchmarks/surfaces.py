"""Shaded surface of a crystal, with a quantity as its colour.

Parallel rays along z end where the amplitude of the rotated crystal first reaches half of its value inside.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from unflat.physics.rotation import rotation_matrix
from unflat.recon.visualization.labels import format_length, round_length
from unflat.recon.visualization.style import add_colour_bar, house_style, new_figure
from unflat.recon.volume import Volume

if TYPE_CHECKING:
    import matplotlib.figure

SIDES = ((0.0, 0.0), (120.0, 20.0), (240.0, -20.0))
"""[degree] Azimuth about y and elevation of each view."""
LEVEL = 0.5
PIXELS, STEPS = 280, 160
SMOOTH = 0.5
"""[voxel] Gaussian on the amplitude, whose gradient gives the normals."""
AROUND = 1.0
"""[voxel] Gaussian by which values inside are averaged for a colour."""
LIGHT = np.array([-0.72, -0.55, -0.42])
"""Direction (z, y, x) of the light source."""


def surfaces(volume: Volume, quantity: str) -> "matplotlib.figure.Figure":
    """Draw the surface from three sides, with shade alone above and in colour below.

    Args:
        volume: Volume with amplitude, support and the quantity, on orthogonal axes.
        quantity: Name of the quantity that gives the colour.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    inside = volume.values["support"] > 0
    most = float(np.percentile(np.abs(volume.values[quantity][inside]), 98)) or 1.0
    unit = next(q.unit for q in volume.quantities if q.name == quantity)
    scale, shown = (1e9, "nm") if unit == "m" else (1.0, unit)
    norm, colours = Normalize(-most * scale, most * scale), colormaps["RdBu_r"]
    reach = _reach(volume, inside)
    with house_style():
        figure = new_figure(7.8, 4.1)
        for i, (azimuth, elevation) in enumerate(SIDES):
            shade, value = _view(volume, quantity, np.deg2rad(azimuth), np.deg2rad(elevation), reach)
            for row, tint in enumerate((np.ones((*shade.shape, 3)), colours(norm(value * scale))[..., :3])):
                axes = figure.add_axes(((0.03 + 2.35 * i) / 7.8, 0.5 - 0.49 * row, 2.3 / 7.8, 0.49))
                axes.imshow(
                    np.where(np.isnan(shade)[..., None], 1.0, tint * shade[..., None]), interpolation="bilinear"
                )
                axes.axis("off")
            if i == 0:
                _draw_scale_bar(axes, reach, volume.length_unit)
        bar = figure.add_axes((6.86 / 7.8, 0.06, 0.1 / 7.8, 0.38))
        label = f"{quantity} ({shown})" if shown not in ("", "1") else quantity
        add_colour_bar(figure, ScalarMappable(norm, colours), bar, label)
    return figure


def _reach(volume: Volume, inside: np.ndarray) -> float:
    """Return half the edge of a cube that holds the crystal in any rotation [m]."""
    offsets = np.argwhere(inside) - np.argwhere(inside).mean(axis=0)
    return 1.06 * float(np.linalg.norm(offsets * np.array(volume.spacing), axis=1).max())


def _view(
    volume: Volume, quantity: str, azimuth: float, elevation: float, reach: float
) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """Compute the shade, NaN beside the crystal, and the quantity on its surface."""
    inside = volume.values["support"] > 0
    amplitude = gaussian_filter(np.asarray(volume.values["amplitude"], np.float64), SMOOTH)
    values = np.where(inside, volume.values[quantity], 0).astype(np.float64)
    values = gaussian_filter(values, AROUND) / np.maximum(gaussian_filter(inside.astype(np.float64), AROUND), 1e-6)
    turn = rotation_matrix((1.0, 0.0, 0.0), elevation) @ rotation_matrix((0.0, 1.0, 0.0), azimuth)
    middle, spacing = np.argwhere(inside).mean(axis=0), np.array(volume.spacing)

    def indices(points: Float[np.ndarray, "3 ..."]) -> Float[np.ndarray, "3 ..."]:
        return np.asarray(np.tensordot(turn.T, points, 1) / spacing[:, None, None] + middle[:, None, None])

    y, x = np.meshgrid(*2 * (np.linspace(-reach, reach, PIXELS),), indexing="ij")
    depths = np.linspace(-reach, reach, STEPS)
    fine = spline_filter(amplitude)
    hit, before = np.full(y.shape, np.nan), np.zeros(y.shape)
    for z, former in zip(depths[1:], depths, strict=False):
        now = map_coordinates(fine, indices(np.stack([np.full_like(y, z), y, x])), order=3, prefilter=False)
        first = np.isnan(hit) & (now >= LEVEL)
        hit[first] = (former + (z - former) * (LEVEL - before) / np.maximum(now - before, 1e-9))[first]
        before = now
    places = indices(np.stack([np.nan_to_num(hit), y, x]))
    slopes = np.stack([map_coordinates(g, places, order=1) for g in np.gradient(amplitude, *spacing)])
    outward = -np.tensordot(turn, slopes, 1)
    outward /= np.maximum(np.linalg.norm(outward, axis=0), 1e-30)
    light = np.tensordot(LIGHT / np.linalg.norm(LIGHT), outward, 1)
    return np.where(np.isnan(hit), np.nan, 0.12 + 0.88 * (0.5 + 0.5 * light) ** 2.2), map_coordinates(
        values, places, order=1
    )


def _draw_scale_bar(axes: object, reach: float, unit: str) -> None:
    """Draw a black scale bar."""
    length = round_length(0.5 * reach)
    pixels = length / (2 * reach) * PIXELS
    text = format_length(length, unit)
    axes.plot([6, 6 + pixels], [PIXELS - 8] * 2, color="black", lw=2, solid_capstyle="butt")  # type: ignore[attr-defined]
    axes.text(6 + pixels / 2, PIXELS - 14, text, ha="center", va="bottom", fontsize=7)  # type: ignore[attr-defined]
