"""A profile of this machine as a file: whole, and read back as it was written."""

from __future__ import annotations

import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.hardware.detect import detected, guessed
from bench.hardware.load import load_profile
from bench.hardware.match import best, fits
from bench.hardware.written import as_toml
from bench.machine.environment import read_environment
from bench.record.measurement import Measurement
from bench.record.peaks import Peaks
from tests.hardware.test_load_and_match import a_profile

HERE = read_environment()


def seen(value: float, unit: str = "op/s") -> Measurement:
    return Measurement(value=value, unit=unit, n=9, how="measured:a product, best of 2 processes")


def peaks(threads: int) -> Peaks:
    return Peaks(
        threads=threads,
        compute={"fp32": seen(1.234567e11 * threads), "bf16": Measurement.unavailable("op/s", "no runtime")},
        bandwidth=seen(2e10 * threads, "B/s"),
        call={"onnxruntime-cpu": seen(5e-6, "s"), "litert-xnnpack": Measurement.unavailable("s", "not installed")},
        node={"onnxruntime-cpu": seen(3e-7, "s")},
    )


def test_a_measured_profile_is_read_back_as_it_was_written(tmp_path):
    made = detected(HERE, peaks(4), peaks(1), name=None, providers=["onnxruntime-cpu"])
    path = tmp_path / "here.toml"
    path.write_text(as_toml(made))
    assert load_profile(str(path)) == made
    assert made.cores.value == 4
    assert made.peak["fp32"].value == 4.938e11
    assert made.peak_core["fp32"].value == 1.235e11
    assert set(made.peak) == {"fp32"}, "what is not known is left out"
    assert set(made.call) == {"onnxruntime-cpu"}
    assert made.peak["fp32"].source == "measured by bench profile detect (a product, best of 2 processes)"
    assert made.peak["fp32"].date == datetime.datetime.now(datetime.UTC).date()
    assert made.memory.bandwidth_core is not None
    assert made.price is None
    assert "# [price]" in path.read_text()


def test_it_fits_the_machine_that_it_was_read_off_better_than_any_other():
    made = detected(HERE, peaks(2), peaks(1), name="mine", providers=["onnxruntime-cpu"])
    (fit,) = fits(HERE, {"mine": made})
    assert fit.fits, fit.why
    assert best(HERE, {"other": a_profile(), "mine": made}) is made
    (elsewhere,) = fits(msgspec.structs.replace(HERE, cpu_model="Another CPU"), {"mine": made})
    assert not elsewhere.fits


def test_one_core_alone_is_not_told_twice():
    made = detected(HERE, peaks(1), None, name="one", providers=["onnxruntime-cpu"])
    assert not made.peak_core
    assert made.memory.bandwidth_core is None


def test_without_a_peak_there_is_no_profile_and_it_says_why():
    nothing = msgspec.structs.replace(peaks(2), compute={"fp32": Measurement.unavailable("op/s", "it crashed")})
    with pytest.raises(UserError, match="it crashed"):
        detected(HERE, nothing, None, name=None, providers=["onnxruntime-cpu"])


def test_a_name_that_is_none_is_refused():
    with pytest.raises(UserError, match="pattern"):
        detected(HERE, peaks(2), None, name="my machine", providers=["onnxruntime-cpu"])


def test_without_measuring_the_figures_are_those_of_the_nearest_profile_scaled():
    made = guessed(HERE, 2, a_profile(name="near"), name="guess", providers=["onnxruntime-cpu"])
    assert made.peak["fp32"].value == 2e11
    assert made.peak["fp32"].source == "profile near: in proportion to the cores, 2 of 4, from a data sheet"
    assert made.peak["fp32"].date == datetime.date(2024, 1, 1)
    assert made.peak["fp32"].note == "from 4e+11 op/s of 4 cores", "what it says of the whole would contradict it"
    assert not made.call
    with pytest.raises(UserError, match="is of a GPU"):
        guessed(HERE, 2, a_profile(kind="gpu"), name="guess", providers=["onnxruntime-cpu"])


def test_without_measuring_a_larger_machine_has_more_compute_and_no_guessed_bandwidth():
    made = guessed(HERE, 8, a_profile(name="near"), name="guess", providers=["onnxruntime-cpu"])
    assert made.peak["fp32"].value == 8e11
    assert made.peak["fp32"].source == "profile near: in proportion to the cores, 8 of 4, from a data sheet"
    assert made.memory.bandwidth.value == 2e10
    assert made.memory.bandwidth.source == "profile near: of 4 cores, not scaled up, from a data sheet"
    same = guessed(HERE, 4, a_profile(name="near"), name="guess", providers=["onnxruntime-cpu"])
    assert same.peak["fp32"].source == "profile near: a data sheet"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(1e-300, 1e300))
def test_any_text_and_number_survives_the_file(tmp_path_factory, text, value):
    path = tmp_path_factory.mktemp("profile") / "odd.toml"
    figure = {"value": value, "source": f"x{text}", "date": datetime.date(2024, 2, 29), "note": text}
    made = a_profile(about=text, peak={"fp32": figure})
    path.write_text(as_toml(made), encoding="utf-8", newline="")
    assert load_profile(str(path)) == made
