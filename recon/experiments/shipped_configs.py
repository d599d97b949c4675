"""The configs that come with unflat, generated from the settings' descriptions.

``python -m unflat.recon.experiments.shipped_configs`` writes them to ``configs/``; with ``--check`` its exit status
tells whether they are fresh.
"""

import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from ..config.dump import dump_commented, json_schema
from ..errors import ConfigError
from . import BUILT_IN, get_experiment
from .configs import parse_config

_SCHEMA_LINE = "yaml-language-server: $schema={kind}.schema.json"

_DEMO = """
kind: cell
volume:
  depth: 9 um
fit:
  steps: 240
  sign: nonnegative
simulate:
  specimen: cell
  shape: [96, 96]
  depth: 9 um
"""
_DEMO_HEADING = """What 'unflat demo cell' runs: a cell simulated by SSNP at half the voxel, and fitted by multi-slice.
Only what matters here is written; 'unflat init cell' shows every value."""

_ALGAE = """
kind: cell
acquisition:
  images: /I_raw
  wavelength: /@wavelength_um in um
  numerical_aperture: /@objective_na
  medium_index: /@medium_index
  pixel_size: 0.6454816 um
  illumination: led_grid
  led_grid:
    row_col: /led_row_col
    pitch: 4 mm
    height: 79 mm
    centre: [17, 17]
    row_axis: -y
    column_axis: x
  crop: [256, 256]
volume:
  depth: 120 um
  centre_z: 15 um
"""
_ALGAE_HEADING = """Spirogyra algae under one LED of a flat array after the other, read in place from a lab's own
HDF5 file ('algae_idt.h5', from bu-cisl/High-Throughput-IDT): no conversion, only names, units and the array's
geometry. The pixel is the camera's 6.5 um divided by the magnification of 10.07.
Only what matters here is written; 'unflat init cell' shows every value."""


_DEMO_CRYSTAL = """
kind: crystal
phase:
  starts: 4
  keep: 3
  network_starts: 0
simulate:
  shape: [48, 48, 48]
  flaws: [substrate]
  strains: [polynomial, relaxation]
  phase: [0.5, 1.5]
"""
_DEMO_CRYSTAL_HEADING = """What 'unflat demo crystal' runs: a strained crystal on a substrate, and its rocking curve
on the skewed grid that angles and detector make of it, phased from four random starts.
Only what matters here is written; 'unflat init crystal' shows every value."""

_GOLD = """
kind: crystal
acquisition:
  images: /intensity
  mask: /alien_mask
"""
_GOLD_HEADING = """The gold crystal of the 3D-CDI-NN paper (Chan et al., Appl. Phys. Rev. 8, 021407, 2021), read in
place from 'gold64.npz' (from hyiprc/3D-CDI-NN). The file does not say how large a step of q is: results are in voxels.
Only what matters here is written; 'unflat init crystal' shows every value."""

_DEMO_SHAPE = """
kind: shape
simulate:
  cells: 12
"""
_DEMO_SHAPE_HEADING = """What 'unflat demo shape' runs: twelve simulated red blood cells, one of each class, and five
shapes of each from the picture of one section and its mask.
Only what matters here is written; 'unflat init shape' shows every value."""

_RED_CELLS = """
kind: shape
seed: 1
train:
  data: red_blood_cells_108.zip
  folds: 5
  steps: 2600
  specimens: 600
"""
_RED_CELLS_HEADING = """A cross-validation over the red blood cells of the DISPR and SHAPR papers that come with
SHAPR ('red_blood_cells_108.zip', from marrlab/SHAPR_torch; data of Simionato et al., 2021), with simulated ones beside
them: 'unflat train red-blood-cells.yaml -o RUN'.
Only what matters here is written; 'unflat init shape' shows every value."""

_EXAMPLES = (
    ("demo-cell", "cell", _DEMO, _DEMO_HEADING),
    ("algae-led-grid", "cell", _ALGAE, _ALGAE_HEADING),
    ("demo-crystal", "crystal", _DEMO_CRYSTAL, _DEMO_CRYSTAL_HEADING),
    ("gold-crystal", "crystal", _GOLD, _GOLD_HEADING),
    ("demo-shape", "shape", _DEMO_SHAPE, _DEMO_SHAPE_HEADING),
    ("red-blood-cells", "shape", _RED_CELLS, _RED_CELLS_HEADING),
)


def texts() -> dict[str, str]:
    """Write every shipped file, by its name in ``configs/``."""
    result = {}
    for kind in BUILT_IN:
        modeline = _SCHEMA_LINE.format(kind=kind)
        heading = f"{modeline}\n\nA config of the kind '{kind}': every value, with its default."
        result[f"{kind}.yaml"] = dump_commented(get_experiment(kind).Config, heading=heading)
        result[f"{kind}.schema.json"] = json_schema(get_experiment(kind).Config)
    for name, kind, text, heading in _EXAMPLES:
        if kind not in BUILT_IN:
            continue
        settings = parse_config(text, name=name)
        modeline = _SCHEMA_LINE.format(kind=kind)
        result[f"{name}.yaml"] = dump_commented(settings, only_set=True, heading=f"{modeline}\n\n{heading}")
    return result


def shipped(name: str) -> str:
    """Read a shipped config.

    Args:
        name: Such as ``demo-cell`` or ``cell.yaml``.

    Raises:
        ConfigError: If there is none of that name.
    """
    file = _folder() / (name if "." in name else f"{name}.yaml")
    if not file.is_file():
        known = sorted(f.name for f in _folder().iterdir() if f.name.endswith(".yaml"))
        raise ConfigError(f"no shipped config {name!r}: there are {', '.join(known)}")
    return file.read_text("utf-8")


def _folder() -> Traversable:
    package = __package__.rsplit(".", 2)[0]
    return files(f"{package}.configs")


def stale() -> list[str]:
    """Name the shipped files that differ from what would be generated now, are absent, or should not be there."""
    fresh = texts()
    there = {f.name: f for f in _folder().iterdir() if f.name.endswith((".yaml", ".json"))}
    changed = [n for n, text in fresh.items() if n not in there or there[n].read_text("utf-8") != text]
    return sorted({*changed, *(set(there) - set(fresh))})


def main(arguments: list[str]) -> int:
    """Write the shipped files, or with ``--check`` tell whether they are fresh."""
    if "--check" in arguments:
        for name in stale():
            sys.stderr.write(f"configs/{name} is not what the settings say; run python -m {__spec__.name}\n")
        return 1 if stale() else 0
    folder = Path(str(_folder()))
    for name, text in texts().items():
        (folder / name).write_text(text, "utf-8")
        sys.stdout.write(f"wrote {folder / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
