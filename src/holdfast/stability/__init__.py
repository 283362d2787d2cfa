"""How stable tuning is: bounds, what goes into them, and leave-one-out stability measured.

Fu, So & Collier, "A Stability Analysis of Fine-Tuning a Pre-Trained Model" (arXiv 2301.09820, 2023). Importing this
room is cheap: torch loads when a name that needs it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.stability.bounds import (
        convex_tuning_bound,
        full_tuning_bound,
        full_tuning_bound_after,
        head_tuning_bound,
        least_heads,
        multi_head_bound,
        soft_margin_bound,
    )
    from holdfast.stability.curvature import Curvature, hessian_curvature, lanczos
    from holdfast.stability.estimators import GradientNorms, feature_norm, gradient_norms
    from holdfast.stability.head_descent import largest_learning_rate, with_constant
    from holdfast.stability.leave_one_out import (
        FullStability,
        HeadStability,
        leave_one_out_full,
        leave_one_out_head,
    )
    from holdfast.stability.margin import HardMargin, hard_margin
    from holdfast.stability.measures import Luck, RunOutputs, luck_of
    from holdfast.stability.predictions import fleiss_kappa, jensen_shannon, pairwise_disagreement
    from holdfast.stability.quadratics import QuadraticStability, quadratic_stability
    from holdfast.stability.representations import (
        RepresentationDistances,
        linear_cka,
        pairwise_representations,
        procrustes_similarity,
        svcca_similarity,
    )
    from holdfast.stability.seed_spread import SeedSpread, head_seed_spread
    from holdfast.stability.synthetic import SyntheticRanges, SyntheticStudy, synthetic_study
    from holdfast.stability.weights import weight_distance

_HOMES = {
    "convex_tuning_bound": "bounds",
    "full_tuning_bound": "bounds",
    "full_tuning_bound_after": "bounds",
    "head_tuning_bound": "bounds",
    "least_heads": "bounds",
    "multi_head_bound": "bounds",
    "soft_margin_bound": "bounds",
    "Curvature": "curvature",
    "hessian_curvature": "curvature",
    "lanczos": "curvature",
    "GradientNorms": "estimators",
    "feature_norm": "estimators",
    "gradient_norms": "estimators",
    "HardMargin": "margin",
    "hard_margin": "margin",
    "largest_learning_rate": "head_descent",
    "with_constant": "head_descent",
    "FullStability": "leave_one_out",
    "HeadStability": "leave_one_out",
    "leave_one_out_full": "leave_one_out",
    "leave_one_out_head": "leave_one_out",
    "Luck": "measures",
    "RunOutputs": "measures",
    "luck_of": "measures",
    "fleiss_kappa": "predictions",
    "jensen_shannon": "predictions",
    "pairwise_disagreement": "predictions",
    "RepresentationDistances": "representations",
    "linear_cka": "representations",
    "pairwise_representations": "representations",
    "procrustes_similarity": "representations",
    "svcca_similarity": "representations",
    "QuadraticStability": "quadratics",
    "quadratic_stability": "quadratics",
    "SeedSpread": "seed_spread",
    "head_seed_spread": "seed_spread",
    "SyntheticRanges": "synthetic",
    "SyntheticStudy": "synthetic",
    "synthetic_study": "synthetic",
    "weight_distance": "weights",
}

__all__ = [
    "Curvature",
    "FullStability",
    "GradientNorms",
    "HardMargin",
    "HeadStability",
    "Luck",
    "QuadraticStability",
    "RepresentationDistances",
    "RunOutputs",
    "SeedSpread",
    "SyntheticRanges",
    "SyntheticStudy",
    "convex_tuning_bound",
    "feature_norm",
    "fleiss_kappa",
    "full_tuning_bound",
    "full_tuning_bound_after",
    "gradient_norms",
    "hard_margin",
    "head_seed_spread",
    "head_tuning_bound",
    "hessian_curvature",
    "jensen_shannon",
    "lanczos",
    "largest_learning_rate",
    "least_heads",
    "leave_one_out_full",
    "leave_one_out_head",
    "linear_cka",
    "luck_of",
    "multi_head_bound",
    "pairwise_disagreement",
    "pairwise_representations",
    "procrustes_similarity",
    "quadratic_stability",
    "soft_margin_bound",
    "svcca_similarity",
    "synthetic_study",
    "weight_distance",
    "with_constant",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"holdfast.stability.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'holdfast.stability' has no attribute {name!r}")
