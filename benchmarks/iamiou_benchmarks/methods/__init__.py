"""Methods: one file each, named by its stage in a run file; see `iamiou_benchmarks.running.runfile.load_method`."""
