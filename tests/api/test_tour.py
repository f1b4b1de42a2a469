"""The notebook of the documents runs from beginning to end, and a kernel can measure."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

DOCS = Path(__file__).parents[2] / "docs"
MEASURE = """
made = bench.run({suite!r}, only="*/fp32/onnxruntime-cpu/*", out="results")
assert made.rows[0].metrics["p50_latency"].value > 0
made
"""


def test_the_notebook_runs_and_a_kernel_measures(tmp_path: Path, brief_quick: Path, export_cache: Path) -> None:
    del export_cache
    shutil.copytree(DOCS / "examples/digits-run", tmp_path / "examples/digits-run")
    book = nbformat.read(DOCS / "tour.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "outputs are stripped before it is kept"
    book.cells.append(nbformat.v4.new_code_cell(MEASURE.format(suite=str(brief_quick))))
    client = nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    shown = [output for cell in book.cells for output in cell.get("outputs", ())]
    pages = [output["data"]["text/html"] for output in shown if "text/html" in output.get("data", {})]
    assert len(pages) >= 5
    assert not any("<script" in page for page in pages if "vega" not in page)
    assert (tmp_path / "report.html").read_text().lstrip().lower().startswith("<!doctype html")
    told = "".join(output["text"] for output in shown if output["output_type"] == "stream")
    assert "[1/1] mnist_cnn@digits/fp32/onnxruntime-cpu/t1/b1/single-stream: p50" in told
