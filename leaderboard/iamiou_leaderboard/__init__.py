"""Serve a local leaderboard whose ground truth submitters cannot read."""
