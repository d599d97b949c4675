"""The page of the view in a browser that tests drive."""

import base64
import json
import time
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By


class Page:
    """The page in the browser, with the steps of the tests."""

    def __init__(self, driver: Any, url: str):
        self.driver, self.url, self.start = driver, url, dict[str, Any]()

    def open(self, fragment: str = "") -> None:
        """Load the page afresh, and wait until all is drawn."""
        self.driver.get("about:blank")
        self.driver.get(self.url + (f"#{fragment}" if fragment else ""))
        self.settle()

    def js(self, expression: str, *arguments: Any) -> Any:
        """Evaluate an expression in the page."""
        return self.driver.execute_script(f"return {expression}", *arguments)

    def wait(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until an expression holds."""
        end = time.monotonic() + seconds
        while not self.js(expression):
            assert time.monotonic() < end, f"still not {expression}; the page says: {self.status}"
            time.sleep(0.03)

    def settle(self) -> None:
        """Wait until what is shown is final."""
        self.wait("document.body.dataset.ready === 'true' && document.body.dataset.busy === 'false'")

    @property
    def status(self) -> str:
        return str(self.js("document.getElementById('status').textContent"))

    @property
    def view(self) -> dict[str, Any]:
        """The exact view, as a link holds it."""
        return dict(self.js("unflat.session.wholeView"))

    def set(self, **changes: Any) -> None:
        """Change the view, and wait until it is drawn."""
        self.js("unflat.store.set(arguments[0])", changes)
        self.settle()

    def stage(self, panel: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, f"[data-panel={panel}] .stage")

    def actions(self) -> ActionChains:
        return ActionChains(self.driver, duration=20)

    def drag(self, panel: str, start: tuple[float, float], shift: tuple[float, float], key: str = "") -> None:
        """Drag from a place, told from the centre of a panel [pixel]."""
        actions = self.actions()
        if key:
            actions.key_down(key)
        actions.move_to_element_with_offset(self.stage(panel), *start).click_and_hold()
        actions.move_by_offset(*(round(s / 2) for s in shift)).move_by_offset(*(s - round(s / 2) for s in shift))
        actions.release()
        if key:
            actions.key_up(key)
        actions.perform()
        self.settle()

    def wheel(self, panel: str, place: tuple[int, int], turns: int) -> None:
        """Turn the wheel over a place; up, which enlarges, counts positive."""
        origin = ScrollOrigin.from_element(self.stage(panel), *place)
        actions = self.actions()
        for _ in range(abs(turns)):
            actions.scroll_from_origin(origin, 0, -240 if turns > 0 else 240)
        actions.perform()
        self.settle()

    def pixels(self, panel: str) -> np.ndarray:
        """Pixels of the picture of a panel, without its marks: (row, column, RGBA)."""
        canvas = "document.querySelector('[data-panel=' + arguments[0] + '] canvas.picture')"
        text = self.js(f"{canvas}.toDataURL('image/png').split(',')[1]", panel)
        return np.array(Image.open(BytesIO(base64.b64decode(text))).convert("RGBA"))

    def link(self) -> str:
        """Part after # of the address, when it has followed the view."""
        end = time.monotonic() + 10
        while True:
            fragment = str(self.js("location.hash.slice(1)"))
            text = fragment.removeprefix("v=") + "==="
            if json.loads(base64.urlsafe_b64decode(text[: len(text) // 4 * 4]) or "{}") == self.view:
                return fragment
            assert time.monotonic() < end, "the address does not follow the view"
            time.sleep(0.05)

    def point_at(self, panel: str, x: float, y: float) -> np.ndarray:
        """Point (z, y, x) at a place, told from the centre of a slice panel [pixel]."""
        expression = "((frame, x, y) => frame.toPoint(x + frame.width / 2, y + frame.height / 2))"
        return np.array(self.js(f"{expression}({_frame(panel)}, arguments[0], arguments[1])", x, y))

    def place_of(self, panel: str, point: np.ndarray) -> np.ndarray:
        """Place (right, down) of a point, told from the centre of a slice panel [pixel]."""
        expression = "((frame, [x, y]) => [x - frame.width / 2, y - frame.height / 2])"
        frame = _frame(panel)
        return np.array(self.js(f"{expression}({frame}, {frame}.toPixel(arguments[0]))", point.tolist()))

    def points(self, panel: str, pixels: np.ndarray) -> np.ndarray:
        """Points (z, y, x) at the centres of pixels (column, row) of a slice, by the page's own geometry."""
        to_points = "((frame, all) => all.map(([x, y]) => frame.toPoint(x, y)))"
        return np.array(self.js(f"{to_points}({_frame(panel)}, arguments[0])", (pixels + 0.5).tolist()))


def _frame(panel: str) -> str:
    return f"unflat.slices.find((each) => each.name === '{panel}').frame()"
