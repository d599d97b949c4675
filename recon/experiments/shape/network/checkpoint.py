"""State of a prediction in progress, which a stopped run saves and a resumed one continues from.

Every start does a part of the work before it checks for a stop request: a job that is restarted again and again
finishes, however short its time slots are.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ....errors import Stopped
from ....runs import RunContext
from .shape_code import EDGE


@dataclass
class PredictionState:
    """A prediction in progress.

    Args:
        codes: Code of each cell and draw; 0 where nothing is drawn yet.
        misfits: Misfit of the pictures before and after each draw was refined.
        drawn: Number of shapes that are drawn, in the order of cells and then draws.
        refined: Number of cells whose draws are refined.
    """

    codes: Float[np.ndarray, "cell draw z y x"]
    misfits: Float[np.ndarray, "cell draw 2"]
    drawn: int = 0
    refined: int = 0

    @classmethod
    def restore(cls, work: RunContext, cells: int, draws: int) -> "PredictionState":
        """Load the newest checkpoint of a run, or begin a prediction of so many cells and draws."""
        state = work.folder.latest_checkpoint()
        if state is None:
            codes = np.zeros((cells, draws, EDGE, EDGE, EDGE), np.float32)
            return cls(codes, np.zeros((cells, draws, 2), np.float32))
        arrays = state.arrays
        return cls(arrays["codes"], arrays["misfits"], int(state.metadata["drawn"]), int(state.metadata["refined"]))

    def stop_if_asked(self, work: RunContext) -> None:
        """Save a checkpoint and stop, if that was requested.

        Raises:
            Stopped: If a stop was requested.
        """
        if (reason := work.should_stop()) is None:
            return
        counts = {"drawn": self.drawn, "refined": self.refined}
        work.folder.save_checkpoint(self.drawn + self.refined, {"codes": self.codes, "misfits": self.misfits}, counts)
        cells, draws = self.codes.shape[:2]
        done = f"{self.drawn} of {cells * draws} shapes were drawn"
        if self.refined:
            done = f"{self.refined} of {cells} cells were refined"
        raise Stopped(f"{reason}: stopped after {done}; run again with --resume to go on")
