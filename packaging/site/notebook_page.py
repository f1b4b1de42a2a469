"""A notebook as a page: its words and its code. It is kept without results; the tests run it."""

from __future__ import annotations

import json
from pathlib import Path


def markdown(path: Path) -> str:
    """The cells of the notebook in their order, with a link to the notebook under the title."""
    cells = json.loads(path.read_text())["cells"]
    title, *rest = ["".join(cell["source"]) if cell["cell_type"] == "markdown" else _code(cell) for cell in cells]
    head, _, first = title.partition("\n")
    return "\n\n".join([head, f"The notebook itself: [{path.name}]({path.name}).", first, *rest])


def _code(cell: dict[str, list[str]]) -> str:
    return f"```python\n{''.join(cell['source'])}\n```"
