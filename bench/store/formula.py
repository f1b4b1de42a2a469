"""Text that a spreadsheet would take for a formula (OWASP, CSV Injection)."""

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Starts of a cell that a spreadsheet takes for a formula, the wide forms included."""
MARK = "'"
"""What stands before such a cell, so that it is taken for text."""


def defused(text: str) -> str:
    """`text`, marked as text where a spreadsheet would take it for a formula, white space before it or not."""
    return MARK + text if text.startswith(STARTS) or text.lstrip().startswith(STARTS) else text
