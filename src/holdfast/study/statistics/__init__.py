"""Statistics for few seeds: pure functions on lists of scores, in points (the metric times 100).

Which one applies when, and why, is told where each is defined; ``holdfast.study.compare_runs`` puts them together.
"""
