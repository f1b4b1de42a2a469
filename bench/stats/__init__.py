"""Pure functions from samples to numbers with intervals: no I/O, no global state, seeded generators."""
