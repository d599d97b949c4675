"""Several processes that work on one run: their start, agreement among them, and the end of all when one ends.

jax shares out the computing; a socket from each process to the first carries decisions, checkpoints and the news of an
end. A process alone is a group of one, for which all of this costs nothing.
"""

from .group import ProcessGroup, current, leave_now
from .launchers import GroupPlan, plan_group
from .rendezvous import join, require_same, tell_of_signals

__all__ = ["GroupPlan", "ProcessGroup", "current", "join", "leave_now", "plan_group", "require_same", "tell_of_signals"]
