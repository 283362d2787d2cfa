"""Perturbations of hidden vectors."""
