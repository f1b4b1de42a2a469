"""What is kept: a folder a run, written so that a killed run loses at most the case in flight."""
