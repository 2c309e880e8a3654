"""Methods of somebody's own, for the example in CONTRIBUTING.md."""
