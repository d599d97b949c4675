"""Figures and movies show the right values at the right places, in files that other programs open."""

import html
import re
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import imageio.v2 as imageio
import imageio_ffmpeg
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.cli.render import command
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.cell.new_light import predict_image
from unflat.recon.frame import ModelFrame
from unflat.recon.io.model_file import write_model
from unflat.recon.model import Model, ModelQuantity
from unflat.recon.sampled import Quantity
from unflat.recon.visualization import (
    compare_views,
    compare_volumes,
    depth_montage,
    loss_curves,
    orthogonal_slices,
    project,
    save_figure,
    spin_frames,
    write_movie,
    zoom_frames,
    zoom_views,
)
from unflat.recon.visualization.captions import add_caption
from unflat.recon.visualization.labels import format_length, round_length
from unflat.recon.visualization.planes import PlaneSampler, point_of_highest_contrast
from unflat.recon.visualization.projection import view_rotation
from unflat.recon.visualization.style import add_scale_bar, colour_range, new_figure, render_rgb
from unflat.recon.visualization.surface import shade_surface
from unflat.recon.volume import Volume

MEDIUM = 1.337
BEAD = (0.8e-6, -1.1e-6, 1.6e-6)
MICROSCOPE = {"medium_index": MEDIUM, "wavelength": 0.532e-6, "numerical_aperture": 0.65, "illumination_na": 0.6}


