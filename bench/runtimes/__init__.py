"""Artifact to session. One file a runtime; `table.py` lists them."""
