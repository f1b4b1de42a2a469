"""Hardware profiles: what a target can do and what it costs, as stated in TOML files or measured on this machine."""
