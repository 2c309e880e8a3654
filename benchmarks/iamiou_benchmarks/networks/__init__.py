"""Networks in plain PyTorch: backbones that give a pyramid of features, and heads on top of them."""
