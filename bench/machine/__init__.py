"""What this machine is: its fingerprint, caches and cores."""
