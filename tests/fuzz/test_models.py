"""Damaged model files: each ends in a refusal, a row that says why, or figures; nothing crashes or hangs.

The thousand of each format take a quarter of an hour: `tox -e fuzz`.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.export.bundle import open_bundle, save
from bench.record.artifact import Artifact, Bundle, Format
from tests.fuzz.drive import Outcome, drive
from tests.fuzz.mutate import mutated

FORMATS: tuple[Format, ...] = ("onnx", "tflite")
KINDS = {"refused", "unavailable", "export failed", "case failed", "measured"}
ALWAYS, ALL, BATCH = 15, 1000, 50
MEMORY = 8 << 30
"""What a child may have: a damaged size must not cost the machine that tests."""
EXAMPLES = 32

Fuzz = Callable[[Format, int], Outcome]


@pytest.fixture(scope="module", autouse=True)
def limited() -> Iterator[None]:
    """Bounds the memory of this process and so of its children, where the system can (POSIX)."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, hard))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@pytest.fixture(scope="module")
def counted() -> Iterator[Counter[tuple[Format, str]]]:
    """How often each outcome came, told at the end."""
    outcomes: Counter[tuple[Format, str]] = Counter()
    yield outcomes
    print("\n" + "\n".join(f"{fmt} {kind}: {count}" for (fmt, kind), count in sorted(outcomes.items())))


def fp32(bundle: Bundle, fmt: Format) -> Artifact:
    return next(a for a in bundle.artifacts if (a.variant, a.format) == ("fp32", fmt))


@pytest.fixture
def fuzz(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path, counted: Counter[tuple[Format, str]]
) -> Callable[[Format, int], Outcome]:
    """What becomes of the digits network, damaged by a seed; every other time with its evaluation data."""
    folder, bundle = digits_bundle
    data = tmp_path / "data.npz"
    assert bundle.data.labels is not None
    np.savez(
        data,
        x=np.load(folder / bundle.data.inputs)["0"][:EXAMPLES],
        y=np.load(folder / bundle.data.labels)[:EXAMPLES],
    )

    def run(fmt: Format, seed: int) -> Outcome:
        path = tmp_path / f"damaged-{seed}.{fmt}"
        path.write_bytes(mutated((folder / fp32(bundle, fmt).path).read_bytes(), fmt, seed))
        outcome = drive(path, data if seed % 2 else None)
        counted[fmt, outcome.kind] += 1
        path.unlink()
        return outcome

    return run


def clear(outcome: Outcome) -> bool:
    return outcome.kind in KINDS and len(outcome.said) > len("finished") - 1


@pytest.mark.slow
@pytest.mark.parametrize("fmt", FORMATS)
def test_a_whole_file_is_measured(fmt: Format, digits_bundle: tuple[Path, Bundle]) -> None:
    folder, bundle = digits_bundle
    assert drive(folder / fp32(bundle, fmt).path) == Outcome("measured", "finished")


@pytest.mark.slow
@pytest.mark.parametrize("fmt", FORMATS)
def test_a_damaged_file_is_a_refusal_or_a_row(fmt: Format, fuzz: Fuzz) -> None:
    outcomes = [fuzz(fmt, seed) for seed in range(ALWAYS)]
    assert all(clear(outcome) for outcome in outcomes), outcomes
    assert {"refused", "measured"} <= {outcome.kind for outcome in outcomes}, "the damage is neither nothing nor all"


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("begin", range(0, ALL, BATCH))
@pytest.mark.parametrize("fmt", FORMATS)
def test_a_thousand_damaged_files_are(fmt: Format, begin: int, fuzz: Fuzz) -> None:
    outcomes = {seed: fuzz(fmt, seed) for seed in range(begin, begin + BATCH)}
    assert not {seed: outcome for seed, outcome in outcomes.items() if not clear(outcome)}


@pytest.mark.slow
@pytest.mark.parametrize("fmt", FORMATS)
def test_a_damaged_file_in_a_bundle_is_found_by_its_checksum(
    fmt: Format, digits_bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    folder, bundle = digits_bundle
    artifact = fp32(bundle, fmt)
    content = (folder / artifact.path).read_bytes()
    whole = save(folder, lambda made: made == artifact, tmp_path / "whole.zip")
    for seed in range(ALWAYS):
        damaged = tmp_path / "damaged.zip"
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(damaged, "w") as target:
            for name in source.namelist():
                target.writestr(name, mutated(content, fmt, seed) if name == artifact.path else source.read(name))
        with pytest.raises(UserError, match="damaged"):
            open_bundle(damaged, tmp_path / f"scratch-{seed}")


@pytest.mark.slow
@pytest.mark.parametrize("fmt", FORMATS)
def test_the_same_seed_does_the_same_damage_and_another_seed_another(
    fmt: Format, digits_bundle: tuple[Path, Bundle]
) -> None:
    folder, bundle = digits_bundle
    content = (folder / fp32(bundle, fmt).path).read_bytes()
    made = [mutated(content, fmt, seed) for seed in range(ALWAYS)]
    assert made == [mutated(content, fmt, seed) for seed in range(ALWAYS)]
    assert len({*made, content}) == ALWAYS + 1
