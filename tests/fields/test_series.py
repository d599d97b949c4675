"""Fields of a series: motion, what the acquisitions share, and the coordinate."""

import jax.numpy as jnp
import numpy as np
import pytest

from unflat.recon.errors import ConfigError, DataError
from unflat.recon.fields.base import Field, grid_axes
from unflat.recon.fields.fourier import Fourier
from unflat.recon.fields.numpy_fields import MOTION
from unflat.recon.fields.pyramid import Pyramid
from unflat.recon.fields.series import SeriesField, motion_of
from unflat.recon.fields.series_start import first_motions
from unflat.recon.fields.voxels import Voxels
from unflat.recon.frame import ModelFrame
from unflat.recon.model import Model, ModelQuantity
from unflat.recon.model_series import ModelSeries
from unflat.recon.series_axis import SeriesAxis, convert_position, parse_position

FIELDS = (
    Pyramid(((4, 4, 5), (5, 6, 7)), 3, 4),
    Voxels((4, 5, 6)),
    Fourier(2, 2, 2, 8, 2, (1,)),
)
AXIS = SeriesAxis("time", "s", (0.0, 10.0, 30.0))
FRAME = ModelFrame((-1e-6, -2e-6, -2e-6), (1e-6, 2e-6, 2e-6))


def drawn(field: SeriesField) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {n: (0.5 * rng.standard_normal(a.shape)).astype(np.float32) for n, a in field.init(0).items()}


def model_of(field: SeriesField, weights: dict[str, np.ndarray]) -> ModelSeries:
    quantity = ModelQuantity("refractive_index", "1", "", 1.33, 0.02)
    models = []
    for number in range(field.count):
        own = {n: a[number] if n in field.spatial.varying else a for n, a in weights.items() if n != MOTION}
        models.append(Model(field.spatial.architecture, own, FRAME, (quantity,), "cell"))
    motion = motion_of(weights[MOTION]) if field.moves else None
    return ModelSeries.join(models, AXIS, field.spatial.varying, motion)


@pytest.mark.parametrize("spatial", FIELDS, ids=lambda field: type(field).__name__)
@pytest.mark.parametrize("moves", [True, False])
def test_the_model_of_an_acquisition_equals_the_fitted_field(spatial: Field, moves: bool) -> None:
    field = SeriesField(spatial, 3, moves)
    weights = drawn(field)
    series, parameters = model_of(field, weights), {name: jnp.asarray(a) for name, a in weights.items()}
    axes = grid_axes((5, 7, 6))
    fitted = np.asarray(field.all_on_grid(parameters, axes))
    half = np.array(FRAME.high)
    for number, model in enumerate(series.at_acquisitions()):
        z, y, x = (scale * axis for scale, axis in zip(half, axes, strict=True))
        np.testing.assert_allclose((model.sample(z, y, x) - 1.33) / 0.02, fitted[number, 0], atol=2e-4)


def test_a_position_between_acquisitions_has_weights_between() -> None:
    field = SeriesField(Voxels((4, 5, 6)), 3, False)
    series = model_of(field, drawn(field))
    points = np.random.default_rng(1).uniform(-1e-6, 1e-6, (9, 3))
    first, second, between = (series.at(position)(points) for position in (0.0, 10.0, 2.5))
    np.testing.assert_allclose(between, 0.75 * first + 0.25 * second, atol=1e-9)
    assert series.at(2.5).attributes["series"] == "time = 2.5 s"


def test_a_specimen_that_moves_swells_and_is_diluted_is_the_same_field_at_rest() -> None:
    axes = grid_axes((16, 32, 32))
    z, y, x = np.meshgrid(*axes, indexing="ij")

    def body(stretch: float, shift: float, contrast: float) -> np.ndarray:
        distance = ((z * stretch) ** 2 + (y * stretch + shift) ** 2 + (x * stretch - 0.1) ** 2) / 0.2
        return contrast * np.exp(-(distance**2))[None]

    values = np.stack([body(1, 0, 1), body(0.9, -0.2, 0.75)]).astype(np.float32)
    alike, motions = first_motions(values)
    np.testing.assert_allclose(motions[1], [0, -0.2, 0, *np.log([0.9, 0.9, 0.9]), 0], atol=0.04)
    np.testing.assert_allclose(alike.max(axis=(1, 2, 3, 4)), 0.875, atol=0.03)  # The median of 1 and 0.75.
    motions[1, 6] = np.log(0.75)
    field = SeriesField(Pyramid(((6, 8, 8), (11, 19, 19)), 1, 0), 2, True)
    fitted = field.fit_to_grid(field.init(0), values, axes, motions)
    parameters = {name: jnp.asarray(a) for name, a in fitted.items()}
    still = [np.asarray(field.at_rest(parameters, number, axes)) for number in (0, 1)]
    assert np.abs(still[0] - still[1]).max() < 0.2 * np.abs(values[0] - values[1]).max()
    np.testing.assert_allclose(np.asarray(field.all_on_grid(parameters, axes)), values, atol=0.06)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.5 s", (12.5, "s")),
        ("2min", (120.0, "s")),
        ("7", (7.0, "")),
        ("25 degC", (298.15, "K")),
        ("1.2 V", (1.2, "V")),
        ("-5 °C", (268.15, "K")),
    ],
)
def test_positions_have_units(text: str, expected: tuple[float, str]) -> None:
    value, unit = parse_position(text)
    assert (pytest.approx(value), unit) == expected


@pytest.mark.parametrize(("value", "unit"), [(float("nan"), "s"), (float("inf"), ""), (3.0, "parsec")])
def test_a_position_of_a_file_is_a_finite_number_of_a_known_unit(value: float, unit: str) -> None:
    with pytest.raises(ValueError, match=r"finite|unknown unit"):
        convert_position(value, unit)


def test_positions_of_many_digits_are_told_apart() -> None:
    axis = SeriesAxis("time", "s", (1732900000.5, 1732900001.0, 1732900003.0))
    assert axis.range == "time = 1732900000.5 s to 1732900003 s"
    assert [axis.parse(axis.describe(position)) for position in axis.positions] == list(axis.positions)
    assert axis.describe(1732900001.25) == "time = 1732900001.25 s"


def test_the_first_and_the_last_acquisition_have_names() -> None:
    assert [AXIS.parse(text) for text in ("first", "last", "time=last")] == [0.0, 30.0, 30.0]


@pytest.mark.parametrize("text", ["time=31s", "-1 s", "temperature=10s", "10 K", "ten", "nan", "5 s degC"])
def test_a_position_outside_or_of_another_sort_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--at"):
        AXIS.locate(AXIS.parse(text))


def test_every_position_within_is_found() -> None:
    assert [AXIS.locate(p) for p in (0, 5, 10, 20, 30)] == [(0, 0.0), (0, 0.5), (1, 0.0), (1, 0.5), (1, 1.0)]


@pytest.mark.parametrize("positions", [(1.0,), (1.0, 1.0), (2.0, 1.0), (0.0, float("nan"))])
def test_an_axis_rises(positions: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="rise"):
        SeriesAxis("time", "s", positions)
