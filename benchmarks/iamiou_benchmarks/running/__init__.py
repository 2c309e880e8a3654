"""Runs: run files, stages, what a stage gets and leaves, campaigns, dry runs."""
