"""Attacks on a worker, a file for each kind; ``python -m benchmarks.attack`` runs them all."""
