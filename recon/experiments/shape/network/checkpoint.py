"""What is done of a prediction, kept when it is asked to end early, so that the same command goes on from there.

Each start does a part of the work before it asks whether to end: a job that is started again and again comes to an end,
however short its time is.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ....errors import Stopped
from ....runs import RunContext
from .shape_code import EDGE


@dataclass
class PredictionState:
    """A prediction under way.

    Args:
        codes: Of each cell and draw; 0 where nothing is drawn yet.
        misfits: Of the pictures, before and after each draw was refined.
        drawn: Number of shapes that are drawn: cell by cell, and draw by draw.
        refined: Number of cells whose draws are refined.
    """

    codes: Float[np.ndarray, "cell draw z y x"]
    misfits: Float[np.ndarray, "cell draw 2"]
    drawn: int = 0
    refined: int = 0

    @classmethod
    def begun(cls, work: RunContext, cells: int, draws: int) -> "PredictionState":
        """What the run's newest checkpoint holds, or nothing done of so many cells and draws."""
        state = work.folder.latest_checkpoint()
        if state is None:
            codes = np.zeros((cells, draws, EDGE, EDGE, EDGE), np.float32)
            return cls(codes, np.zeros((cells, draws, 2), np.float32))
        arrays = state.arrays
        return cls(arrays["codes"], arrays["misfits"], int(state.metadata["drawn"]), int(state.metadata["refined"]))

    def stop_if_asked(self, work: RunContext) -> None:
        """Write a checkpoint and end, if that was asked for.

        Raises:
            Stopped: If so.
        """
        if (reason := work.should_stop()) is None:
            return
        facts = {"drawn": self.drawn, "refined": self.refined}
        work.folder.save_checkpoint(self.drawn + self.refined, {"codes": self.codes, "misfits": self.misfits}, facts)
        cells, draws = self.codes.shape[:2]
        done = f"{self.drawn} of {cells * draws} shapes were drawn"
        if self.refined:
            done = f"{self.refined} of {cells} cells were refined"
        raise Stopped(f"{reason}: stopped after {done}; run again with --resume to go on")
