"""Requests of the page and their answers, without sockets.

Lengths are in metres, axes ``z y x``; arrays are little-endian. A number that is not finite is null in JSON.
"""

import base64
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, DeviceError
from ..experiments import get_experiment
from ..runs.contents import REPORT
from ..sampled import Quantity
from ..version import __version__
from ..visualization.panels import Panel, PanelImage, PanelSubject
from .access import REPORT_HEADERS
from .catalog import Catalog, CatalogEntry
from .curves import CurveCache
from .files import read_inside
from .pictures import View, draw_picture
from .planes import sample_plane, sample_profile
from .progress import progress_of, verdict_json
from .requests import Query, RequestError
from .results import OpenResult, ResultCache, Selection
from .textures import sample_texture

_log = logging.getLogger(__name__)
_JSON = "application/json; charset=utf-8"
_BINARY = "application/octet-stream"
_MOST_OF_REPORT = 200_000_000
"""[byte] Largest report that is sent."""


@dataclass(frozen=True)
class Response:
    """Answer to a request.

    Args:
        body: Content.
        type: Media type.
        status: Status.
        headers: Further headers.
    """

    body: bytes
    type: str = _JSON
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, content: object, status: HTTPStatus = HTTPStatus.OK) -> "Response":
        """Make an answer in JSON."""
        text = json.dumps(_finite(content), ensure_ascii=False, allow_nan=False)
        return cls(text.encode("utf-8", "replace"), status=status)

    @classmethod
    def error(cls, message: str, status: HTTPStatus) -> "Response":
        """Make an answer with a message."""
        return cls.json({"error": message}, status)


