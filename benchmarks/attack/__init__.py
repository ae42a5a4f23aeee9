"""Attacks on a worker, one module per kind; ``python -m benchmarks.attack`` runs all of them."""
