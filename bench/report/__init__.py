"""For people and machines: tables of a run in the terminal, as Markdown, CSV and JSON."""
