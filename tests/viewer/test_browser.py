"""The page of the view in a real browser: colours against the model, gestures, keys, links, news of runs."""

import base64
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from unflat.recon.frame import ModelFrame
from unflat.recon.model import DRAWS, Model, ModelQuantity
from unflat.recon.runs.contents import fingerprint_path
from unflat.recon.viewer.api import Api
from unflat.recon.viewer.catalog import Catalog
from unflat.recon.viewer.server import PAGE, ViewServer
from unflat.recon.visualization.projection import view_rotation

from .builders import voxel_series, write_run

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install 'unflat[test]'")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
if CHROMIUM is None or DRIVER is None:
    pytest.skip("needs chromium and chromedriver: apt install chromium chromium-driver", allow_module_level=True)

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from .browser_page import Page  # noqa: E402

LOW, HIGH = (-3e-6, -4e-6, -5e-6), (3e-6, 4e-6, 5e-6)
CENTRE, RADIUS = np.array([0.5e-6, -1e-6, 1.5e-6]), 2e-6
"""[m] Sphere of the model (z, y, x), away from the centre of the box on each axis."""
MEDIUM, CONTRAST = 1.337, 0.05


def sphere_model() -> Model:
    """Three draws of a sphere with a soft edge, of slightly different radii."""
    shape = (36, 48, 60)
    axes = [low + (np.arange(n) + 0.5) * (high - low) / n for low, high, n in zip(LOW, HIGH, shape, strict=True)]
    distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.meshgrid(*axes, indexing="ij"), CENTRE, strict=True)))
    members = [
        {"grid": (1 / (1 + np.exp((distance - share * RADIUS) / 0.1e-6)))[None].astype(np.float32)}
        for share in (0.9, 1.0, 1.1)
    ]
    architecture = {"type": "voxels", "version": 1, "shape": list(shape), "outputs": 1, "sign": "any", "members": DRAWS}
    frame = ModelFrame(LOW, HIGH, (0.2e-6, 0.2e-6, 0.2e-6), {"medium_index": MEDIUM})
    quantity = ModelQuantity("refractive_index", "1", "real part of the refractive index", MEDIUM, CONTRAST)
    return Model.ensemble(architecture, members, frame, (quantity,), "cell", {})


@pytest.fixture(scope="module")
def model() -> Model:
    return sphere_model()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    """Folder of runs with one in it."""
    folder = tmp_path_factory.mktemp("view") / "runs"
    write_run(folder / "sphere", model)
    return folder


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[ViewServer]:
    server = ViewServer(Api(Catalog([runs])))
    thread = server.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    words = ["headless=new", "window-size=1100,780", "force-device-scale-factor=1", "disable-dev-shm-usage"]
    words += ["disable-background-networking", "disable-component-update", "disable-sync", "disable-quic"]
    words += ["enable-unsafe-swiftshader", "disable-extensions", "no-first-run"]
    words += ["no-sandbox"] if os.geteuid() == 0 else []
    for word in words:
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def first_page(driver: Any, server: ViewServer) -> Page:
    """The page as it opens."""
    page = Page(driver, server.url)
    page.open()
    page.start = page.view
    return page


@pytest.fixture
def page(first_page: Page, driver: Any) -> Iterator[Page]:
    """The page in the view with which it opened; whatever a test does, the browser's console has no error."""
    first_page.js("unflat.side.measure.toggle(false)")
    first_page.set(**{**first_page.start, "scale": 0, "view": None, "point": None})
    yield first_page
    errors = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


