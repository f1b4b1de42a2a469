"""Counterpoise: benchmark and profile trained models across variants, runtimes and hardware."""

__version__ = "0.1.0"
