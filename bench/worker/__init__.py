"""One case, one fresh process."""