@pytest.fixture
def series_page(driver: Any, first_page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of a series, in a tab of its own."""
    own, folder = driver.current_window_handle, write_run(tmp_path_factory.mktemp("series") / "RUN", voxel_series())
    server = ViewServer(Api(Catalog([folder])))
    thread = server.start()
    driver.switch_to.new_window("tab")
    page = Page(driver, server.url)
    page.open()
    yield page
    driver.close()
    driver.switch_to.window(own)
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_a_slider_goes_over_a_series(series_page: Page) -> None:
    page, series = series_page, voxel_series()
    slider = "unflat.side.controls.at"
    assert page.js(f"[{slider}.min, {slider}.max, {slider}.value]") == ["0", "30", "30"]
    assert_picture_is_the_model(page, "z", series.at(30.0))
    page.js(f"({slider}.value = 12, {slider}.dispatchEvent(new Event('input')))")
    page.settle()
    assert page.view["at"] == 12
    assert page.js("unflat.side.controls.atText.textContent") == "time = 12 s"
    for panel in ("z", "y", "x"):
        assert_picture_is_the_model(page, panel, series.at(12.0))
    page.driver.refresh()  # The address holds the position.
    page.settle()
    assert page.view["at"] == 12
    assert page.js("unflat.session.source().at") == 12


def colours(values: np.ndarray, low: float, high: float, name: str = "inferno") -> np.ndarray:
    """Colours of values, as matplotlib gives them."""
    return np.round(matplotlib.colormaps[name](np.clip((values - low) / (high - low), 0, 1))[:, :3] * 255)


def random_pixels(image: np.ndarray, count: int = 60, seed: int = 0) -> np.ndarray:
    """Pixels (column, row) of an image, at random among those that are not clear."""
    rows, columns = np.nonzero(image[..., 3])
    chosen = np.random.default_rng(seed).choice(len(rows), count, replace=False)
    return np.stack([columns[chosen], rows[chosen]], axis=1)


def assert_picture_is_the_model(page: Page, panel: str, model: Model) -> None:
    """Compare pixels of a slice with the colours of the model at their places."""
    image = page.pixels(panel)
    pixels = random_pixels(image)
    values = model.at(page.points(panel, pixels), ["refractive_index"])[:, 0]
    expected = colours(values, *page.js("[unflat.session.colouring.low, unflat.session.colouring.high]"))
    assert np.ptp(values) > 0
    seen = image[pixels[:, 1], pixels[:, 0], :3].astype(float)
    # The last value of one colour may come out as the first of the next: a step of inferno is at most 8 levels.
    assert np.abs(seen - expected).max() <= 8
    assert np.mean(np.abs(seen - expected)) < 0.5


def test_the_colour_maps_are_those_of_matplotlib() -> None:
    text = (PAGE / "colour_tables.js").read_text("utf-8")
    tables = dict(re.findall(r'^  (\w+): "([^"]+)"', text, re.MULTILINE))
    assert set(tables) == {"inferno", "viridis", "RdBu_r", "twilight", "gray"}
    for name, table in tables.items():
        expected = np.round(matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255).astype(np.uint8)
        assert base64.b64decode(table) == expected.tobytes()
    twilight = np.frombuffer(base64.b64decode(tables["twilight"]), np.uint8).reshape(256, 3).astype(int)
    assert np.abs(twilight[0] - twilight[-1]).max() <= 2


def test_slices_show_the_model_in_its_colours_and_clear_ground_outside(page: Page, model: Model) -> None:
    for panel in "zyx":
        assert_picture_is_the_model(page, panel, model)
    assert page.pixels("y")[2, 2, 3] == 0
    assert "sphere" in page.js("document.querySelector('.run-name').textContent")
    axes = page.js("unflat.slices.map((panel) => [panel.name, ...panel.frame().axes])")
    assert axes == [["z", "x", "y", "z"], ["x", "z", "y", "x"], ["y", "x", "z", "y"]]


def test_the_pointer_tells_the_value_of_the_sample_under_it(page: Page, model: Model) -> None:
    edge = (CENTRE * [0, 1, 1] + [0, 0, RADIUS]).tolist()
    x, y = (int(place) for place in page.js("unflat.slices[0].frame().toPixel(arguments[0])", edge))
    page.js("unflat.slices[0].point(arguments[0], arguments[1])", x, y)
    readout = "document.querySelector('[data-panel=z] .readout').textContent"
    page.wait(f"{readout} !== ''")
    sample = page.js(f"unflat.slices[0].exact.sampleAt(unflat.slices[0].frame(), {x}, {y})")
    truth = model.at(np.array(sample["point"])[None], ["refractive_index"])[0, 0]
    assert sample["value"] == pytest.approx(truth, abs=1e-4 * CONTRAST)
    low, high = page.js("[unflat.session.colouring.low, unflat.session.colouring.high]")
    shown = page.js(readout).split("·")[1].strip()
    assert float(shown) == pytest.approx(sample["value"], abs=(high - low) / 1000)
    assert len(shown.split(".")[1]) == 5  # A thousandth of the contrast is 5e-5.
    page.js("unflat.session.isGone = true")  # Now nothing is asked for.
    page.js("unflat.store.set({draw: '1'})")
    page.wait(f"{readout}.endsWith('…')")
    page.js("unflat.slices[0].point(3, 3)")
    page.wait(f"{readout}.endsWith('outside the model')")
    page.js("unflat.session.isGone = false")


def test_cyclic_colours_are_for_angles_only_and_span_one_turn(page: Page) -> None:
    page.set(colours={"refractive_index": "twilight"})
    assert page.js("unflat.session.colouring.colours") == "inferno"
    assert not page.js("[...unflat.side.controls.colours.options].some(({value}) => value === 'twilight')")
    quantity = page.js("({...unflat.session.run.quantities[0]})")
    try:
        page.js("Object.assign(unflat.session.run.quantities[0], {unit: 'rad', low: -1, high: 1})")
        colouring = page.js("unflat.session.colouring")
        assert [colouring["low"], colouring["high"]] == pytest.approx([-np.pi, np.pi])
        assert colouring["colours"] == "twilight"
        angles = np.array([-3.1, -1.0, 0.5, 2.9])
        paint = (
            "import('./colours.js').then(({colourise}) => Array.from(colourise(arguments[0], 4, arguments[1]).data))"
        )
        once, again = (page.js(paint, (angles + shift).tolist(), colouring) for shift in (0, 2 * np.pi))
        assert once == again
        assert np.ptp(np.reshape(once, (4, 4)), axis=0)[:3].min() > 50
        # The surface of a distance is seen at once, its volume is thin.
        page.js("Object.assign(unflat.session.run.quantities[0], {unit: 'm', low: -2, high: 2, background: 1})")
        page.js("unflat.store.setVolume({mode: ''})")
        assert page.js("unflat.session.mode") == "surface"
    finally:
        page.js("Object.assign(unflat.session.run.quantities[0], arguments[0])", quantity)
    assert page.js("unflat.session.mode") == "volume"


def test_zooming_in_keeps_the_point_and_shows_no_pixels(page: Page, model: Model) -> None:
    # To the edge of the sphere, where the value changes most.
    edge = CENTRE * [0, 1, 1] + [0, 0, np.sqrt(RADIUS**2 - CENTRE[0] ** 2)]
    x, y = np.rint(page.place_of("z", edge)).astype(int).tolist()
    scale, before = page.view["scale"], page.point_at("z", x, y)
    page.wheel("z", (x, y), 14)
    assert page.view["scale"] < scale / 200
    np.testing.assert_allclose(page.point_at("z", x, y), before, atol=1e-12)
    picture = page.js("Array.from(unflat.slices[0].exact.values)")
    width = page.js("unflat.slices[0].exact.width")
    values = np.array(picture, float).reshape(-1, width)
    ys, xs = np.mgrid[0 : values.shape[0] : 37, 0:width:41]
    truth = model.at(page.points("z", np.stack([xs.ravel(), ys.ravel()], axis=1)), ["refractive_index"])[:, 0]
    np.testing.assert_allclose(values[ys, xs].ravel(), truth, atol=1e-4 * CONTRAST)
    steps = np.abs(np.diff(values, axis=1))
    assert np.ptp(values) > 0
    assert steps.max() < 8 * np.ptp(values) / width  # A picture made of pixels would have few, high steps.
    page.set(ranges={"refractive_index": [float(values.min()), float(values.max())]})
    assert np.abs(np.diff(page.pixels("z")[..., :3].astype(int), axis=1)).max() <= 12


def test_dragging_shifts_the_picture_and_lines_move_planes(page: Page, model: Model) -> None:
    scale, start = page.view["scale"], np.array(page.view["view"])
    page.drag("z", (70, 60), (-30, 20))
    np.testing.assert_allclose(np.array(page.view["view"]) - start, [0, -20 * scale, 30 * scale], atol=1e-12)
    page.js("unflat.store.set({view: null})")
    page.settle()
    page.drag("z", (60, 0), (0, 25))  # The line of the y plane.
    np.testing.assert_allclose(page.view["point"], [0, 25 * scale, 0], atol=1e-12)
    page.drag("y", (30, 30), (10, -12), Keys.SHIFT)
    np.testing.assert_allclose(page.view["point"], [18 * scale, 25 * scale, 40 * scale], atol=1e-12)
    for panel in "zyx":
        assert_picture_is_the_model(page, panel, model)


def test_tilted_and_turned_planes_show_the_model(page: Page, model: Model) -> None:
    page.drag("z", (40, 50), (50, 30), Keys.ALT)
    right, down = (np.array(page.view["planes"]["z"][name]) for name in ("right", "down"))
    assert abs(right @ down) < 1e-9
    assert np.linalg.norm(right) == pytest.approx(1)
    assert abs(right[0]) > 0.1
    assert_picture_is_the_model(page, "z", model)
    page.drag("z", (40, 50), (-50, -30), Keys.CONTROL)  # Where the window manager takes Alt.
    assert page.view["planes"]["z"]["right"][0] != right[0]
    page.set(planes={**page.view["planes"], "z": {"right": [0, 0, 1], "down": [0, 1, 0]}})
    line = next(each for each in page.js("unflat.slices[0].lines()") if each["name"] == "y")
    grip = line["grip"] * np.array([line["dx"], line["dy"]])
    page.drag("z", tuple(np.round(grip).astype(int).tolist()), (0, 40))
    angle = np.arctan2(40, abs(grip[0]))
    turned = np.array(page.view["planes"]["y"]["right"])
    assert np.arccos(turned[2]) == pytest.approx(angle, abs=0.03)
    assert_picture_is_the_model(page, "y", model)
    assert_picture_is_the_model(page, "x", model)


def test_draws_their_mean_and_their_spread(page: Page, model: Model) -> None:
    for number in range(3):
        page.set(draw=str(number))
        assert_picture_is_the_model(page, "z", model.draw(number))
    page.set(draw="spread")
    assert page.js("unflat.session.colouring.colours") == "viridis"
    column, row = page.js("unflat.slices[0].frame().toPixel(arguments[0])", (CENTRE * [0, 1, 1]).tolist())
    sample = "unflat.slices[0].exact.sampleAt(unflat.slices[0].frame(), arguments[0], arguments[1])"
    value = page.js(f"{sample}.value", column, row)
    assert value == pytest.approx(0, abs=0.02 * CONTRAST)  # All draws agree at the centre of the sphere.
    page.set(draw="mean", compare={"kind": "draws", "plane": "y", "run": ""})
    titles = page.js("[...document.querySelectorAll('.comparison h2')].map((node) => node.textContent)")
    assert titles == ["Draw 0", "Draw 1", "Draw 2"]
    caption = "import('./save.js').then(({captionOf}) => unflat.comparison.panels.map((p) => captionOf(p, p.frame())))"
    captions = page.js(caption)
    assert [each["values"] for each in captions] == [f"refractive index, draw {number}" for number in range(3)]
    assert {each["title"] for each in captions} == {"runs/sphere · y = 0.00 µm"}
    assert page.js("[unflat.side.turnMovie.disabled, unflat.side.sliceMovie.disabled]") == [True, False]
    page.js("unflat.store.set({compare: {kind: 'none', plane: 'z', run: ''}, layout: 'volume'})")
    assert page.js("[unflat.side.turnMovie.disabled, unflat.side.sliceMovie.disabled]") == [False, True]
    page.js("unflat.store.set({layout: 'grid'})")
    page.set(compare={"kind": "none", "plane": "z", "run": ""}, contours=True)
    lines = page.js("document.querySelector('[data-panel=z] canvas.marks').toDataURL()")
    page.set(contours=False)
    assert lines != page.js("document.querySelector('[data-panel=z] canvas.marks').toDataURL()")


def test_a_line_over_the_sphere_measures_its_diameter(page: Page) -> None:
    page.set(draw="1", point=CENTRE.tolist())
    page.stage("z").send_keys("m")
    scale = page.view["scale"]
    x, y = np.rint(page.place_of("z", CENTRE)).astype(int).tolist()
    reach = round(1.4 * RADIUS / scale)
    page.drag("z", (x - reach, y), (2 * reach, 0))
    text = page.js("document.querySelector('.length').textContent")
    assert text == f"{2 * reach * scale * 1e6:.4g} µm"
    profile = page.js("unflat.side.measure.profile")
    distance, values = (np.array(profile[name]) for name in ("distance", "values"))
    inside = distance[values > MEDIUM + CONTRAST / 2]
    assert inside[-1] - inside[0] == pytest.approx(2 * RADIUS, rel=0.03)
    assert page.js("document.querySelector('.measure svg').getAttribute('aria-label')").startswith("Profile of")


def test_a_link_restores_the_exact_view(page: Page) -> None:
    page.drag("z", (40, 50), (30, 20), Keys.ALT)
    page.wheel("x", (10, 10), 3)
    volume = {**page.view["volume"], "mode": "surface", "azimuth": 0.7, "elevation": -0.2}
    page.set(draw="2", point=[1e-7, 2e-7, 3e-7], colours={"refractive_index": "gray"}, volume=volume)
    view, image = page.view, page.pixels("z")
    fragment = page.link()
    page.open(fragment)
    assert page.view == view
    np.testing.assert_array_equal(page.pixels("z"), image)
    page.open("v=damaged")
    assert "link is damaged" in page.status
    parallel = {**view["planes"], "z": {"right": [0, 0, 1], "down": [0, 0, 1]}}
    for wrong in (
        {"scale": -1},
        {"draw": "-1"},
        {"planes": parallel},
        {"volume": {**volume, "mode": "x"}},
        {"ranges": {"refractive_index": [2, 1]}},
    ):
        page.js("document.getElementById('status').replaceChildren()")
        follow = "import('./link.js').then((link) => (location.hash = link.encodeView(arguments[0])))"
        page.js(follow, {**view, **wrong})
        page.wait("document.getElementById('status').textContent.includes('link is damaged')")
    page.settle()


def test_the_volume_shows_the_sphere_where_it_is(page: Page) -> None:
    volume = {**page.view["volume"], "mode": "surface", "planes": False, "azimuth": 0.0, "elevation": 0.0}
    page.set(draw="1", volume=volume)
    uniforms = "unflat.volume.scene.material.uniforms"
    maps = f"[{uniforms}.colourMap.value.id, {uniforms}.opacityCurve.value.id]"
    textures = page.js(maps)
    for azimuth, elevation in ((0.0, 0.0), (0.6, 0.35)):
        page.set(volume={**volume, "azimuth": azimuth, "elevation": elevation})
        image = page.pixels("volume")
        width, pitch = page.js("[unflat.volume.camera.width, unflat.volume.camera.pitch]")
        pixel = pitch * width / image.shape[1]
        rows, columns = np.nonzero(image[..., 3])
        # The rotation of `unflat render` puts the sphere here.
        _, down, right = view_rotation(azimuth, elevation) @ CENTRE
        expected = np.array(image.shape[1::-1]) / 2 + np.array([right, down]) / pixel
        np.testing.assert_allclose([columns.mean(), rows.mean()], expected, atol=1.5)
        assert np.sqrt(len(rows) / np.pi) * pixel == pytest.approx(RADIUS, rel=0.03)
        assert set(image[[0, 0, -1, -1], [0, -1, 0, -1], 3].tolist()) == {0}
    assert page.js(maps) == textures
    corners = """[...Array(12).keys()].flatMap((i) => {
        const camera = new unflat.volume.camera.constructor(unflat.session.run.bounds,
            {...unflat.store.view.volume, azimuth: i / 2, elevation: 0.45, zoom: unflat.session.autoZoom},
            unflat.volume.stage.clientWidth, unflat.volume.stage.clientHeight);
        return camera.edges(true).concat(camera.edges(false)).flat().map((p) => camera.toPixel(p));
    })"""
    places = np.array(page.js(corners)) / page.js("[unflat.volume.stage.clientWidth, unflat.volume.stage.clientHeight]")
    assert places.min() > 0
    assert places.max() < 1
    page.set(volume={**volume, "mode": "maximum"})
    image = page.pixels("volume")
    column, row = (
        int(middle + shift / pixel)
        for middle, shift in zip(np.array(image.shape[1::-1]) / 2, CENTRE[:0:-1], strict=True)
    )
    seen = image[row, column, :3].astype(float)
    low, high = page.js("[unflat.session.colouring.low, unflat.session.colouring.high]")
    assert np.abs(seen - colours(np.array([MEDIUM + CONTRAST]), low, high)[0]).max() <= 16
    page.set(volume={**volume, "mode": "volume"})
    image = page.pixels("volume")
    share = len(image) / page.js("unflat.volume.stage.clientHeight")  # It may have another resolution.
    assert (
        image[len(image) // 2 + int(CENTRE[1] / pitch * share), image.shape[1] // 2 + int(CENTRE[2] / pitch * share), 3]
        > 200
    )
    assert image[0, 0, 3] == 0


def test_every_control_has_a_name_and_the_keys_work(page: Page) -> None:
    controls = "[...document.querySelectorAll('button, select, input, [role=slider], [tabindex=\"0\"]')]"
    name = "node.getAttribute('aria-label') || node.textContent.trim() || node.labels?.length"
    assert page.js(f"{controls}.filter((node) => !({name})).map((node) => node.outerHTML)") == []
    start = page.view
    page.stage("z").send_keys(Keys.ARROW_RIGHT, "+", Keys.PAGE_DOWN)
    page.settle()
    moved = page.view
    assert moved["view"][2] > start["view"][2]
    assert moved["scale"] < start["scale"]
    assert moved["point"][0] > start["point"][0]
    page.stage("z").send_keys(Keys.ALT, Keys.ARROW_RIGHT)
    page.settle()
    assert page.view["planes"]["z"]["right"][0] != 0
    page.stage("z").send_keys(Keys.HOME)
    page.settle()
    assert page.view["planes"] == start["planes"]
    assert page.view["scale"] == start["scale"]
    page.stage("volume").send_keys(Keys.ARROW_LEFT)
    assert page.view["volume"]["azimuth"] != start["volume"]["azimuth"]
    azimuth = page.view["volume"]["azimuth"]
    page.stage("volume").send_keys("r")
    page.wait(f"unflat.store.view.volume.azimuth !== {azimuth}")
    page.stage("volume").send_keys("r", "2")
    page.settle()
    assert page.js("[...document.querySelectorAll('.grid .panel')].filter((node) => !node.hidden).length") == 1
    page.stage("y").send_keys("2", ".", "?")
    assert page.view["draw"] == "0"
    assert page.js("document.querySelector('dialog').open")
    page.actions().send_keys(Keys.ESCAPE).perform()
    assert not page.js("document.querySelector('dialog').open")


def test_tabs_open_by_keyboard_and_progress_shows_the_losses(page: Page) -> None:
    tab = page.driver.find_element(By.ID, "tab-view")
    tab.send_keys(Keys.ARROW_LEFT)
    page.wait("document.querySelector('#panel-progress svg.chart path') !== null")
    assert page.js("document.activeElement.id") == "tab-progress"
    text = page.js("document.getElementById('panel-progress').textContent")
    assert "done" in text
    assert "another" in text  # The last line of the log.


def test_runs_appear_are_shown_and_vanish(page: Page, runs: Path, model: Model) -> None:
    path = fingerprint_path(runs / "begun")
    path.parent.mkdir(parents=True)
    path.write_text("{}", "utf-8")  # With it a run begins.
    write_run(runs / "begun", None, sentinel="")
    page.wait("unflat.session.runs.length === 2", 8)
    assert "New: " in page.status
    page.driver.find_element(By.CSS_SELECTOR, ".run-button").click()
    rows = page.driver.find_elements(By.CSS_SELECTOR, ".run-list li")
    next(row for row in rows if "begun" in row.text).click()
    page.wait("!document.querySelector('.empty').hidden")
    assert "no result yet" in page.js("document.querySelector('.empty').textContent")
    write_run(runs / "begun", model.draw(1), sentinel="")
    page.js("unflat.live.poll()")  # Earlier than by itself.
    page.wait("unflat.session.run?.name.includes('begun')", 8)
    page.settle()
    assert_picture_is_the_model(page, "z", model.draw(1))
    choose_among_damaged_runs(page, runs / "begun" / "model.h5")
    shutil.rmtree(runs / "begun")
    page.js("unflat.live.poll()")
    page.wait("document.getElementById('status').textContent.includes('is gone')", 8)
    page.drag("z", (40, 50), (20, 10))
    assert page.pixels("z")[..., 3].any()  # The last of it stays in sight.
    page.open()


# The slices ask for their values while the description of a torn result is on its way.
SLOW_DESCRIPTION = """void (unflat.session.describe = ((describe) => async (id) => {
  unflat.session.describe = describe;
  for (const panel of unflat.slices) panel.refresh();
  await new Promise((resolve) => setTimeout(resolve, 400));
  return describe(id);
})(unflat.session.describe))"""


def choose_among_damaged_runs(page: Page, path: Path) -> None:
    """Choose a run while its model is torn, then while the answer to an earlier choice is still on its way."""
    begun, sphere = page.js("unflat.session.run.id"), page.start["run"]
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    page.js(SLOW_DESCRIPTION)
    page.js("unflat.live.poll()")
    page.wait("document.getElementById('status').dataset.kind === 'error'", 8)
    page.settle()  # The last of the result stays in sight.
    assert page.js("unflat.session.run !== null")
    page.js("unflat.open(arguments[0])", sphere)
    page.js("unflat.open(arguments[0])", begun)
    assert "begun cannot be shown" in page.js("document.querySelector('.empty').textContent")
    assert "begun" in page.js("document.querySelector('.run-name').textContent")
    assert page.js("document.getElementById('status').dataset.kind") == "error"
    refusals = [entry for entry in page.driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert all("409 (Conflict)" in entry["message"] for entry in refusals)
    path.write_bytes(content)
    page.js("unflat.live.poll()")
    page.wait("unflat.session.run?.name.includes('begun')", 8)
    assert page.js("document.getElementById('status').dataset.kind") == ""
    page.js("(unflat.session.direct = unflat.session.describe) && 0")
    slow = "new Promise((resolve) => setTimeout(resolve, 200)).then(() => unflat.session.direct(id))"
    page.js(f"(unflat.session.describe = (id) => (id === '{sphere}' ? {slow} : unflat.session.direct(id))) && 0")
    page.js("Promise.all([unflat.open(arguments[0]), unflat.open(arguments[1])])", sphere, begun)
    assert page.js("unflat.session.run.id") == begun
    page.settle()


def test_the_page_fits_a_narrow_window_and_a_dark_one(page: Page) -> None:
    for theme in ("light", "dark"):
        page.js("document.documentElement.dataset.theme = arguments[0]", theme)
        light = page.js("getComputedStyle(document.body).backgroundColor")
        assert (np.mean([int(part) for part in re.findall(r"\d+", light)[:3]]) > 128) == (theme == "light")
    size = page.driver.get_window_size()
    try:
        page.driver.set_window_size(700, 900)
        page.settle()
        assert page.js("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert page.js("unflat.slices.every(({stage}) => stage.clientWidth > 250 && stage.clientHeight > 200)")
        page.set(compare={"kind": "draws", "plane": "z", "run": ""})
        assert page.js("unflat.comparison.panels.every(({stage}) => stage.clientHeight > 200)")
    finally:
        page.driver.set_window_size(size["width"], size["height"])