def contrast_at(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Contrast of a wide ball with a small bright bead beside its centre."""
    ball = 0.02 * np.exp(-0.5 * (z**2 + y**2 + x**2) / (1.5e-6) ** 2)
    distance = (z - BEAD[0]) ** 2 + (y - BEAD[1]) ** 2 + (x - BEAD[2]) ** 2
    return ball + 0.05 * np.exp(-0.5 * distance / (0.35e-6) ** 2)


@pytest.fixture(scope="module")
def model() -> Model:
    """A model on a voxel grid of 40 × 48 × 56 over 8 × 9.6 × 11.2 µm."""
    shape, edge = (40, 48, 56), 0.2e-6
    high = tuple(n * edge / 2 for n in shape)
    z, y, x = ((np.arange(n) + 0.5) * edge - h for n, h in zip(shape, high, strict=True))
    grid = contrast_at(z[:, None, None], y[:, None], x)[None] / 0.01
    architecture = {"type": "voxels", "version": 1, "shape": list(shape), "outputs": 1, "sign": "any"}
    frame = ModelFrame((-high[0], -high[1], -high[2]), (high[0], high[1], high[2]), (edge, edge, edge), MICROSCOPE)
    quantity = ModelQuantity("refractive_index", "1", "real part of the refractive index", MEDIUM, 0.01)
    return Model(architecture, {"grid": grid.astype(np.float32)}, frame, (quantity,), "cell")


@given(st.sampled_from("zyx"), st.floats(-0.9, 0.9), st.integers(20, 60))
@settings(max_examples=15, deadline=None)
def test_a_plane_holds_the_values_of_the_model(model: Model, axis: str, share: float, size: int) -> None:
    position = share * float(dict(zip("zyx", model.frame.high, strict=True))[axis])
    plane = PlaneSampler(model, size=size)(axis, position)
    down, right = np.meshgrid(plane.down, plane.right, indexing="ij")
    at = {plane.names[0]: down, plane.names[1]: right, axis: np.full_like(down, position)}
    points = np.stack([at[name].ravel() for name in "zyx"], axis=-1)
    np.testing.assert_allclose(plane.values.ravel(), model(points), atol=1e-9)
    # The edges of the image are those of the box, for any number of samples.
    low, high = model.bounds
    index = "zyx".index(plane.names[1])
    assert plane.extent[:2] == pytest.approx((low[index] * 1e6, high[index] * 1e6))


def test_a_volume_and_its_model_have_equal_values(model: Model) -> None:
    volume = model.volume()
    assert volume.background() == pytest.approx(MEDIUM)
    np.testing.assert_allclose(volume.bounds, model.bounds, atol=1e-12)
    inside = [axis[2:-2] for axis in model.isotropic_axes(50)]
    np.testing.assert_allclose(
        volume.sample(*inside), model.sample(*inside), atol=5e-3
    )  # splines, and the model's straight lines
    far = np.array([1.0])
    assert volume.sample(far, far, far)[0, 0, 0] == pytest.approx(MEDIUM)


@given(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5))
@settings(max_examples=12, deadline=None)
def test_a_bead_is_projected_to_its_rotated_position(model: Model, azimuth: float, elevation: float) -> None:
    plane = project(model, azimuth, elevation, size=80)
    row, column = np.unravel_index(int(np.argmax(plane.values)), plane.values.shape)
    _, y, x = view_rotation(azimuth, elevation) @ np.array(BEAD)
    assert plane.down[row] == pytest.approx(y, abs=0.3e-6)
    assert plane.right[column] == pytest.approx(x, abs=0.3e-6)


def test_projections_are_ordered_and_periodic(model: Model) -> None:
    maximum, mean, minimum = (project(model, 0.4, along=a, size=60).values for a in ("maximum", "mean", "minimum"))  # type: ignore[arg-type]
    assert np.all(maximum >= mean - 1e-9)
    assert np.all(mean >= minimum - 1e-9)
    np.testing.assert_allclose(
        project(model, 0.0, size=60).values, project(model, 2 * np.pi, size=60).values, atol=1e-6
    )
    opposite = project(model, np.pi, size=60).values
    np.testing.assert_allclose(project(model, 0.0, size=60).values, opposite[:, ::-1], atol=1e-6)


@given(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8), st.floats(-0.8, 0.8), st.floats(2, 200))
@settings(max_examples=15, deadline=None)
def test_the_centre_of_every_zoom_step_has_the_value_of_the_model(
    model: Model, z: float, y: float, x: float, factor: float
) -> None:
    point = tuple(float(share * h) for share, h in zip((z, y, x), model.frame.high, strict=True))
    expected = model(np.array([point]))[0]
    views = list(zoom_views(model, (point[0], point[1], point[2]), 5, factor=factor, size=33))
    for view in views:
        assert view.values[16, 16] == pytest.approx(expected, abs=1e-7)
    widths = np.array([view.width for view in views])
    np.testing.assert_allclose(widths[:-1] / widths[1:], factor ** (1 / 4), rtol=1e-6)


def test_a_deep_zoom_is_smooth(model: Model) -> None:
    """Differences of neighbouring samples shrink with the field of view: the model has no voxel edges."""
    steps = [np.abs(np.diff(v.values, axis=1)).max() for v in zoom_views(model, BEAD, 4, factor=64, size=64)]
    assert all(later < 0.5 * earlier for earlier, later in pairwise(steps))


def test_a_zoom_finds_the_bead_and_refuses_a_point_outside(model: Model) -> None:
    np.testing.assert_allclose(point_of_highest_contrast(model), BEAD, atol=0.25e-6)
    with pytest.raises(ConfigError, match=r"x = 100 µm, outside the box -5.6 … 5.6 µm"):
        list(zoom_views(model, (0.0, 0.0, 1e-4)))
    with pytest.raises(ConfigError, match="shows nothing"):
        list(zoom_views(model, BEAD, factor=1.0))


def read_by_ffmpeg(movie: Path, folder: Path) -> list[np.ndarray]:
    """Decode all frames by ffmpeg."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run(
        [program, "-v", "error", "-i", movie, "-fps_mode", "passthrough", folder / "frame%03d.png"], check=True
    )
    return [np.asarray(imageio.imread(file)) for file in sorted(folder.glob("frame*.png"))]


