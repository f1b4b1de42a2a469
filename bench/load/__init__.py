"""How requests come. A load generator knows a callable and a clock, nothing of models."""
