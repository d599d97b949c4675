"""The ``phase:`` section of a crystal's config: a recipe of iterative projections, starts, and their refinement."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, field_validator, model_serializer, model_validator

from ..config.base import Flag, Settings

Method: TypeAlias = Literal["er", "hio", "raar", "dm", "cf", "gps"]
_BETA, _CEILING = 0.7, 1.2
"""Relaxation and largest amplitude of the default recipe.

Without a ceiling strongly strained crystals stagnate with piled-up amplitude and a support that is too small. Chosen on
four simulated crystals with a strain of 3 rad, of which a ceiling of 1.1 loses two.
"""
METHODS: tuple[Method, ...] = ("er", "hio", "raar", "dm", "cf", "gps")


class ShrinkWrap(Settings):
    """Updates of the support during a step."""

    every: int = Field(25, ge=1, description="Iterations between two updates of the support.")
    threshold: float = Field(
        0.25,
        gt=0,
        lt=2,
        description="Threshold of the blurred amplitude that defines the support, in units of the object's rms.",
    )
    sigma: tuple[float, float] = Field(
        (2.0, 1.0),
        description="Width in voxels of the Gaussian that blurs the amplitude, at the first update and at the last.",
    )

    @model_validator(mode="after")
    def _check_sigma(self) -> "ShrinkWrap":
        if min(self.sigma) <= 0:
            raise ValueError(f"sigma {list(self.sigma)} must be positive")
        return self


class StepSettings(Settings):
    """One step of a recipe."""

    iterations: int = Field(ge=1, description="Iterations of the step.")
    beta: float = Field(0.9, gt=0, le=1, description="Relaxation; er and cf have none.")
    support: ShrinkWrap | None = Field(
        default_factory=ShrinkWrap, description="Updates of the support, or null to leave it as it is."
    )
    psf: Flag = Field(False, description="Whether partial coherence is modelled and fitted during the step.")
    band: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Fraction of each axis, about the peak, that the step uses: with 0.5 it works on voxels twice as "
        "large, in an eighth of the time. The last step needs 1.",
    )
    ceiling: float | None = Field(
        None,
        gt=0,
        description="Largest amplitude inside the support, relative to the object's own, or null for no limit: a "
        "lattice has one density, and wrong phases pile it up. Some starts do without it (ceiling_starts). Without "
        "effect on gps.",
    )

    @model_serializer(mode="wrap")
    def _serialize_limits(self, write: Any) -> dict[str, Any]:
        """Leave out a ceiling that is none, which recipes of earlier versions do not have."""
        return {name: value for name, value in write(self).items() if name != "ceiling" or value is not None}


class RecipeStep(Settings):
    """Step of a recipe, by the name of its method: ``raar: {iterations: 600}``."""

    er: StepSettings | None = Field(None, description="Error reduction.")
    hio: StepSettings | None = Field(None, description="Hybrid input-output.")
    raar: StepSettings | None = Field(None, description="Relaxed averaged alternating reflections.")
    dm: StepSettings | None = Field(None, description="Difference map.")
    cf: StepSettings | None = Field(None, description="Charge flipping.")
    gps: StepSettings | None = Field(None, description="Generalised proximal smoothing.")

    @model_validator(mode="after")
    def _check_method(self) -> "RecipeStep":
        named = [name for name in METHODS if getattr(self, name) is not None]
        if len(named) != 1:
            given = " and ".join(named) if named else "none"
            raise ValueError(
                f"a step has one method, not {given}; write '- raar: {{iterations: 600}}' "
                f"with one of {', '.join(METHODS)}"
            )
        return self

    @model_serializer(mode="wrap")
    def _serialize_method(self, write: Any) -> dict[str, Any]:
        """Write the key of the method alone."""
        return {name: value for name, value in write(self).items() if value is not None}

    @property
    def method(self) -> Method:
        """Name of the method."""
        return next(name for name in METHODS if getattr(self, name) is not None)

    @property
    def step(self) -> StepSettings:
        """Settings of the method."""
        settings: StepSettings = getattr(self, self.method)
        return settings


def _default_recipe() -> tuple[RecipeStep, ...]:
    def wrap(first: float, last: float) -> ShrinkWrap:
        return ShrinkWrap(sigma=(first, last))

    hio = StepSettings(iterations=400, beta=_BETA, support=wrap(2.0, 1.4), ceiling=_CEILING)
    return (
        RecipeStep(hio=hio),
        RecipeStep(hio=hio.model_copy(update={"iterations": 200, "support": wrap(1.4, 1.0), "psf": True})),
        RecipeStep(er=StepSettings(iterations=50, support=wrap(1.0, 1.0), psf=True)),
    )


class RefineSettings(Settings):
    """Refinement by the likelihood of the counts, once the phases are found."""

    iterations: int = Field(
        200, ge=0, description="Iterations of conjugate gradients; 0 keeps the result of the projections."
    )
    psf: Flag = Field(True, description="Whether to fit the widths of a Gaussian point-spread function (coherence).")
    background: Flag = Field(True, description="Whether to fit a constant background.")
    angles: Flag = Field(
        False,
        description="Whether to fit the angle of each frame with the crystal, where it was not what the goniometer "
        "says. What is fitted of the frames is taken only if it explains the withheld pixels better.",
    )
    rolls: Flag = Field(
        False, description="Whether to fit the shift (y, x) of each frame on the detector: the crystal rolled."
    )
    flux: Flag = Field(False, description="Whether to fit the flux of each frame, beside the monitor.")
    threshold: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Threshold of the blurred amplitude that defines the refined support, in units of the "
        "object's rms. With a margin a fifth of it is tried as well.",
    )
    margin: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Fraction of each axis by which a last refinement extends the array beyond the measured pixels, so "
        "that what sharp edges scatter beyond the detector is not folded onto it, and once more with a wider support; "
        "each is taken if it explains the withheld pixels better. 0 for none.",
    )

    @property
    def fitted_frames(self) -> tuple[bool, bool, bool]:
        """Whether angles, rolls and fluxes of the frames are fitted."""
        return self.angles, self.rolls, self.flux


class PhaseSettings(Settings):
    """Phase retrieval by iterative projections from many starts, and refinement by the counts' likelihood."""

    recipe: tuple[RecipeStep, ...] = Field(
        default_factory=_default_recipe,
        min_length=1,
        description="Steps of every start, as '- hio: {iterations: 400, beta: 0.7}': er, hio, raar, dm, cf or "
        "gps, each with iterations, beta, support (every, threshold, sigma), psf, band and ceiling.",
    )
    starts: int = Field(
        8, ge=1, description="Number of starts; the best are selected by the likelihood of withheld pixels."
    )
    ceiling_starts: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="Number of the random starts that obey the ceilings of the recipe; 0: no start obeys any. auto: a "
        "third of them do, a third do not, and the last third are like the one that explains the withheld pixels "
        "best; a single one does not.",
    )
    keep: int = Field(4, ge=1, description="Number of the best starts that are refined and combined.")
    free: float = Field(0.05, ge=0, lt=0.5, description="Fraction of the good pixels that is withheld, for validation.")
    start: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Threshold of the autocorrelation that defines the first support, relative to its maximum.",
    )
    twin: Flag = Field(
        True, description="Whether to break the symmetry between an object and its twin, by halving the support."
    )
    refine: RefineSettings = Field(
        default_factory=RefineSettings, description="Refinement by the likelihood of the counts."
    )
    gate: float | None = Field(
        None, gt=0, description="Likelihood (LLK) of the withheld pixels above which the command exits with 5, or null."
    )

    @field_validator("recipe")
    @classmethod
    def _check_last_band(cls, recipe: tuple[RecipeStep, ...]) -> tuple[RecipeStep, ...]:
        last = recipe[-1]
        if last.step.band < 1:
            raise ValueError(f"its last step has a band of {last.step.band:g}, but must look at the whole array: 1")
        return recipe
