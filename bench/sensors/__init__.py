"""What the machine felt: one file a source, read by a process of its own."""
