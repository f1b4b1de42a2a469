"""A speech detector with memory: three inputs, a recording cut to frames, decisions as in fp32."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import bench

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RATE, FRAME, CONTEXT = 16_000, 512, 64
CALIBRATION = 400  # steps, from the start
TABLES = f"[inputs.state]\nstate = 'stateN'\n[inputs.sr]\ngenerator = 'constant'\nvalue = {RATE}\n"
SUITE = (
    "name='vad'\n[measure]\nwarmup_max_s=0.3\nmin_s=0.2\nmax_s=0.5\n"
    "[variants.held]\nfrom='int8-dynamic'\nexclude='auto'\nmax_loss=0.02\n"
    "[[matrix]]\nvariants=['fp32','fp16','held']\nruntimes=['onnxruntime-cpu']\n"
)


def frames(path: Path) -> np.ndarray:
    """The recording in steps of 32 ms, each with the last 4 ms of the step before: [steps, 1, 576], within ±1."""
    with wave.open(str(path)) as recording:
        assert (recording.getframerate(), recording.getnchannels()) == (RATE, 1)
        sound = np.frombuffer(recording.readframes(recording.getnframes()), np.int16).astype(np.float32) / 2**15
    padded = np.concatenate([np.zeros(CONTEXT, np.float32), sound])
    starts = range(0, len(sound) - FRAME + 1, FRAME)
    return np.stack([padded[at : at + CONTEXT + FRAME] for at in starts])[:, None]


@pytest.fixture
def work(data_dir: Path, tmp_path: Path) -> Path:
    steps = frames(data_dir / "models/silero-vad/test.wav")
    np.savez(tmp_path / "frames.npz", x=steps, calibration=steps[:CALIBRATION])
    (tmp_path / "f.toml").write_text(TABLES)
    (tmp_path / "plain.toml").write_text(SUITE)
    (tmp_path / "whole.toml").write_text(SUITE + TABLES)
    return tmp_path


def test_its_frames_are_measured_and_most_are_speech(data_dir: Path, work: Path) -> None:
    model = str(data_dir / "models/silero-vad/silero_vad_16k_op15.onnx")
    arguments = ("--model", model, "--data", "frames.npz", "--only", "fp32", "--json")
    of_file = bench("run", "plain.toml", "--inputs", "f.toml", *arguments, cwd=work)
    assert of_file.returncode == 0, of_file.stderr
    (row,) = json.loads(of_file.stdout)["cases"]
    assert row["dataset"] == "frames.npz (state from stateN, sr constant 16000)"
    assert row["metrics"]["parity_max_abs"]["value"] < 1e-3, "free-running over 1,875 steps"
    assert row["metrics"]["parity_max_abs"]["n"] == 1875
    of_suite = bench("run", "whole.toml", *arguments, cwd=work)
    assert of_suite.returncode == 0, of_suite.stderr
    assert "converting" not in of_suite.stderr, "the same words in a suite are the same export"
    out = bench(
        "export", model, "--inputs", "f.toml", "--data", "frames.npz", "--variants", "fp32", "-o", "b", cwd=work
    )
    assert out.returncode == 0, out.stderr
    with np.load(work / "b/data/reference.npz") as reference:
        speech = (reference["0"] >= 0.5).mean()
    assert 0.7 < speech < 0.85
    index = json.loads((work / "b/bundle.json").read_text())
    assert index["model"]["state"] == [["state", "stateN"]]


def test_its_decisions_hold_in_half_precision_and_with_integer_weights(data_dir: Path, work: Path) -> None:
    """Each variant with its own memory from step to step, over steps that chose nothing too."""
    model = str(data_dir / "models/silero-vad/silero_vad_16k_op15.onnx")
    done = bench("run", "whole.toml", "--model", model, "--data", "frames.npz", "--json", cwd=work)
    assert done.returncode == 0, done.stderr
    shares = {row["case"]["variant"]: row["metrics"]["parity_agreement"] for row in json.loads(done.stdout)["cases"]}
    assert set(shares) == {"fp32", "fp16", "held"}
    assert shares["fp32"]["value"] == 1.0
    for share in shares.values():
        assert share["value"] >= 0.98
        assert share["n"] == 1875


def test_descriptions_are_refused_where_there_is_nothing_to_describe(work: Path) -> None:
    done = bench("run", "quick", "--inputs", "f.toml", cwd=work)
    assert done.returncode == 2
    assert "bring their own data" in done.stderr
    done = bench("run", "plain.toml", "--inputs", "none.toml", "--model", "x.onnx", cwd=work)
    assert done.returncode == 2
    assert "none.toml" in done.stderr


def test_a_misspelt_input_is_refused_with_its_place(data_dir: Path, work: Path) -> None:
    (work / "f.toml").write_text(TABLES.replace("inputs.sr", "inputs.rate"))
    model = str(data_dir / "models/silero-vad/silero_vad_16k_op15.onnx")
    done = bench("run", "plain.toml", "--model", model, "--inputs", "f.toml", cwd=work)
    assert done.returncode == 2
    assert "unknown input 'rate'" in done.stderr
    assert "f.toml: inputs.rate" in done.stderr
