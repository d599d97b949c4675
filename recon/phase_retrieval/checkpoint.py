"""State of the phasing pipeline between two stages, as named arrays and metadata of a checkpoint.

An array is named after the field that it belongs to: ``projections/point_spread/sigmas``, ``refined/3/density``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import DataError, Diagnostic
from ..runs.checkpoint import Checkpoint
from .frame_fit import FrameParameters
from .frame_refinement import FrameRefinement, FramesUnderWay
from .margin import MARGIN
from .pattern import PointSpread
from .recipe import ProjectionState
from .refinement import RefinementState, RefinementUnderWay
from .starts import FinishedStart

_ROW = ("number", "llk", "llk_free", "chi_rms", "support")
_START = ("density", "support", "sigmas", "background")
_FRAMES = ("state", "best", "corrections", "best_corrections")
_METADATA = ("table", "next_stage", "skipped", "pool", "refined", "under_way", "done")


@dataclass
class PipelineState:
    """State of the pipeline.

    Args:
        table: A row for each start that has ended.
        pool: Best of the starts that have ended.
        refined: Refined starts by number.
        projections: Starts under way, if any.
        next_stage: Index of the next stage of the starts under way.
        skipped: Iterations left out by refinements that ended early.
        results: Refinements of the mode and of the result that have ended, by name.
        refining: Refinement under way, if any.
        frames: Refinement with the frames, if it is under way.
        frames_outcome: Outcome of that refinement, once it has ended.
    """

    table: list[dict[str, Any]]
    pool: list[FinishedStart]
    refined: dict[int, RefinementState]
    projections: ProjectionState | None
    next_stage: int
    skipped: int = 0
    results: dict[str, RefinementState] = field(default_factory=dict)
    refining: RefinementUnderWay | None = None
    frames: FramesUnderWay | None = None
    frames_outcome: FrameRefinement | None = None


def to_checkpoint(state: PipelineState, done: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Convert the state to arrays by name and metadata.

    Args:
        state: State of the pipeline.
        done: Iterations done.
    """
    arrays = {
        f"pool/{start.number}/{name}": np.asarray(getattr(start, name)) for start in state.pool for name in _START
    }
    for number, refined in state.refined.items():
        arrays |= _named_arrays(f"refined/{number}", refined)
    for name, result in state.results.items():
        arrays |= _named_arrays(f"results/{name}", result)
    if state.projections is not None:
        arrays |= _named_arrays("projections", state.projections)
    refining = None
    if (now := state.refining) is not None:
        arrays |= _named_arrays("refining/state", now.state) | _named_arrays("refining/best", now.best)
        refining = {"name": now.name, "least": _least(now.least), "best_block": now.best_block, "block": now.block}
    frames = None
    if (rounds := state.frames) is not None:
        for name in _FRAMES:
            arrays |= _named_arrays(f"frames/{name}", getattr(rounds, name))
        frames = {"least": _least(rounds.least), "best_round": rounds.best_round, "round": rounds.round}
    outcome = None
    if (ended := state.frames_outcome) is not None:
        arrays |= _outcome_arrays(ended)
        numbers = {name: _least(number) for name, number in ended.numbers.items()}
        outcome = {"taken": ended.parameters is not None, "numbers": numbers}
    metadata = {
        "table": [{name: row[name] for name in _ROW} for row in state.table],
        "next_stage": state.next_stage,
        "skipped": state.skipped,
        "pool": [start.number for start in state.pool],
        "refined": list(state.refined),
        "under_way": state.projections is not None,
        "done": done,
        "results": list(state.results),
        "refining": refining,
        "frames": frames,
        "frames_outcome": outcome,
    }
    return arrays, metadata


def _least(value: float) -> float | str:
    """Return a likelihood for JSON, which has no infinity."""
    return value if np.isfinite(value) else str(value)


