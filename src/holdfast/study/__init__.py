"""Many runs: the grid, the store, executors, statistics."""
