"""Readers of what comes from elsewhere, under a fuzzer that follows the code's branches.

Run as `python tests/fuzz/readers.py READER CORPUS -max_total_time=60`; what follows the reader's name is libFuzzer's.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bench", "tomllib"]):
    import msgspec

    from bench.analyse.rules import parse_word
    from bench.cli import amounts
    from bench.errors import UserError
    from bench.export.bundle import open_bundle
    from bench.export.recipes import parse_definition
    from bench.fleet.record import read_fleet
    from bench.hardware.load import load_profile
    from bench.record.artifact import TensorSpec
    from bench.record.codec import unpack
    from bench.record.observation import Observation
    from bench.store import journal
    from bench.store.baseline_file import encode, read_baseline
    from bench.store.foreign import read_foreign
    from bench.store.manifest import read_manifest
    from bench.suite.load import load_suite
    from bench.worker.messages import FromChild
    from bench.zoo.userdata import read

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "tests" / "upgrade" / "v0.1.0"
_SCRATCH = Path(tempfile.mkdtemp(prefix="fuzz-"))
_SPEC = TensorSpec(name="x", shape=(None, 4), dtype="float32")


def _file(name: str, content: bytes) -> Path:
    path = _SCRATCH / name
    path.write_bytes(content)
    return path


def suite(content: bytes) -> None:
    """A suite file."""
    load_suite(str(_file("s.toml", content)))


def profile(content: bytes) -> None:
    """A hardware profile."""
    load_profile(str(_file("p.toml", content)))


def manifest(content: bytes) -> None:
    """The manifest of a run."""
    read_manifest(_file("manifest.json", content).parent)


def fleet(content: bytes) -> None:
    """The record of a fleet."""
    read_fleet(_file("fleet.json", content).parent).cells()


def baseline(content: bytes) -> None:
    """A saved snapshot, which is written again."""
    encode(read_baseline(_file("b.json", content)))


def foreign(content: bytes) -> None:
    """A file of another tool."""
    read_foreign(_file("f.json", content))


def entry(content: bytes) -> None:
    """An entry of the journal."""
    with contextlib.suppress(msgspec.DecodeError):
        journal.decode(content)


def message(content: bytes) -> None:
    """What a worker says, and a record that came over the wire."""
    for kind in (FromChild, Observation):
        with contextlib.suppress(msgspec.DecodeError):
            unpack(content, kind)  # type: ignore[arg-type]


def bundle(content: bytes) -> None:
    """A zipped bundle."""
    with tempfile.TemporaryDirectory(dir=_SCRATCH) as scratch:
        open_bundle(_file("b.zip", content), Path(scratch))


def data(content: bytes) -> None:
    """Data of the user."""
    read(_file("d.npz", content), [_SPEC])


def words(content: bytes) -> None:
    """Amounts, rules and definitions of a command line."""
    text = content.decode("utf-8", "surrogateescape")
    for parse in (amounts.seconds, amounts.latency, amounts.rate, amounts.size, parse_word):
        with contextlib.suppress(UserError):
            parse(text, "--option")
    parse_definition(text)


READERS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (suite, profile, manifest, fleet, baseline, foreign, entry, message, bundle, data, words)
}


def seeds(reader: str) -> list[bytes]:
    """Valid content to begin with."""
    (run,) = KEPT.glob("*/manifest.json")
    files = {
        "suite": [KEPT / "suite.toml"],
        "profile": [KEPT / "target.toml"],
        "manifest": [run],
        "baseline": list((KEPT / "baselines" / "main").glob("*.json")),
        "bundle": [KEPT / "bundle.zip"],
    }
    members = {
        "fleet": ("fleet.zip", "fleet.json"),
        "entry": ("stopped.zip", ".msgpack"),
        "message": ("slim.zip", ".msgpack"),
    }
    if reader in members:
        archive, end = members[reader]
        with zipfile.ZipFile(KEPT / archive) as packed:
            return [packed.read(name) for name in packed.namelist() if name.endswith(end)]
    if reader == "data":
        with zipfile.ZipFile(KEPT / "bundle.zip") as packed:
            return [packed.read("data/inputs.npz")]
    if reader == "foreign":
        stats = '{"median": 1e-3, "mean": 1e-3, "rounds": 9, "data": [1e-3]}'
        return [
            f'{{"machine_info": {{"cpu": {{}}}}, "benchmarks": [{{"name": "a", "stats": {stats}}}]}}'.encode(),
            b'{"context": {"date": "2026"}, "benchmarks": [{"name": "a_median", "real_time": 5.0, "time_unit": "ns"}]}',
        ]
    if reader == "words":
        return [
            b"10ms",
            b"10k/s",
            b"5GB",
            b"30d",
            b"*: p50_latency=5%",
            b"size<=200kB",
            b"own=int8,calibration=entropy",
        ]
    return [path.read_bytes() for path in files[reader]]


def main() -> None:
    """Fuzz one reader until libFuzzer's limits; anything but a `UserError` ends it."""
    name, corpus = sys.argv[1], Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(seeds(name)):
        (corpus / f"seed{number}").write_bytes(content)

    def one(content: bytes) -> None:
        with contextlib.suppress(UserError):
            READERS[name](content)

    # libFuzzer names its findings by -artifact_prefix; a reader that takes 20 s has hung.
    atheris.Setup([sys.argv[0], str(corpus), "-timeout=20", "-rss_limit_mb=4096", *sys.argv[3:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
