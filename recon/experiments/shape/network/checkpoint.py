"""State of a prediction in progress, which a stopped run saves and a resumed one continues from.

Every start does a part of the work before it checks for a stop request: a job that is restarted again and again
finishes, however short its time slots are.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from ....errors import ConfigError, Stopped
from ....runs import RunContext
from .next_section import CANDIDATES
from .shape_code import EDGE

_VERSION = 3
"""Version of the draws: those of a cell and seed may differ between versions, and are not mixed."""


@dataclass
class PredictionState:
    """A prediction in progress.

    Args:
        codes: Code of each cell and draw; 0 for a shape that is not drawn yet.
        misfits: Misfit of each draw's simulated image to the measured one before and after refinement, as `misfit`
            in the module `refine` defines it; 0 for a cell that is not refined yet.
        shapes_drawn: Number of shapes that are drawn, in the order of cells and then draws.
        cells_refined: Number of cells whose draws are refined, in the order of cells.
        consensus: Code of the consensus of each cell; 0 for one that is not computed yet.
        cells_combined: Number of cells whose consensus is computed, in the order of cells.
        reductions: Shares of the variance that a further section of each cell would remove, by candidate
            (`next_section.expected_reductions`); 0 for a cell whose consensus is not computed yet.
    """

    codes: Float[np.ndarray, "cell draw z y x"]
    misfits: Float[np.ndarray, "cell draw 2"]
    shapes_drawn: int = 0
    cells_refined: int = 0
    consensus: Float[np.ndarray, "cell z y x"] = field(init=False)
    cells_combined: int = 0
    reductions: Float[np.ndarray, "cell candidate 2"] = field(init=False)

    def __post_init__(self) -> None:
        self.consensus = np.zeros((len(self.codes), EDGE, EDGE, EDGE), np.float32)
        self.reductions = np.zeros((len(self.codes), len(CANDIDATES), 2))

    @classmethod
    def restore(cls, context: RunContext, cells: int, draws_per_cell: int) -> "PredictionState":
        """Load the newest checkpoint of a run, or begin a prediction if there is none.

        Args:
            context: Context of the run, whose folder holds the checkpoints.
            cells: Number of cells of the prediction.
            draws_per_cell: Number of draws of each cell.

        Raises:
            ConfigError: If the checkpoint has another number of cells or draws, or its draws are of another version.
        """
        checkpoint = context.folder.latest_checkpoint()
        if checkpoint is None:
            codes = np.zeros((cells, draws_per_cell, EDGE, EDGE, EDGE), np.float32)
            return cls(codes, np.zeros((cells, draws_per_cell, 2), np.float32))
        codes, counts = checkpoint.arrays["codes"], checkpoint.metadata
        if counts.get("version") != _VERSION:
            raise ConfigError(
                f"the checkpoint has draws of format {counts.get('version', 1)}, of another version of unflat, and "
                f"this one continues format {_VERSION} alone; start anew with --force, or continue it with that version"
            )
        if codes.shape[:2] != (cells, draws_per_cell):
            raise ConfigError(
                f"the checkpoint is of {codes.shape[0]} cells with {codes.shape[1]} draws each, and this prediction is "
                f"of {cells} with {draws_per_cell}; continue with the same cells and config, or start anew with --force"
            )
        state = cls(codes, checkpoint.arrays["misfits"], int(counts["drawn"]), int(counts["refined"]))
        state.consensus, state.cells_combined = checkpoint.arrays["consensus"], int(counts["combined"])
        state.reductions = checkpoint.arrays.get("reductions", state.reductions)
        return state

    def stop_if_asked(self, context: RunContext) -> None:
        """Save a checkpoint and end the run if a stop was requested; otherwise do nothing, and save nothing.

        Raises:
            Stopped: If a stop was requested, after the checkpoint is saved.
        """
        if (reason := context.should_stop()) is None:
            return
        arrays = {"codes": self.codes, "misfits": self.misfits, "consensus": self.consensus}
        arrays["reductions"] = self.reductions
        counts = {"drawn": self.shapes_drawn, "refined": self.cells_refined, "combined": self.cells_combined}
        context.folder.save_checkpoint(sum(counts.values()), arrays, {**counts, "version": _VERSION})
        cells, draws_per_cell = self.codes.shape[:2]
        done = f"{self.shapes_drawn} of {cells * draws_per_cell} shapes were drawn"
        if self.cells_refined:
            done = f"{self.cells_refined} of {cells} cells were refined"
        if self.cells_combined:
            done = f"the consensus of {self.cells_combined} of {cells} cells was computed"
        raise Stopped(f"{reason}: stopped after {done}; run again with --resume to go on")
