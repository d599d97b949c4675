"""The procedure between two legs as named arrays and plain facts, which a checkpoint can hold, and back."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..runs.checkpoint import Checkpoint
from . import refinement
from .pattern import no_blur
from .recipe import ProjectionState
from .refinement import Refined
from .starts import Start

_ROW = ("number", "llk", "llk_free", "chi_rms", "support")
_START = ("density", "support", "sigmas", "background")


@dataclass
class PipelineState:
    """What the procedure knows.

    Args:
        table: A row for each start that ended.
        pool: The best of them.
        refined: By number, what was refined already.
        course: The starts under way, if any.
        leg: Their next leg.
        skipped: Iterations of refinements that ended early, which were not done.
    """

    table: list[dict[str, Any]]
    pool: list[Start]
    refined: dict[int, Refined]
    course: ProjectionState | None
    leg: int
    skipped: int = 0


def to_checkpoint(kept: PipelineState, done: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Bring it into arrays and facts.

    Args:
        kept: What is known.
        done: Iterations that need not be done again.
    """
    arrays = {f"pool/{one.number}/{name}": np.asarray(getattr(one, name)) for one in kept.pool for name in _START}
    for number, refined in kept.refined.items():
        arrays |= {f"refined/{number}/{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(refined))}
    if kept.course is not None:
        arrays |= {f"course/{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(kept.course))}
    facts: dict[str, Any] = {"table": [{name: row[name] for name in _ROW} for row in kept.table], "leg": kept.leg}
    facts["skipped"] = kept.skipped
    facts |= {"pool": [one.number for one in kept.pool], "refined": list(kept.refined)}
    return arrays, facts | {"course": kept.course is not None, "done": done}


def from_checkpoint(state: Checkpoint) -> tuple[PipelineState, int]:
    """Bring it back: what was known, and the iterations done."""
    arrays, facts = state.arrays, state.metadata
    table = [dict(row) for row in facts["table"]]
    empty = jnp.zeros((1, 1, 1), jnp.complex64)
    outline = jax.tree.structure(refinement.begin(empty, empty.real, no_blur()))
    refined = {number: _tree(arrays, f"refined/{number}", outline) for number in facts["refined"]}
    outline = jax.tree.structure(ProjectionState(empty, empty, empty.real, no_blur(), jnp.zeros(3, jnp.float32)))
    course = _tree(arrays, "course", outline) if facts["course"] else None
    pool = [_start(table[number], arrays) for number in facts["pool"]]
    return PipelineState(table, pool, refined, course, facts["leg"], facts.get("skipped", 0)), facts["done"]


def _tree(arrays: dict[str, np.ndarray], name: str, outline: Any) -> Any:
    leaves = [jnp.asarray(arrays[f"{name}/{i}"]) for i in range(outline.num_leaves)]
    return jax.tree.unflatten(outline, leaves)


def _start(row: dict[str, Any], arrays: dict[str, np.ndarray]) -> Start:
    density, support, sigmas, background = (arrays[f"pool/{row['number']}/{name}"] for name in _START)
    return Start(
        row["number"], density, support, sigmas, float(background), row["llk"], row["llk_free"], row["chi_rms"]
    )