class Api:
    """Answers to the requests below ``/api/``.

    Args:
        catalog: Runs, models and volumes.
    """

    def __init__(self, catalog: Catalog):
        self.catalog = catalog
        self._results, self._curves = ResultCache(), CurveCache()
        self._routes: dict[str, Callable[[CatalogEntry, Query], Response]] = {
            "": self._describe,
            "plane": self._plane,
            "texture": self._texture,
            "profile": self._profile,
            "progress": self._progress,
            "picture": self._picture,
            "report": self._report,
        }

    def respond(self, path: str, query: Mapping[str, str]) -> Response:
        """Answer a request.

        Args:
            path: Path after ``/api/``.
            query: Parameters.
        """
        try:
            return self._respond(path.strip("/").split("/"), Query(query))
        except ConfigError as error:
            return Response.error(str(error), HTTPStatus.BAD_REQUEST)
        except DataError as error:
            return Response.error(str(error), HTTPStatus.CONFLICT)
        except (MemoryError, DeviceError) as error:
            message = str(error) or "out of memory"
            return Response.error(f"{message}; ask for fewer samples", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except OSError as error:  # A folder that is removed while it is read.
            return Response.error(f"the files of the run are gone: {error.strerror or error}", HTTPStatus.CONFLICT)
        except Exception as error:
            _log.error("request %s failed: %s: %s", path[:200], type(error).__name__, error)
            _log.debug("", exc_info=True)
            message = f"internal error: {type(error).__name__}; the terminal of 'unflat view -vv' tells more"
            return Response.error(message, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _respond(self, parts: list[str], query: Query) -> Response:
        if parts == ["runs"]:
            return self._runs()
        if parts[0] != "runs" or len(parts) > 4:
            return Response.error("there is no such address", HTTPStatus.NOT_FOUND)
        entry = self.catalog.entry(parts[1])
        if entry is None:
            return Response.error("there is no such run", HTTPStatus.NOT_FOUND)
        if len(parts) == 4 and parts[2] == "panel":
            return self._panel(entry, parts[3], query)
        route = self._routes.get("/".join(parts[2:]))
        if route is None:
            return Response.error("there is no such address", HTTPStatus.NOT_FOUND)
        return route(entry, query)

    def _runs(self) -> Response:
        return Response.json({"version": __version__, "runs": [_summary(entry) for entry in self.catalog.entries()]})

    def _describe(self, entry: CatalogEntry, query: Query) -> Response:
        own = {**_summary(entry), "report": (entry.path / REPORT).is_file(), "panels": []}
        if not entry.result:
            return Response.json({**own, "quantities": []})
        result, selection = self._results.get(entry), query.selection()
        first = result.sampler(Selection(cell=selection.cell)).specimen
        own |= {
            "kind": result.kind or entry.kind,
            "length_unit": first.length_unit,
            "bounds": first.bounds,
            "spacing": first.spacing,
            "draws": result.draws,
            "has_consensus": result.has_consensus,
            "draws_name": dict(zip(("one", "many"), result.draws_name, strict=True)),
            "series": _series_json(result),
            "cells": result.cells,
            "names": result.names,
            "quantities": [_quantity_json(result, quantity, selection.cell) for quantity in result.quantities],
            "panels": [_panel_summary(panel) for panel in self._panels(entry, result, selection)],
        }
        return Response.json(own)

    def _plane(self, entry: CatalogEntry, query: Query) -> Response:
        plane = query.plane()
        sampler = self._results.get(entry).sampler(query.selection())
        values = sample_plane(sampler.specimen, sampler.quantity.name, plane)
        return Response(np.ascontiguousarray(values, "<f4").tobytes(), _BINARY)

    def _texture(self, entry: CatalogEntry, query: Query) -> Response:
        result, selection = self._results.get(entry), query.selection()
        sampler = result.sampler(selection)
        longest = query.integer("longest", 128)
        texture = sample_texture(sampler.specimen, sampler.quantity.name, result.scale(selection), longest)
        headers = {"X-Texture": json.dumps(texture.header)}
        return Response(np.ascontiguousarray(texture.values, "<f2").tobytes(), _BINARY, headers=headers)

    def _profile(self, entry: CatalogEntry, query: Query) -> Response:
        sampler = self._results.get(entry).sampler(query.selection())
        start, end, count = query.vector("from"), query.vector("to"), query.integer("count", 256)
        distance, values = sample_profile(sampler.specimen, sampler.quantity.name, start, end, count)
        return Response.json({"distance": distance.tolist(), "values": values.tolist(), "unit": sampler.quantity.unit})

    def _progress(self, entry: CatalogEntry, query: Query) -> Response:
        if entry.state is None:
            empty: dict[str, Any] = {
                "series": {},
                "titles": {},
                "over": "step",
                "numbers": [],
                "log": [],
                "preview": None,
            }
            return Response.json({"state": "file", "reason": "", "verdict": None, **empty, "resume": ""})
        if entry.kind:
            get_experiment(entry.kind)  # It registers its metrics.
        return Response.json(progress_of(entry.path, entry.state, self._curves))

    def _picture(self, entry: CatalogEntry, query: Query) -> Response:
        result, selection = self._results.get(entry), query.selection()
        view = View(
            query.text("style", "volume"),
            np.radians(query.number("azimuth", 0.0)),
            np.radians(query.number("elevation", 0.0)),
            query.integer("size", 400),
        )
        level = query.number("level") if "level" in query.values else None
        sampler = result.sampler(selection)
        return Response(draw_picture(sampler, view, result.scale(selection), level), "image/png")

    def _report(self, entry: CatalogEntry, query: Query) -> Response:
        file = entry.path / REPORT
        if not (entry.path.is_dir() and file.is_file()):
            return Response.error("the run has no report yet", HTTPStatus.NOT_FOUND)
        content = read_inside(entry.path, REPORT, _MOST_OF_REPORT)
        return Response(content, "text/html; charset=utf-8", headers=REPORT_HEADERS)

    def _panel(self, entry: CatalogEntry, name: str, query: Query) -> Response:
        result = self._results.get(entry) if entry.result else None
        panel = next((own for own in self._panels(entry, result, query.selection()) if own.name == name), None)
        if panel is None:
            return Response.error("there is no such panel", HTTPStatus.NOT_FOUND)
        values = {}
        for parameter in panel.parameters:
            value = query.number(parameter.name, parameter.value)
            if not parameter.low <= value <= parameter.high:
                raise RequestError(f"{parameter.name}={value:g} is not within {parameter.low:g} to {parameter.high:g}")
            values[parameter.name] = value
        content = panel.draw(values)
        images = [_image_json(image) for image in content.images]
        return Response.json({"images": images, "text": content.text, "parameters": values})

    def _panels(self, entry: CatalogEntry, result: OpenResult | None, selection: Selection) -> list[Panel]:
        """List the panels that the kind of a run has."""
        kind = (result.kind if result else "") or entry.kind
        if not kind or not entry.path.is_dir():
            return []
        draw = "mean" if selection.draw == "spread" else selection.draw
        chosen = Selection("", draw, selection.cell, selection.position)
        specimen = result.sampler(chosen).specimen if result else None
        return list(get_experiment(kind).view_panels(PanelSubject(entry.path, specimen, selection.cell)))


def _summary(entry: CatalogEntry) -> dict[str, Any]:
    """Describe an entry in the list."""
    state = entry.state
    return {
        "id": entry.id,
        "name": entry.name,
        "kind": entry.kind,
        "state": "file" if state is None else str(state.state),
        "reason": "" if state is None else state.reason,
        "verdict": None if state is None else verdict_json(state.verdict),
        "step": None if state is None else state.step,
        "loss": None if state is None else state.loss,
        "has_result": bool(entry.result),
        "is_preview": entry.is_preview,
        "changed": entry.changed,
    }


def _series_json(result: OpenResult) -> dict[str, Any] | None:
    """Describe the coordinate of a series; None for any other result."""
    if result.series is None:
        return None
    axis = result.series.axis
    return {"name": axis.name, "unit": axis.unit, "positions": axis.positions, "default": result.series.default}


def _quantity_json(result: OpenResult, quantity: Quantity, cell: int) -> dict[str, Any]:
    """Describe a quantity, with the range of its values and of their spread."""
    chosen = Selection(quantity.name, "mean", cell)
    spread = None
    if (known := result.spread_of(quantity)) is not None:
        spread = {**result.scale(Selection(quantity.name, "spread", cell)).to_json(), "meaning": known.meaning}
    background = result.sampler(chosen).specimen.background(quantity.name)
    named = {"name": quantity.name, "unit": quantity.unit, "meaning": quantity.meaning, "background": background}
    return {**named, **result.scale(chosen).to_json(), "spread": spread}


def _panel_summary(panel: Panel) -> dict[str, Any]:
    return {"name": panel.name, "title": panel.title, "parameters": [vars(one) for one in panel.parameters]}


def _image_json(image: PanelImage) -> dict[str, Any]:
    height, width = image.values.shape
    known = {name: value for name, value in vars(image).items() if name != "values"}
    data = base64.b64encode(np.ascontiguousarray(image.values, "<f4").tobytes()).decode("ascii")
    return {**known, "width": width, "height": height, "data": data}


def _finite(content: Any) -> Any:
    """Replace numbers that JSON cannot hold by None."""
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float | np.floating):
        return float(content) if math.isfinite(content) else None
    return content
