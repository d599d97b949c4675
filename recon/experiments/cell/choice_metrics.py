"""Metrics of what the data chose: absorption, the sign of the contrast, and how far a network's prior is trusted."""

from ...metrics import Metric
from .summary import DRAWS_COVERAGE

CHOICE_METRICS = (
    Metric(
        "absorption_ratio",
        "Linear residual with absorption",
        "",
        "neither",
        "Withheld residual of the linear reconstruction with absorption, over that without: well below 1, the specimen "
        "absorbs, and physics.absorption should be true.",
    ),
    Metric(
        "absorption_trial",
        "Trial with absorption",
        "",
        "neither",
        "Withheld residual of the first quarter of a fit with absorption (50 steps at least), over that without.",
    ),
    Metric(
        "absorption_chosen",
        "Absorption, chosen by the data",
        "",
        "neither",
        "physics.absorption: auto took true (1) or false (0).",
    ),
    Metric(
        "prior_trust",
        "Trust in the network's prior",
        "",
        "neither",
        "Share of the network's completion that is used (fit.prior, predict.test): the whole where withheld views do "
        "not lose by it, else the largest that predicts hidden views no worse than the fit alone; 0: it was not used.",
    ),
    Metric(
        "prior_hidden_ratio",
        "Hidden views with the prior",
        "",
        "lower",
        "Residual of the views hidden from a trial with the network's completion, over that without: above 1, the "
        "network does not know such a specimen.",
    ),
    Metric(
        "prior_withheld_ratio",
        "Withheld views with the prior",
        "",
        "lower",
        "Withheld residual of the first quarter of a fit with the network's prior, or of its result with the network's "
        "completion, over that without.",
    ),
    Metric("prior_views_hidden", "Views hidden from the prior", "", "neither", "Number of them, for its test."),
    Metric(
        DRAWS_COVERAGE,
        "Held-out truth within the draws' interval",
        "",
        "neither",
        "Share of the voxels in doubt, of specimens held out of the network's training, within ±1.645 of its spread: "
        "0.9 is ideal.",
    ),
    Metric(
        "residual_draws",
        "Withheld residual of the draws",
        "",
        "lower",
        "The same for the draws of a network, each by itself; their mean.",
    ),
    Metric(
        "residual_draws_most",
        "Withheld residual of the worst draw",
        "",
        "lower",
        "The same for the draw that explains the views worst.",
    ),
    Metric(
        "sign_chosen",
        "Sign, chosen by the data",
        "",
        "neither",
        "fit.sign: auto took nonnegative (1), any (0) or nonpositive (-1).",
    ),
)
"""Metrics in the order of tables and reports."""