def starts_to_parts(starts: Sequence[FinishedStart]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Convert starts that have ended to rows that JSON can hold, and arrays, for another process."""
    rows = [{name: getattr(start, name) for name in ("number", "llk", "llk_free", "chi_rms")} for start in starts]
    arrays = {f"pool/{start.number}/{name}": np.asarray(getattr(start, name)) for start in starts for name in _START}
    return rows, arrays


def starts_from_parts(rows: Iterable[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]) -> list[FinishedStart]:
    """Restore starts from `starts_to_parts`."""
    return [_finished_start(row, arrays) for row in rows]


def projections_to_arrays(state: ProjectionState | None) -> dict[str, np.ndarray]:
    """Name the arrays of starts under way, each with a first axis, for another process; empty for none."""
    if state is None:
        return {}
    grouped = state if state.iterate.ndim > 3 else jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], state)
    return _named_arrays("projections", grouped)


def join_projections(parts: Iterable[Mapping[str, np.ndarray]]) -> ProjectionState:
    """Join the starts under way of several processes; one start alone has no first axis."""
    given = [part for part in parts if part]
    arrays = {name: np.concatenate([part[name] for part in given]) for name in given[0]}
    return select_starts(_projection_state(arrays, "projections"), 0, len(arrays["projections/iterate"]))


def select_starts(state: ProjectionState, first: int, last: int) -> ProjectionState:
    """Select starts of a group by their places in it; one alone has no first axis."""
    part: ProjectionState = jax.tree.map(lambda leaf: leaf[first:last] if last - first > 1 else leaf[first], state)
    return part


def from_checkpoint(checkpoint: Checkpoint) -> tuple[PipelineState, int]:
    """Restore the state, and the number of iterations done.

    Raises:
        DataError: If names of metadata or arrays are missing or unknown.
    """
    arrays, metadata = checkpoint.arrays, checkpoint.metadata
    _require(_METADATA, set(_METADATA) & metadata.keys())  # a caller may add metadata of its own
    _require(_expected_names(metadata), arrays)
    table = [dict(row) for row in metadata["table"]]
    refined = {int(number): _refinement_state(arrays, f"refined/{number}") for number in metadata["refined"]}
    projections = _projection_state(arrays, "projections") if metadata["under_way"] else None
    pool = [_finished_start(table[number], arrays) for number in metadata["pool"]]
    results = {name: _refinement_state(arrays, f"results/{name}") for name in metadata.get("results", ())}
    state = PipelineState(table, pool, refined, projections, metadata["next_stage"], metadata["skipped"], results)
    state.refining = _under_way(arrays, metadata.get("refining"))
    state.frames = _frames_under_way(arrays, metadata.get("frames"))
    state.frames_outcome = _frames_outcome(arrays, metadata.get("frames_outcome"))
    if state.frames is not None:  # Older checkpoints lack its outcome, and may hold what followed from another one.
        state.results = {name: one for name, one in results.items() if not name.startswith(MARGIN)}
        state.refining = None
    return state, metadata["done"]


def _under_way(arrays: Mapping[str, np.ndarray], row: Mapping[str, Any] | None) -> RefinementUnderWay | None:
    if row is None:
        return None
    state, best = (_refinement_state(arrays, f"refining/{name}") for name in ("state", "best"))
    least = float("inf") if row["least"] is None else float(row["least"])
    return RefinementUnderWay(row["name"], state, best, least, row["best_block"], row["block"])


def _frames_under_way(arrays: Mapping[str, np.ndarray], row: Mapping[str, Any] | None) -> FramesUnderWay | None:
    if row is None:
        return None
    state, best = (_refinement_state(arrays, f"frames/{name}") for name in _FRAMES[:2])
    corrections, best_corrections = (
        FrameParameters(**_fields(arrays, f"frames/{name}", FrameParameters._fields)) for name in _FRAMES[2:]
    )
    rounds = row["best_round"], row["round"]
    return FramesUnderWay(state, best, corrections, best_corrections, float(row["least"]), *rounds)


def _outcome_arrays(outcome: FrameRefinement) -> dict[str, np.ndarray]:
    arrays = _named_arrays("frames_outcome/state", outcome.state)
    if outcome.parameters is not None:
        arrays |= _named_arrays("frames_outcome/parameters", outcome.parameters)
        arrays["frames_outcome/deviations"] = np.asarray(outcome.deviations)
    return arrays


def _frames_outcome(arrays: Mapping[str, np.ndarray], row: Mapping[str, Any] | None) -> FrameRefinement | None:
    if row is None:
        return None
    numbers = {name: float(number) for name, number in row["numbers"].items()}
    state, parameters, deviations = _refinement_state(arrays, "frames_outcome/state"), None, None
    if row["taken"]:
        fields = _fields(arrays, "frames_outcome/parameters", FrameParameters._fields)
        parameters, deviations = FrameParameters(**fields), np.asarray(arrays["frames_outcome/deviations"])
    return FrameRefinement(state, numbers, parameters, deviations)


def _named_arrays(
    prefix: str, state: ProjectionState | RefinementState | PointSpread | FrameParameters
) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for name, value in state._asdict().items():
        arrays |= (
            _named_arrays(f"{prefix}/{name}", value)
            if isinstance(value, PointSpread)
            else {f"{prefix}/{name}": np.asarray(value)}
        )
    return arrays


def _field_names(prefix: str, kind: type[ProjectionState] | type[RefinementState]) -> list[str]:
    """List the names that `_named_arrays` gives to a state."""
    nested = [f"{prefix}/point_spread/{name}" for name in PointSpread._fields]
    return [f"{prefix}/{name}" for name in kind._fields if name != "point_spread"] + nested


def _expected_names(metadata: Mapping[str, Any]) -> list[str]:
    names = [f"pool/{number}/{name}" for number in metadata["pool"] for name in _START]
    prefixes = [f"refined/{number}" for number in metadata["refined"]]
    prefixes += [f"results/{name}" for name in metadata.get("results", ())]
    prefixes += ["refining/state", "refining/best"] if metadata.get("refining") else []
    if metadata.get("frames"):
        prefixes += [f"frames/{name}" for name in _FRAMES[:2]]
        names += [f"frames/{name}/{one}" for name in _FRAMES[2:] for one in FrameParameters._fields]
    if outcome := metadata.get("frames_outcome"):
        prefixes.append("frames_outcome/state")
        fitted = [f"parameters/{one}" for one in FrameParameters._fields] + ["deviations"]
        names += [f"frames_outcome/{name}" for name in fitted if outcome["taken"]]
    for prefix in prefixes:
        names += _field_names(prefix, RefinementState)
    return names + (_field_names("projections", ProjectionState) if metadata["under_way"] else [])


def _require(expected: Any, present: Any) -> None:
    """Refuse a checkpoint that lacks a name, or has one that is not known."""
    wrong = sorted(set(expected) ^ set(present))
    if wrong:
        problem = "is missing" if wrong[0] in expected else "is not known"
        message = f"{wrong[0]} {problem}: it was written by another version of unflat or with other settings"
        raise DataError(Diagnostic("the newest checkpoint", message, "start anew with --force"))


def _point_spread(arrays: Mapping[str, np.ndarray], prefix: str) -> PointSpread:
    return PointSpread(**{name: jnp.asarray(arrays[f"{prefix}/point_spread/{name}"]) for name in PointSpread._fields})


def _fields(arrays: Mapping[str, np.ndarray], prefix: str, names: tuple[str, ...]) -> dict[str, jax.Array]:
    return {name: jnp.asarray(arrays[f"{prefix}/{name}"]) for name in names if name != "point_spread"}


def _projection_state(arrays: Mapping[str, np.ndarray], prefix: str) -> ProjectionState:
    fields = _fields(arrays, prefix, ProjectionState._fields)
    return ProjectionState(**fields, point_spread=_point_spread(arrays, prefix))


def _refinement_state(arrays: Mapping[str, np.ndarray], prefix: str) -> RefinementState:
    fields = _fields(arrays, prefix, RefinementState._fields)
    return RefinementState(**fields, point_spread=_point_spread(arrays, prefix))


def _finished_start(row: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> FinishedStart:
    density, support, sigmas, background = (arrays[f"pool/{row['number']}/{name}"] for name in _START)
    return FinishedStart(
        row["number"], density, support, sigmas, float(background), row["llk"], row["llk_free"], row["chi_rms"]
    )
