"""Doing the runs of a study, here or elsewhere."""
