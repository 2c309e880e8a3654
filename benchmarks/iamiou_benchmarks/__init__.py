"""Run weakly supervised baselines in PyTorch and score their predictions with iamiou."""