@pytest.mark.parametrize("extension", [".gif", ".mp4"])
def test_movies_hold_every_frame_and_are_readable(model: Model, tmp_path: Path, extension: str) -> None:
    reported: list[tuple[int, int]] = []
    movie = tmp_path / f"spin{extension}"
    drawn = list(spin_frames(model, 5, size=97, samples=24))
    write_movie(drawn, movie, total=5, progress=lambda done, total: reported.append((done, total)))
    assert reported == [(i, 5) for i in range(1, 6)]
    assert [file.name for file in tmp_path.iterdir()] == [movie.name]
    read = read_by_ffmpeg(movie, tmp_path)
    assert len(read) == 5
    for before, after in zip(drawn, read, strict=True):
        assert after.shape[:2] == (98, 98)
        assert np.abs(after[..., :3].astype(float) - before).mean() < 6


@pytest.mark.parametrize("extension", [".gif", ".mp4"])
def test_a_movie_on_a_full_disk_gives_one_line(tmp_path: Path, extension: str) -> None:
    code = """
        import resource, signal, sys
        import numpy as np
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        from pathlib import Path
        from unflat.recon.errors import DataError
        from unflat.recon.visualization import write_movie
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
        noise = np.random.default_rng(0).integers(0, 255, (4, 96, 96, 3), np.uint8)
        try:
            write_movie(iter(noise), Path(sys.argv[1]))
        except DataError as error:
            print(error)
            sys.exit(error.status)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / f"spin{extension}")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (3, "")
    assert f"spin{extension}: cannot be written" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_a_movie_is_written_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield np.zeros((96, 96, 3), np.uint8)
        raise DataError("no more")

    with pytest.raises(DataError, match="no more"):
        write_movie(broken(), tmp_path / "zoom.gif")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match=r"use \.gif or \.mp4"):
        write_movie(broken(), tmp_path / "zoom.avi")


def test_zoom_frames_have_one_size(model: Model) -> None:
    frames = list(zoom_frames(model, None, 3, factor=10, size=120))
    assert {frame.shape for frame in frames} == {(120, 120, 3)}
    assert not np.array_equal(frames[0], frames[-1])


def test_each_fit_of_a_run_is_a_line_of_its_own() -> None:
    records = [{"step": i, "loss": 1 / (i + 1), "fit": 1 + i // 5} for i in range(10)]
    lines = loss_curves(records).axes[0].lines
    assert [list(np.asarray(line.get_xdata())) for line in lines] == [list(range(5)), list(range(5, 10))]


def test_every_figure_is_drawn_from_model_and_volume(model: Model, tmp_path: Path) -> None:
    volume = model.volume()
    rng = np.random.default_rng(0)
    views = 1 + 0.1 * rng.normal(size=(3, 20, 30))
    figures = {
        "slices": orthogonal_slices(model, BEAD, size=60, title="A cell"),
        "volume": orthogonal_slices(volume, size=60),
        "montage": depth_montage(model, size=40, title="Depths"),
        "comparison": compare_volumes(volume, model, size=60),
        "views": compare_views(views, views + 0.01, list("012"), marked=[False, True, True], pixel_size=(1e-7, 1e-7)),
        "loss": loss_curves([{"step": i, "loss": 1 / (i + 1), "withheld": 0.5 / (i + 1)} for i in range(60)]),
        "none": loss_curves([]),
    }
    for name, figure in figures.items():
        save_figure(figure, tmp_path / f"{name}.png")
        picture = imageio.imread(tmp_path / f"{name}.png")
        assert min(picture.shape[:2]) > 200
        assert len(np.unique(picture[::3, ::3, :3].astype(int) @ [1, 256, 65536])) > 20
    with pytest.raises(ConfigError, match="at least one depth"):
        depth_montage(model, [])


def test_a_figure_does_not_depend_on_the_users_style(model: Model) -> None:
    import matplotlib

    first = render_rgb(orthogonal_slices(model, size=40))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "green"}):
        second = render_rgb(orthogonal_slices(model, size=40))
        assert matplotlib.rcParams["font.size"] == 30
    np.testing.assert_array_equal(first, second)
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@given(st.floats(1e-9, 1e-2))
def test_scale_bars_have_round_lengths_that_fit(longest: float) -> None:
    length = round_length(longest)
    assert 0.4 * longest <= length <= longest * (1 + 1e-6)
    assert f"{length:.3e}"[:5] in ("1.000", "2.000", "5.000")


def test_the_text_of_a_scale_bar_stays_within_a_small_image() -> None:
    figure = new_figure(1.2, 1.2)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.imshow(np.zeros((30, 20)))
    add_scale_bar(axes, 6e-7, fraction=0.4)
    render_rgb(figure)
    image = axes.get_window_extent()
    for text in axes.texts:
        box = text.get_window_extent()
        assert image.x0 <= box.x0
        assert box.x1 <= image.x1


def test_characters_without_a_font_give_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    figure = new_figure(3, 1)
    add_caption(figure, "\U000f0001 in water, \U000f0002 in air, \U000f0001")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render_rgb(figure)
    (message,) = caplog.messages
    assert "the characters \U000f0001\U000f0002, which" in message


def test_the_colours_of_two_results_hold_both_and_those_of_a_truth_are_its_own(model: Model) -> None:
    volume = model.volume(model.grid())
    stronger = replace(volume, values={n: MEDIUM + 2 * (v - MEDIUM) for n, v in volume.values.items()})
    tops = []
    for names in (("truth", "result"), ("RUN2", "RUN")):
        figure = compare_volumes(volume, stronger, names=names)
        tops.append(figure.axes[0].images[0].get_clim()[1] - MEDIUM)
        arrows = {bar.get_ylabel(): bar._colorbar.extend for bar in figure.axes if hasattr(bar, "_colorbar")}
        assert arrows["refractive index $n$"] == ("max" if names[0] == "truth" else "neither")
    assert tops[1] == pytest.approx(2 * tops[0], rel=0.05)


def test_lengths_are_formatted_in_micrometres_or_nanometres() -> None:
    assert [format_length(v) for v in (2e-6, 2.5e-7, -1.25e-5, 0.0)] == ["2 µm", "250 nm", "−12.5 µm", "0 µm"]


@pytest.mark.parametrize(
    ("name", "unit", "reach", "label", "tick"),
    [
        ("signed_distance", "m", 3e-6, "signed distance (µm)", "−3"),
        ("signed_distance", "m", 4e-8, "signed distance (nm)", "−40"),
        ("strain", "1", 3e-4, "strain ($10^{-6}$)", "−300"),
    ],
)
def test_numbers_of_colour_bars_are_in_a_unit_that_suits_them(
    name: str, unit: str, reach: float, label: str, tick: str
) -> None:
    axis = np.linspace(-1e-6, 1e-6, 5)
    values = np.broadcast_to(np.linspace(-reach, reach, 5)[:, None, None], (5, 5, 5)).copy()
    volume = Volume("shape", axis, axis, axis, {name: values}, (Quantity(name, unit, ""),))
    figure = orthogonal_slices(volume, limits=(-reach, reach), size=96)
    figure.canvas.draw()
    bar = next(axes for axes in figure.axes if axes.get_ylabel() == label)
    assert tick in {text.get_text() for text in bar.get_yticklabels()}


def test_the_medium_has_the_first_colour_and_a_single_bead_is_visible() -> None:
    values = MEDIUM + np.abs(np.random.default_rng(0).normal(size=10_000)) * 0.01
    low, high = colour_range(values, MEDIUM)
    assert low == MEDIUM
    assert MEDIUM < high < values.max()
    single = np.full(100_000, MEDIUM)
    single[7] = 1.4
    assert colour_range(single, MEDIUM) == (MEDIUM, 1.4)
    flat = colour_range(np.full(10, MEDIUM), MEDIUM)
    assert flat[0] < MEDIUM < flat[1]


def test_evanescent_light_and_a_model_without_a_microscope_are_refused(model: Model) -> None:
    with pytest.raises(ConfigError, match=r"NA \(1.2, 0.9\) cannot travel in a medium of index 1.337"):
        predict_image(model, (1.2, 0.9))
    bare = replace(model, frame=ModelFrame(model.frame.low, model.frame.high))
    with pytest.raises(DataError, match="does not tell the wavelength, numerical aperture, medium index"):
        predict_image(bare, (0.1, 0.0))


def test_tilted_light_shifts_the_image_of_a_bead_by_its_defocus(model: Model) -> None:
    """In the plane of focus f the image of a bead at z is at x − (z − f) tan θ."""
    shape, edge, aperture, height = (40, 48, 56), 0.2e-6, 0.3, 2.3e-6
    z, y, x = ((np.arange(n) - (n - 1) / 2) * edge for n in shape)
    bead = np.exp(-0.5 * ((z[:, None, None] - height) ** 2 + y[:, None] ** 2 + x**2) / 0.4e-6**2)
    bead_model = Model(model.architecture, {"grid": bead[None].astype(np.float32)}, model.frame, model.outputs, "cell")

    def centre(na: float, defocus: float) -> float:
        shadow = ((predict_image(bead_model, (0.0, na), defocus=defocus) - 1) ** 2).sum(axis=0)
        return float((np.arange(shape[2]) * shadow).sum() / shadow.sum()) * edge

    slope = aperture / np.sqrt(MEDIUM**2 - aperture**2)
    for defocus in (0.0, -1.2e-6):  # Far enough that the shadow is wider than its bright and dark edges.
        apart = centre(aperture, defocus) - centre(-aperture, defocus)
        assert apart == pytest.approx(-2 * (height - defocus) * slope, rel=0.12)
    assert predict_image(bead_model, (0.0, 0.0)).shape == shape[1:]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-o", "a.png", "--plane", "z=2um"], 0, "wrote"),
        (["-o", "a.png", "--style", "montage", "--plane", "z=1um", "--plane", "z=-1um"], 0, "wrote"),
        (
            ["-o", "a.png", "--style", "projection", "--angle", "30,20", "--range", "1.33:1.4", "--size", "96"],
            0,
            "wrote",
        ),
        (["-o", "a.gif", "--frames", "2", "--size", "96"], 0, "wrote"),
        (["-o", "a.gif", "--style", "zoom", "--centre", "0um,1um,-1um", "--frames", "2", "--size", "96"], 0, "wrote"),
        (["-o", "a.png", "--plane", "q=2um"], 2, "no plane such as z=2um"),
        (["-o", "a.png", "--plane", "z=2s"], 2, "a length is needed"),
        (["-o", "a.png", "--plane", "z=4um", "--size", "96"], 0, "wrote"),
        (["-o", "a.png", "--plane", "z=30um"], 1, "--plane: z = 30 µm, outside the box -4 … 4 µm"),
        (["-o", "a.png", "--centre", "0um,-6um,0um"], 1, "--centre: y = -6 µm, outside the box -4.8 … 4.8 µm"),
        (["-o", "a.png", "--style", "montage", "--plane", "z=-4.1um"], 1, "--plane: z = -4.1 µm, outside the box"),
        (["-o", "a.gif", "--style", "zoom", "--centre", "0um,0um,6um"], 1, "x = 6 µm, outside the box -5.6 … 5.6 µm"),
        (["-o", "a.png", "--centre", "0um,1um"], 2, "3 are needed"),
        (["-o", "a.jpg"], 1, "use .png"),
        (["-o", "a.png", "--style", "spin"], 1, "use .gif or .mp4"),
        (["-o", "a.png", "--style", "light"], 1, "--na"),
        (["-o", "a.png", "--range", "2:1"], 1, "lower value comes first"),
        (["-o", "a.png", "--style", "montage", "--plane", "x=1um"], 1, "planes of z"),
    ],
)
def test_the_command_draws_or_names_the_fault(
    model: Model, tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    write_model(model, tmp_path / "model.h5")
    arguments[1] = str(tmp_path / arguments[1])
    outcome = CliRunner().invoke(command, [str(tmp_path / "model.h5"), *arguments])
    text = outcome.output + str(outcome.exception or "")
    assert outcome.exit_code == status, text
    assert message in text
    assert (tmp_path / Path(arguments[1]).name).exists() == (status == 0)


def test_the_command_keeps_an_existing_file(model: Model, tmp_path: Path) -> None:
    write_model(model, tmp_path / "model.h5")
    (tmp_path / "a.png").write_text("mine")
    outcome = CliRunner().invoke(command, [str(tmp_path / "model.h5"), "-o", str(tmp_path / "a.png")])
    assert isinstance(outcome.exception, ConfigError)
    assert (tmp_path / "a.png").read_text() == "mine"


def test_an_unknown_quantity_is_a_fault_of_the_command_line(model: Model) -> None:
    with pytest.raises(ConfigError, match="no quantity 'nope': there are refractive_index"):
        model.quantity("nope")


@pytest.mark.parametrize("angles", [(0.0, 0.0), (30.0, 55.0), (45.0, 35.0)])
def test_a_rotated_surface_is_visible_as_a_whole(angles: tuple[float, float]) -> None:
    box = np.zeros((20, 24, 28))
    box[:, 1:-1, 2:-2] = 1  # It touches two faces.
    brightness = shade_surface(box, 0.5, view_rotation(*np.radians(angles)))
    assert (brightness < 1).any()
    for edge in (brightness[0], brightness[-1], brightness[:, 0], brightness[:, -1]):
        np.testing.assert_array_equal(edge, 1.0)
    if not any(angles):
        assert (brightness < 1).sum() == 22 * 24


@pytest.mark.parametrize("form", ["svg", "pdf"])
def test_a_figure_for_print_has_text_and_scale_bar_as_vectors(form: str, model: Model, tmp_path: Path) -> None:
    write_model(model, tmp_path / "model.h5")
    path = tmp_path / f"a.{form}"
    words = ["--style", "montage", "--plane", "z=0um", "--plane", "z=1um", "--caption", "A bead of $5 in a 'cell'"]
    done = CliRunner().invoke(command, [str(tmp_path), "-o", str(path), *words])
    assert done.exit_code == 0, done.output
    content = path.read_bytes()
    if form == "pdf":
        assert content.startswith(b"%PDF")
        assert b"/TrueType" in content or b"/Type42" in content or b"/CIDFontType2" in content
    else:
        text = content.decode()
        texts = re.findall(r"<text[^>]*>([^<]+)</text>", text)
        assert "2 µm" in texts  # The scale bar's.
        assert "A bead of $5 in a 'cell'" in [html.unescape(each) for each in texts]
        assert text.count("<image") >= 2
    again = tmp_path / f"b.{form}"
    assert CliRunner().invoke(command, [str(tmp_path), "-o", str(again), *words]).exit_code == 0
    assert again.read_bytes() == content


def test_a_movie_has_its_caption_below_the_frames(model: Model, tmp_path: Path) -> None:
    write_model(model, tmp_path / "model.h5")
    path = tmp_path / "a.mp4"
    options = ["--frames", "2", "--size", "160", "--caption", "Refractive index of a cell with one bead of polystyrene"]
    done = CliRunner().invoke(command, [str(tmp_path), "-o", str(path), *options])
    assert done.exit_code == 0, done.output
    frames = np.stack(read_by_ffmpeg(path, tmp_path))
    assert frames.shape[2] == 160
    assert frames.shape[1] > 160
    assert frames.shape[1] % 2 == 0
    strip = frames[:, 164:].astype(int)
    assert strip.max() > 200  # White text on black.
    assert np.median(strip) < 10
    assert np.abs(strip[0] - strip[1]).max() < 60  # The same below every frame, but for the compression.
