"""Profiles: found by name, told from one another, and scaled to threads."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.hardware.load import load_profile, profiles, readable_profiles
from bench.hardware.match import GENERIC, best, fits
from bench.hardware.schema import HardwareProfile, Match
from bench.hardware.stated import stated_peaks
from bench.machine.environment import read_environment
from bench.record.environment import Environment

HERE = read_environment()
TEXT = """
name = "small"
title = "A small board"
kind = "cpu"
providers = ["onnxruntime-cpu"]
cores = { value = 4, source = "data sheet", date = 2024-01-01 }
[peak]
fp32 = { value = 4e11, source = "data sheet", date = 2024-01-01 }
int8 = { value = 16e11, source = "a talk", date = 2025-01-01 }
[peak_core]
int8 = { value = 6e11, source = "measured by us", date = 2024-02-01 }
[memory]
size = { value = 8e9, source = "data sheet", date = 2024-01-01 }
bandwidth = { value = 2e10, source = "data sheet", date = 2024-01-01 }
bandwidth_core = { value = 1.5e10, source = "measured by us", date = 2024-02-01 }
[call]
onnxruntime-cpu = { value = 5e-6, source = "measured by us", date = 2024-02-01 }
"""


def a_profile(**changes: object) -> HardwareProfile:
    figure = {"value": 4.0, "source": "a data sheet", "date": datetime.date(2024, 1, 1)}
    content: dict[str, object] = {
        "name": "one",
        "title": "One",
        "kind": "cpu",
        "providers": ["onnxruntime-cpu"],
        "cores": figure,
        "peak": {"fp32": {**figure, "value": 4e11}},
        "memory": {"size": figure, "bandwidth": {**figure, "value": 2e10}},
    }
    return HardwareProfile.model_validate(content | changes)


def machine(**changes: object) -> Environment:
    return msgspec.structs.replace(HERE, **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(TEXT)
    return tmp_path


def test_a_folder_given_comes_before_the_ones_that_ship(folder):
    (folder / f"{GENERIC}.toml").write_text(TEXT.replace("small", GENERIC))
    found = profiles([folder])
    assert found["small"] == folder / "small.toml"
    assert found[GENERIC] == folder / f"{GENERIC}.toml"


def test_profiles_lying_here_are_found(folder, monkeypatch):
    (folder / "work" / "hardware_profiles").mkdir(parents=True)
    (folder / "small.toml").rename(folder / "work" / "hardware_profiles" / "small.toml")
    monkeypatch.chdir(folder / "work")
    assert load_profile("small").title == "A small board"


def test_a_path_is_a_profile_too(folder):
    assert load_profile(str(folder / "small.toml")).cores.value == 4


def test_an_unknown_name_is_told_with_the_nearest_one(folder):
    with pytest.raises(UserError, match="unknown hardware profile 'smal'") as told:
        load_profile("smal", [folder])
    assert "did you mean 'small'" in str(told.value)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (TEXT.replace("title", "titel"), "unknown key 'titel'"),
        (TEXT.replace(", date = 2024-01-01 }\n[peak]", " }\n[peak]"), "cores.date"),
        (TEXT.replace("4e11", "-4e11"), "peak.fp32.value"),
        ("name = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said_with_its_place(folder, broken, said):
    (folder / "small.toml").write_text(broken)
    with pytest.raises(UserError) as told:
        load_profile("small", [folder])
    assert said in str(told.value)
    assert "small" in readable_profiles([folder])[1], "a broken one does not hide the others"


def test_the_first_condition_that_does_not_hold_is_the_reason():
    here = machine(
        architecture="x86_64", cpu_model="Some CPU 9", cpu_features=("avx2",), gpus=(), cores_usable=(0, 1, 2, 3)
    )
    wanted = {
        "arm": a_profile(match=Match(architecture=["aarch64"], features=["asimd"])),
        "model": a_profile(match=Match(architecture=["x86_64"], cpu_model="other cpu")),
        "gpu": a_profile(match=Match(gpu="T4")),
        "feature": a_profile(match=Match(features=["avx2", "avx512f"])),
        "without": a_profile(match=Match(without=["avx2"])),
        "fits": a_profile(match=Match(cpu_model="some cpu", features=["avx2"], without=["avx512f"])),
        "all": a_profile(),
    }
    told = {fit.name: fit for fit in fits(here, wanted)}
    assert [name for name, fit in told.items() if fit.fits] == ["fits", "all"]
    assert told["arm"].why == "the architecture is x86_64, not aarch64"
    assert told["model"].why == "the CPU is Some CPU 9, not one like /other cpu/"
    assert told["gpu"].why == "no GPU was found"
    assert told["feature"].why == "the CPU has no avx512f"
    assert told["without"].why == "the CPU has avx2"
    assert told["fits"].why == "the CPU is Some CPU 9; avx2 is here; avx512f is not here"


def test_the_one_that_asks_for_most_is_the_best_and_the_generic_one_the_last():
    here = machine(cpu_features=("avx2", "fma"), gpus=("Tesla T4",), architecture="x86_64")
    known = {
        GENERIC: a_profile(name=GENERIC, match=Match(features=["avx2", "fma"])),
        "plain": a_profile(name="plain"),
        "avx2": a_profile(name="avx2", match=Match(features=["avx2"])),
        "t4": a_profile(name="t4", match=Match(gpu=r"\bT4\b")),
    }

    def chosen(*names: str) -> str | None:
        found = best(here, {name: known[name] for name in names})
        return found and found.name

    assert chosen(*known) == "t4"
    assert chosen(GENERIC, "plain", "avx2") == "avx2"
    assert chosen(GENERIC, "plain") == "plain"
    assert chosen(GENERIC) == GENERIC
    assert best(machine(gpus=()), {"t4": known["t4"]}) is None


def test_a_machine_that_tells_nothing_fits_no_named_cpu():
    (told,) = fits(machine(cpu_model=None), {"named": a_profile(match=Match(cpu_model="EPYC"))})
    assert not told.fits
    assert "not known" in told.why


def test_a_profile_of_a_part_of_the_machine_says_so():
    (told,) = fits(machine(cores_usable=tuple(range(96)), cores_logical=96), {"part": a_profile()})
    assert told.fits
    assert told.why == "it asks for nothing; its figures are of 4 cores, and 96 logical CPUs are here"
    for logical in (4, 8):
        (told,) = fits(machine(cores_usable=(0, 1), cores_logical=logical), {"whole": a_profile()})
        assert told.why == "it asks for nothing"


def test_a_file_in_a_folder_of_profiles_is_called_as_its_profile(tmp_path):
    (tmp_path / "hardware_profiles").mkdir()
    path = tmp_path / "hardware_profiles" / "other.toml"
    path.write_text(TEXT)
    for word in (str(path), "other"):
        with pytest.raises(UserError, match="the profile in it is called 'small'"):
            load_profile(word, [path.parent])
    assert "other" in readable_profiles([path.parent])[1]
    elsewhere = path.rename(tmp_path / "mine.toml")
    assert load_profile(str(elsewhere)).name == "small"


def test_a_name_with_a_dot_is_a_name(tmp_path):
    (tmp_path / "my.box.toml").write_text(TEXT.replace('"small"', '"my.box"'))
    assert load_profile("my.box", [tmp_path]).name == "my.box"


@pytest.mark.parametrize("key", ["cores", "peak", "memory"])
def test_a_figure_of_0_is_no_figure(key):
    nothing = {"value": 0, "source": "s", "date": datetime.date(2024, 1, 1)}
    whole = {"cores": nothing, "peak": {"fp32": nothing}, "memory": {"size": nothing, "bandwidth": nothing}}
    with pytest.raises(ValueError, match="must be over 0"):
        a_profile(**{key: whole[key]})


PRICE_BOUGHT = {"purchase": 2000, "life_years": 4, "utilisation": 0.5}


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ({}, "give either per_hour, or purchase"),
        ({**PRICE_BOUGHT, "per_hour": 1}, "give either per_hour, or purchase"),
        ({"per_hour": 1, "life_years": 4}, "belong to purchase, not to per_hour"),
        ({"purchase": 2000, "life_years": 4}, "purchase needs life_years and utilisation too"),
        ({**PRICE_BOUGHT, "life_years": 0}, "life_years must be over 0"),
        ({**PRICE_BOUGHT, "utilisation": 0}, "utilisation is a share over 0 and at most 1"),
        ({**PRICE_BOUGHT, "utilisation": 1.5}, "utilisation is a share over 0 and at most 1"),
        ({**PRICE_BOUGHT, "includes_energy": True}, "includes_energy is for a rent"),
    ],
)
def test_a_price_is_that_of_a_rent_or_of_a_machine_that_was_bought(price, said):
    stated = {
        name: value if name == "includes_energy" else {"value": value, "source": "s", "date": "2024-01-01"}
        for name, value in price.items()
    }
    with pytest.raises(ValueError, match=said):
        a_profile(price=stated)


def test_what_bench_measured_stays_a_measurement():
    figure = {"value": 1e11, "source": "measured by bench profile detect (a product)", "date": "2024-01-01"}
    (told,) = stated_peaks(a_profile(peak={"fp32": figure}), [4]).by_threads
    assert told.compute["fp32"].how == "measured:by bench profile detect (a product)"
    assert told.bandwidth.how == "stated:a data sheet"


def test_stated_peaks_keep_what_is_stated_and_say_what_is_scaled(folder):
    peaks = stated_peaks(load_profile("small", [folder]), [1, 2, 4, 8])
    one, two, four, eight = peaks.by_threads
    assert peaks.name == "small"
    assert peaks.created == "2025-01-01"
    assert four.compute["fp32"].value == eight.compute["fp32"].value == 4e11
    assert four.compute["fp32"].how == "stated:data sheet"
    assert eight.compute["fp32"].how == "estimated:the whole of 4 cores, fewer than 8 threads, from data sheet"
    assert two.compute["fp32"].value == 2e11
    assert two.compute["fp32"].how == "estimated:in proportion to the cores, 2 of 4, from data sheet"
    assert one.compute["int8"].value == 6e11
    assert one.compute["int8"].how == "stated:measured by us"
    assert two.compute["int8"].value == 12e11
    assert two.compute["int8"].is_estimate
    assert two.bandwidth.value == 2e10, "two cores ask for more than the whole has"
    assert four.call["onnxruntime-cpu"].value == 5e-6
    assert not four.node


def test_a_gpu_is_one_whole_whatever_the_threads():
    told = stated_peaks(a_profile(kind="gpu"), [1]).by_threads[0]
    assert told.compute["fp32"].value == 4e11
    assert told.compute["fp32"].how.startswith("stated:")


@given(st.lists(st.integers(1, 512), min_size=1), st.one_of(st.none(), st.floats(1e9, 1e12)))
def test_more_threads_never_have_less(counts, core):
    more = {} if core is None else {"fp32": {"value": core, "source": "s", "date": datetime.date(2024, 1, 1)}}
    told = stated_peaks(a_profile(peak_core=more), sorted(counts)).by_threads
    values = [peaks.compute["fp32"].value or 0 for peaks in told if core is None or core <= 4e11]
    assert values == sorted(values)
    assert all(value <= 4e11 for value in values)
