"""How each figure of a row is got from what was observed. One file a kind of figure."""
