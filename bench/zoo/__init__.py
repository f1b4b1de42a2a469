"""Finds models and data, and checks what a user hands in. Nothing here imports TensorFlow."""
