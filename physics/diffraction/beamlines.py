"""Diffractometers of beamlines for Bragg coherent diffraction, as published programs describe them.

All are in the frame of `diffractometer` (z downstream, y up, x to the left of one who looks downstream, which is
"outboard" in the programs below). The senses of the circles are those of

- cohere (``Diffractometer_34idc``, ``_id01``, ``_P10sixc``) for 34-ID-C, and, with bcdi and cdiutils, for ID01 and P10;
- bcdi (``create_geometry``, after issue 302 for BM02) and cdiutils (``Geometry.from_setup``) for the others;
- the hkl library of SOLEIL (``SOLEIL SIXS MED2+2``) for SIXS, whose beta carries crystal and detector.

The directions of rows and columns depend on the detector and on its mount, and the programs disagree; see ``note``.
"""

import re
from dataclasses import dataclass

import numpy as np

from .diffractometer import Circle, Diffractometer


@dataclass(frozen=True)
class Beamline:
    """Diffractometer of a beamline.

    Args:
        name: Name of the beamline.
        machine: The diffractometer.
        disputed: Keys of the definition (``columns``, ``rows``, ``sample``) on which published programs disagree.
        note: The disagreement in words; empty if there is none.
    """

    name: str
    machine: Diffractometer
    disputed: tuple[str, ...] = ()
    note: str = ""


APS_34IDC = Diffractometer(
    (Circle("Theta", "y"), Circle("Chi", "-z"), Circle("Phi", "y")),
    (Circle("Delta", "y"), Circle("Gamma", "-x")),
    rows="-y",
    columns="x",
)
_ESRF_ID01 = Diffractometer(
    (Circle("mu", "-y"), Circle("eta", "-x"), Circle("phi", "-y")),
    (Circle("nu", "-y"), Circle("delta", "-x")),
    rows="-y",
    columns="x",
)
_PETRA_P10 = Diffractometer(
    # The chi stage is upright at 90 degrees (bcdi's default offset).
    (Circle("mu", "y"), Circle("om", "-x"), Circle("chi", "z", rest=np.pi / 2), Circle("phi", "-y")),
    (Circle("gamma", "y"), Circle("delta", "-x")),
    rows="-y",
    columns="-x",
)
_MAX_IV_NANOMAX = Diffractometer(
    (Circle("gontheta", "-x"), Circle("gonphi", "-y")),
    (Circle("gamma", "-y"), Circle("delta", "-x")),
    rows="-y",
    columns="-x",
)
_SOLEIL_CRISTAL = Diffractometer(
    (Circle("mgomega", "-x"), Circle("mgphi", "y")),
    (Circle("gamma", "y"), Circle("delta", "-x")),
    rows="-y",
    columns="x",
)
_SOLEIL_SIXS = Diffractometer(
    (Circle("beta", "-x"), Circle("mu", "y"), Circle("omega", "-x")),
    (Circle("beta", "-x"), Circle("gamma", "y"), Circle("delta", "-x")),
    rows="-y",
    columns="x",
)
_ESRF_ID27 = Diffractometer((Circle("nath", "y"),), (), rows="-y", columns="-x")
_ESRF_BM02 = Diffractometer(
    (Circle("mu", "y"), Circle("th", "-x"), Circle("chi", "z"), Circle("phi", "-x")),
    (Circle("nu", "y"), Circle("tth", "-x")),
    rows="-y",
    columns="-x",
)
BEAMLINES = {
    beamline.name: beamline
    for beamline in (
        Beamline("34-ID-C", APS_34IDC),
        Beamline("ID01", _ESRF_ID01),
        Beamline("P10", _PETRA_P10),
        Beamline(
            "NanoMAX",
            _MAX_IV_NANOMAX,
            ("columns",),
            "detector columns run along -x (as cdiutils has it for the Eiger); bcdi has x for the Merlin",
        ),
        Beamline("CRISTAL", _SOLEIL_CRISTAL),
        Beamline(
            "SIXS",
            _SOLEIL_SIXS,
            ("rows", "columns"),
            "detector rows run along -y and columns along x; on the vertical MED since 2022 the detector stands turned "
            "by 90 degrees (eta_a), with rows along -x and columns along -y (cdiutils)",
        ),
        Beamline(
            "ID27",
            _ESRF_ID27,
            ("sample",),
            "nath turns right-handed about y (as bcdi has it); cdiutils has -y",
        ),
        Beamline("BM02", _ESRF_BM02),
    )
}
"""Beamlines by name."""
_ALIASES = {
    "34id": "34-ID-C",
    "34idc": "34-ID-C",
    "aps34idc": "34-ID-C",
    "id01bliss": "ID01",
    "id01spec": "ID01",
    "p10eh1": "P10",
    "sixsmed": "SIXS",
}
"""Beamlines by further spellings, in lower case and without marks."""
_SYNONYMS = {
    "del": "delta",
    "gam": "gamma",
    "om": "omega",
    "mgomega": "omega",
    "th": "theta",
    "gontheta": "theta",
    "mgphi": "phi",
    "gonphi": "phi",
    "basepitch": "beta",
    "pitch": "beta",
    "twotheta": "tth",
    "2theta": "tth",
    "2th": "tth",
}
"""Names of circles by their abbreviations and local names, in lower case and without marks."""


def find_beamline(name: str) -> Beamline | None:
    """Find a beamline by its name, in any case and with or without hyphens; None if it is not known."""
    plain = _plain(name)
    return next((b for key, b in BEAMLINES.items() if _plain(key) == plain), BEAMLINES.get(_ALIASES.get(plain, "")))


def find_circle(machine: Diffractometer, name: str) -> str | None:
    """Find a circle by its name, an abbreviation (``del``, ``gam``, ``om``), or another case.

    Returns:
        Name of the circle in the diffractometer; None if it has no such circle, or several.
    """
    names = [circle.name for circle in machine.circles]
    if name in names:
        return name
    for key in (_plain, _canonical):
        same = [circle for circle in names if key(circle) == key(name)]
        if same:
            return same[0] if len(same) == 1 else None
    return None


def _plain(name: str) -> str:
    """Name in lower case, without hyphens, underscores and blanks."""
    return re.sub(r"[\s_-]+", "", name.lower())


def _canonical(name: str) -> str:
    plain = _plain(name)
    return _SYNONYMS.get(plain, plain)
