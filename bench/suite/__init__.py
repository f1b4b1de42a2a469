"""What to run: a suite file becomes an ordered list of cases."""
