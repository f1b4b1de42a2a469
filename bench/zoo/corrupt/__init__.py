"""Evaluation inputs made worse on purpose, by kind of data, at five severities."""
