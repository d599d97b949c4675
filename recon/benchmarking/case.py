"""Description of what is measured: a function at a size, and the work that it cannot do without."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Size(NamedTuple):
    """Size of a problem.

    Args:
        edge: Samples along each axis.
        batch: Number of views, draws or starts that are computed together.
    """

    edge: int
    batch: int

    @property
    def samples(self) -> int:
        """Number of samples of the whole problem."""
        return self.edge**3 * self.batch

    def describe(self, batch_name: str) -> str:
        """Write the size with the name of the elements of a batch, a plural: ``64^3, 8 views``."""
        return f"{self.edge}^3, {self.batch} {batch_name.removesuffix('s') if self.batch == 1 else batch_name}"


@dataclass(frozen=True)
class Case:
    """Function with its arguments at one size, and its floor.

    Args:
        function: Function of the arguments, pure. That of a whole run takes the monotonic time [s] at which it has to
            end, or None.
        arguments: Trees of arrays.
        floor: Function without arguments that does the least work alone: the transforms, the matrix products.
        floor_work: Description of that work.
        bytes_moved: [byte] Memory that the least work reads and writes; 0 where memory does not bound it.
        steps: Number of steps, or iterations, of a call.
        carries_state: Whether the first argument is a state that the result, or its first item, replaces: its memory is
            then handed over.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    floor: Callable[[], Any]
    floor_work: str
    bytes_moved: float = 0.0
    steps: int = 1
    carries_state: bool = False


@dataclass(frozen=True)
class Benchmark:
    """Hot function of a kind of experiment, at any size.

    Args:
        name: Name of the function, for a table.
        build: Case at a size; it allocates the arrays.
        size: Size of the table.
        memory: Estimated memory [byte] at a size, before anything is allocated.
        edges: Further edges, at the batch of ``size``.
        batches: Further batches, at the edge of ``size``.
        batch_name: Name of the elements of a batch, in the plural.
        goal: Largest ratio to the floor that is aimed at; None for no goal.
        is_job: Whether it is a whole run on the host rather than a function that jax compiles.
    """

    name: str
    build: Callable[[Size], Case]
    size: Size
    memory: Callable[[Size], float]
    edges: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    batch_name: str = "views"
    goal: float | None = None
    is_job: bool = False
