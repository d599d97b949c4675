"""Config section ``acquisition.goniometer`` of a crystal: circles, their readings, and the scanned circle."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from ....physics.diffraction.beamlines import find_beamline, find_circle
from ....physics.diffraction.diffractometer import Diffractometer
from ...config.advice import did_you_mean
from ...config.base import Settings
from ...config.source import AngleSource, Source
from ...config.units import Angle
from .diffractometer import DIRECT_BEAM, PREFIX, STEP, ScanCircles, beamline_note, parse_diffractometer

Direction: TypeAlias = Literal["x", "-x", "y", "-y", "z", "-z"]


def _beamline_name(value: Any) -> Any:
    """Return the name of a beamline that is written in another case, or without hyphens."""
    beamline = find_beamline(value) if isinstance(value, str) else None
    return beamline.name if beamline else value


_DEFINITION = {"beamline", "sample", "detector", "rows", "columns"}
"""Keys that define the diffractometer."""
BeamlineName: TypeAlias = Annotated[
    Literal["34-ID-C", "ID01", "P10", "NanoMAX", "CRISTAL", "SIXS", "ID27", "BM02"], BeforeValidator(_beamline_name)
]


class CrystalGoniometer(Settings):
    """Circles that determine the steps of q, in a right-handed frame: z along the beam, y up, x across."""

    beamline: BeamlineName | None = Field(
        None,
        description="Beamline with predefined circles: 34-ID-C (Theta, Chi, Phi; Delta, Gamma), ID01 (mu, eta, "
        "phi; nu, delta), P10 (mu, om, chi, phi; gamma, delta), NanoMAX (gontheta, gonphi; gamma, delta), CRISTAL "
        "(mgomega, mgphi; gamma, delta), SIXS (beta, mu, omega; gamma, delta), ID27 (nath) or BM02 (mu, th, chi, phi; "
        "nu, tth). null: the circles are defined below.",
        examples=["ID01"],
    )
    sample: tuple[str, ...] = Field(
        (),
        description="Circles that carry the crystal, the outermost first: a name and the axis of the right-handed "
        "rotation by an increasing angle, x, y, z, -x, -y or -z. Empty: those of the beamline.",
        examples=[["mu -y", "eta -x", "phi -y"]],
    )
    detector: tuple[str, ...] = Field(
        (),
        description="Circles that carry the detector, in the same notation; at rest it faces the direct beam.",
        examples=[["nu -y", "delta -x"]],
    )
    rows: Direction | None = Field(
        None,
        description="Direction of increasing detector row, at rest: -y is down. null: that of the beamline, or -y.",
    )
    columns: Direction | None = Field(
        None, description="Direction of increasing detector column, at rest. null: that of the beamline, or x."
    )
    angles: dict[str, AngleSource] = Field(
        default_factory=dict,
        description="Angle of each circle: '17.2 deg', or a dataset of one number or one per frame, as '/motors/eta in "
        "deg'; plain numbers are radians. Abbreviations (del, gam, om) and other cases are understood. Several "
        "circles may move. A circle that is not listed is read from /instrument/goniometer/NAME, or else is at rest.",
        examples=[{"eta": "/motors/eta in deg", "nu": "0 deg", "delta": "35 deg"}],
    )
    scanned: str | None = Field(
        None,
        description="Circle that turns the crystal from frame to frame; others may turn with it. null: the one whose "
        "angles move q most.",
    )
    step: Angle | None = Field(
        None,
        description="Step of the scanned circle from frame to frame, if only the angle of the middle frame is given.",
        examples=["0.005 deg"],
    )
    direct_beam: tuple[float, float] | None = Field(
        None,
        description="Pixel (y, x) of the frames to which the detector angles refer: the position of the direct "
        "beam when all are 0. null: the middle.",
    )

    @model_validator(mode="after")
    def _known_circles(self) -> "CrystalGoniometer":
        machine = self.machine
        names = [circle.name for circle in machine.circles]
        known: list[str] = []
        for given in self.angles:
            name = find_circle(machine, given)
            if name is None:
                suggestion = did_you_mean(given, names)
                hint = f"; {suggestion}" if suggestion else ""
                raise ValueError(f"angles.{given}: there is no such circle, only {', '.join(names)}{hint}")
            if name in known:
                raise ValueError(f"angles.{given}: the circle {name} has an angle already")
            known.append(name)
        turning = [circle.name for circle in machine.sample]
        if self.scanned is not None and find_circle(machine, self.scanned) not in turning:
            message = f"{self.scanned!r} does not turn the crystal; those that do: {', '.join(turning)}"
            raise ValueError(f"scanned: {message}")
        return self

    @property
    def machine(self) -> Diffractometer:
        """The diffractometer.

        Raises:
            ValueError: If it is not defined, or the circles make no diffractometer.
        """
        machine = parse_diffractometer(self.model_dump(include=_DEFINITION))
        if machine is None:
            raise ValueError("name a beamline, or the circles: sample: [eta -x], detector: [nu -y, delta -x]")
        return machine

    @property
    def circles(self) -> ScanCircles:
        """The circles and the sources of their readings."""
        machine = self.machine
        sources: dict[str, Source] = {f"{PREFIX}{find_circle(machine, name)}": at for name, at in self.angles.items()}
        if self.step is not None:
            sources[STEP] = Source(literal=self.step, text=self.step)
        if self.direct_beam is not None:
            sources[DIRECT_BEAM] = Source(literal=list(self.direct_beam), text=list(self.direct_beam))
        note = beamline_note(self.model_dump(include=_DEFINITION))
        return ScanCircles(machine, sources, find_circle(machine, self.scanned or "") or "", note)
