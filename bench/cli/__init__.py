"""Parse, call, render. No logic, and nothing heavy is imported before a command runs."""
