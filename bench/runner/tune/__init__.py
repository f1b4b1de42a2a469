"""The search of `bench tune`: a space of settings, trials that measure them, and a paired measurement of the best."""
