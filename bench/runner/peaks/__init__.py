"""The most that this machine can do, measured through the same runtimes and workers as any case."""
