"""A small local page over a folder of runs: read-only, for people, in the browser of this machine."""
