"""What the documents show can be typed."""

from __future__ import annotations

import re
from pathlib import Path

from bench.suite.schema import InputsFile
from bench.suite.validate import load_toml
from tests.conftest import bench

DOCS = Path(__file__).parents[2] / "docs"


def test_the_suite_in_the_documents_is_valid_and_expands(tmp_path: Path) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", (DOCS / "suites.md").read_text(), re.DOTALL)
    (tmp_path / "mine.toml").write_text(toml.replace(', "my.onnx"', ""))
    done = bench("run", "mine.toml", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = done.stdout.splitlines()
    assert "mnist_cnn@digits/fp32/litert-xnnpack/t1/b1/single-stream" in names
    assert "mnist_cnn@digits/fp32/onnxruntime-cpu/t1/b1/single-stream/graph_optimization=all" in names


def test_every_link_between_the_documents_leads_somewhere() -> None:
    root = DOCS.parent
    for page in [*root.glob("*.md"), *DOCS.glob("*.md"), *root.glob("*/README.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_descriptions_of_inputs_in_the_documents_are_valid(tmp_path: Path) -> None:
    texts = re.findall(r"```toml\n(.*?)```", (DOCS / "own-model.md").read_text(), re.DOTALL)
    assert texts
    for text in texts:
        (tmp_path / "inputs.toml").write_text(text)
        assert load_toml(tmp_path / "inputs.toml", InputsFile, kind="file of inputs").inputs
