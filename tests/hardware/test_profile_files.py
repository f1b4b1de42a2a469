"""The profiles that ship: complete, sourced, possible, and each found on the machine that it is of."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bench.errors import UserError
from bench.hardware.load import load_profile
from bench.hardware.match import best
from bench.hardware.schema import Stated, StatedNames
from bench.machine.environment import FEATURES
from bench.record.environment import Environment
from bench.runtimes.table import targets

FOLDER = Path(__file__).parents[2] / "hardware_profiles"
FILES = sorted(FOLDER.glob("*.toml"))
PROFILES = {path.stem: load_profile(str(path)) for path in FILES}
EXPECTED = {
    "generic-cpu", "server-cpu-avx2", "server-cpu-vnni", "server-cpu-amx", "raspberry-pi-5", "jetson-orin",
    "nvidia-t4", "nvidia-l4", "nvidia-a100", "nvidia-h100", "nvidia-h200", "apple-m-series",
}  # fmt: skip
TENSOR_CORES = sorted(name for name, profile in PROFILES.items() if profile.kind == "gpu")
ASSUMED = "assumption, replace it"

NUMBER = r"\d+(?:\.\d+)?(?:e\d+)?"
FORMULA = re.compile(rf"({NUMBER}(?: [x/+] {NUMBER})+) = ({NUMBER})")

each_profile = pytest.mark.parametrize("name", sorted(PROFILES))


def figures(part: BaseModel, at: str = "") -> Iterator[tuple[str, Stated | StatedNames]]:
    """Every figure in a profile with its key."""
    for field in type(part).model_fields:
        value = getattr(part, field)
        entries = value.items() if isinstance(value, dict) else [("", value)]
        for key, entry in entries:
            name = ".".join(filter(None, (at, field, key)))
            if isinstance(entry, Stated | StatedNames):
                yield name, entry
            elif isinstance(entry, BaseModel):
                yield from figures(entry, name)


def recomputed(expression: str) -> float:
    """Sums of products and quotients, from left to right."""
    total = 0.0
    for term in expression.split(" + "):
        first, *rest = term.split(" ")
        value = float(first)
        for sign, number in zip(rest[::2], rest[1::2], strict=True):
            value = value * float(number) if sign == "x" else value / float(number)
        total += value
    return total


def environment(**given: object) -> Environment:
    """A machine's fingerprint, of which only what profiles look at matters here."""
    base: dict[str, object] = {
        "cpu_model": None, "cpu_features": (), "architecture": "x86_64", "cores_usable": (0, 1), "cores_logical": 2,
        "governor": None, "frequency_max_hz": None, "cache_bytes": None, "memory_bytes": 2**32,
        "memory_limit_bytes": None, "cpu_quota_cores": None, "kernel": "6", "system": "Linux", "virtualisation": None,
        "gpus": (), "gpu_driver": None, "python": "3.11", "packages": {},
    }  # fmt: skip
    return Environment(**{**base, **given})  # type: ignore[arg-type]


# ---- every profile


def test_every_target_has_its_profile() -> None:
    assert set(PROFILES) == EXPECTED


@each_profile
def test_a_profile_is_named_as_its_file(name: str) -> None:
    assert PROFILES[name].name == name


@each_profile
def test_every_figure_has_a_source_and_a_date_that_has_been(name: str) -> None:
    found = dict(figures(PROFILES[name]))
    assert {"cores", "memory.size", "memory.bandwidth", "peak.fp32"} <= set(found)
    # A day of leave, for clocks in other time zones.
    latest = datetime.date.today() + datetime.timedelta(days=1)
    for key, figure in found.items():
        assert figure.source.strip(), key
        assert "http:" not in figure.source, key
        assert datetime.date(2015, 1, 1) <= figure.date <= latest, key


@each_profile
def test_every_computation_in_a_note_gives_its_figure(name: str) -> None:
    for key, figure in figures(PROFILES[name]):
        worked = FORMULA.findall(figure.note)
        for expression, stated in worked:
            assert math.isclose(recomputed(expression), float(stated), rel_tol=1e-3), f"{key}: {figure.note}"
        if worked:
            assert isinstance(figure, Stated), key
            assert math.isclose(float(worked[-1][1]), figure.value, rel_tol=5e-3), f"{key}: {figure.note}"


def test_peaks_that_are_derived_show_how() -> None:
    for name, profile in PROFILES.items():
        for precision, figure in profile.peak.items():
            if "operations a cycle" in figure.note or "sparsity" in figure.note:
                assert FORMULA.search(figure.note), f"{name}: peak.{precision}"


@each_profile
def test_every_provider_is_one_that_the_harness_has(name: str) -> None:
    assert set(PROFILES[name].providers) <= set(targets())


@each_profile
def test_instruction_sets_are_those_that_the_fingerprint_looks_for(name: str) -> None:
    profile = PROFILES[name]
    listed = profile.instruction_sets.value if profile.instruction_sets else []
    assert set(profile.match.features) | set(profile.match.without) | set(listed) <= set(FEATURES)
    if listed:
        assert set(profile.match.features) <= set(listed)
        assert not set(profile.match.without) & set(listed)


# ---- prices


@each_profile
def test_a_price_says_that_it_is_an_example(name: str) -> None:
    price = PROFILES[name].price
    assert price is not None
    assert price.example
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    before = text[: text.index("[price]")].splitlines()[-1]
    assert before.startswith("# An example, to be replaced")


@each_profile
def test_a_rent_pays_for_power_and_a_bought_machine_says_what_it_assumes(name: str) -> None:
    price, energy = PROFILES[name].price, PROFILES[name].energy
    assert price is not None
    assert price.includes_energy == (price.per_hour is not None)
    if price.purchase is not None:
        assert price.life_years is not None
        assert price.utilisation is not None
        assert price.life_years.source == price.utilisation.source == ASSUMED
        assert energy.tariff is not None
    assert energy.carbon is not None


# ---- what physics and the datasheets ask for


@each_profile
def test_no_part_exceeds_the_whole(name: str) -> None:
    profile = PROFILES[name]
    for precision, core in profile.peak_core.items():
        assert core.value <= profile.peak[precision].value
    if profile.memory.bandwidth_core is not None:
        assert profile.memory.bandwidth_core.value <= profile.memory.bandwidth.value
    if profile.power.idle is not None and profile.power.tdp is not None:
        assert 0 < profile.power.idle.value < profile.power.tdp.value


@pytest.mark.parametrize("name", TENSOR_CORES)
def test_tensor_cores_are_faster_the_narrower_the_numbers(name: str) -> None:
    peak = {precision: figure.value for precision, figure in PROFILES[name].peak.items()}
    order = [peak[precision] for precision in ("fp32", "tf32", "fp16", "int8", "int4") if precision in peak]
    assert order == sorted(order)
    assert peak.get("bf16", peak["fp16"]) == peak["fp16"]


@pytest.mark.parametrize("name", TENSOR_CORES)
def test_rates_of_tensor_cores_are_all_dense(name: str) -> None:
    # A rate with sparsity among dense ones would show as a factor of 1 or 4.
    peak = PROFILES[name].peak
    assert peak["int8"].value / peak["fp16"].value == pytest.approx(2, rel=0.01)


def test_bandwidths_of_the_gpus_are_in_the_order_of_their_memories() -> None:
    order = ["jetson-orin", "nvidia-l4", "nvidia-t4", "nvidia-a100", "nvidia-h100", "nvidia-h200"]
    found = [PROFILES[name].memory.bandwidth.value for name in order]
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_an_h200_computes_as_an_h100_does() -> None:
    assert {p: f.value for p, f in PROFILES["nvidia-h200"].peak.items()} == {
        p: f.value for p, f in PROFILES["nvidia-h100"].peak.items()
    }


@pytest.mark.parametrize(
    ("name", "watts"),
    [("nvidia-t4", 70), ("nvidia-l4", 72), ("nvidia-a100", 400), ("nvidia-h100", 700), ("nvidia-h200", 700)],
)
def test_rated_powers_are_those_of_the_datasheets(name: str, watts: float) -> None:
    tdp = PROFILES[name].power.tdp
    assert tdp is not None
    assert tdp.value == watts


def test_instructions_for_int8_decide_what_a_server_cpu_can_do() -> None:
    plain, vnni, amx = (PROFILES[f"server-cpu-{kind}"] for kind in ("avx2", "vnni", "amx"))
    assert "int8" not in plain.peak
    assert vnni.peak["int8"].value == 4 * vnni.peak["fp32"].value
    assert amx.peak["int8"].value == 2 * amx.peak["bf16"].value == 32 * amx.peak["fp32"].value


# ---- the machine that a profile is of

_AVX2 = ("avx", "avx2", "fma", "f16c")
_AVX512 = (*_AVX2, "avx512f", "avx512bw", "avx512vl")
_ZEN4 = (*_AVX512, "avx512_vnni", "avx512_bf16")
_AMX = (*_ZEN4, "avx_vnni", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16")
_ARM82 = ("asimd", "asimdhp", "asimddp")


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("server-cpu-avx2", {"cpu_model": "AMD EPYC 7R32", "cpu_features": _AVX2}),
        ("server-cpu-vnni", {"cpu_model": "AMD EPYC 9R14", "cpu_features": _ZEN4}),
        ("server-cpu-vnni", {"cpu_model": "AMD EPYC", "cpu_features": _ZEN4}),
        ("server-cpu-amx", {"cpu_model": "Intel(R) Xeon(R) Platinum 8488C", "cpu_features": _AMX}),
        ("nvidia-t4", {"gpus": ("Tesla T4",), "cpu_model": "Intel(R) Xeon(R)", "cpu_features": _AVX512}),
        ("nvidia-l4", {"gpus": ("NVIDIA L4",), "cpu_model": "AMD EPYC 7R13 Processor", "cpu_features": _AVX2}),
        ("nvidia-a100", {"gpus": ("NVIDIA A100-SXM4-80GB",) * 8, "cpu_features": _AVX2}),
        ("nvidia-h100", {"gpus": ("NVIDIA H100 80GB HBM3",), "cpu_features": _AMX}),
        ("nvidia-h200", {"gpus": ("NVIDIA H200",), "cpu_features": _AMX}),
    ],
)
def test_a_profile_is_found_on_the_machine_that_it_is_of(name: str, machine: dict[str, object]) -> None:
    found = best(environment(**machine), PROFILES)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("raspberry-pi-5", {"architecture": "aarch64", "cpu_model": "Raspberry Pi 5 Model B Rev 1.0"}),
        ("jetson-orin", {"architecture": "aarch64", "cpu_model": "NVIDIA Jetson AGX Orin Developer Kit"}),
        ("apple-m-series", {"system": "Darwin", "architecture": "arm64", "cpu_model": "Apple M4"}),
    ],
)
def test_a_board_is_found_where_the_fingerprint_names_it(name: str, machine: dict[str, object]) -> None:
    # Whether it does depends on kernel and system: docs/profiles.md.
    found = best(environment(**machine), PROFILES)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "machine",
    [
        {"cpu_model": "Intel(R) Xeon(R) Platinum 8124M", "cpu_features": _AVX512},
        {"cpu_model": "Intel(R) Xeon(R) Platinum 8375C", "cpu_features": (*_AVX512, "avx512_vnni")},
        {"cpu_model": "AMD EPYC 9R45", "cpu_features": (*_ZEN4, "avx_vnni")},
        {"cpu_model": "Intel(R) N95", "cpu_features": _AVX2},
        {"gpus": ("NVIDIA L40S",)},
        {"gpus": ("NVIDIA L4-24Q",)},
        {"gpus": ("NVIDIA A100-SXM4-80GB MIG 1g.10gb",)},
        {"gpus": ("NVIDIA GH200 480GB",)},
        {"gpus": ("NVIDIA H200 NVL",)},
        {"gpus": ("NVIDIA H100 PCIe",)},
        {"gpus": ("NVIDIA A100-SXM4-40GB",)},
        {"gpus": ("NVIDIA A100 80GB PCIe",)},
        {"architecture": "aarch64", "cpu_model": None, "cpu_features": _ARM82},
        {"architecture": "aarch64", "cpu_model": "NVIDIA Jetson Orin Nano Developer Kit", "gpus": ("Orin (nvgpu)",)},
        {"system": "Darwin", "architecture": "arm64", "cpu_model": "Apple M4 Pro"},
        {},
    ],
)
def test_a_machine_that_is_only_like_a_profiled_one_gets_the_generic_profile(machine: dict[str, object]) -> None:
    found = best(environment(**machine), PROFILES)
    assert found is not None
    assert found.name == "generic-cpu"


def test_the_profile_in_the_documents_is_valid_and_its_computation_right(tmp_path: Path) -> None:
    page = (FOLDER.parent / "docs" / "profiles.md").read_text(encoding="utf-8")
    (toml,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "edge-box.toml"
    path.write_text(toml, encoding="utf-8")
    profile = load_profile(str(path))
    assert profile.name == path.stem
    ((expression, _),) = FORMULA.findall(profile.peak["fp32"].note)
    assert recomputed(expression) == pytest.approx(profile.peak["fp32"].value)


@each_profile
def test_the_readme_lists_every_profile(name: str) -> None:
    assert f"| `{name}` |" in (FOLDER / "README.md").read_text(encoding="utf-8")


# ---- a profile that is not right

SOUND = (FOLDER / "nvidia-l4.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("value = 300e9", 'value = "300 GB/s"', "memory.bandwidth.value"),
        ("value = 300e9", "value = -1", "memory.bandwidth.value"),
        ("value = 300e9", "value = nan", "memory.bandwidth.value"),
        ("[memory.bandwidth]\nvalue", "[memory.bandwith]\nvalue", "memory.bandwith"),
        ("[peak.int8]", "[peak.int7]", "peak.int7"),
        ('providers = ["onnxruntime-tensorrt", "onnxruntime-cuda"]\n', "", "providers"),
        ("date = 2026-02-13", 'date = "last spring"', "memory.size.date"),
        (r"gpu = '\bL4$'", "gpu = 'L4('", "match.gpu"),
        ("includes_energy = true", "energy_included = true", "price.energy_included"),
        ("[price.per_hour]", "[price.purchase]", "price"),
        ('kind = "gpu"', 'kind = "tpu"', "kind"),
    ],
)
def test_a_damaged_profile_is_refused_with_its_file_and_key(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in SOUND
    path = tmp_path / "nvidia-l4.toml"
    path.write_text(SOUND.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError) as refusal:
        load_profile(str(path))
    said = str(refusal.value)
    assert str(path) in said
    assert named in said
    assert refusal.value.remedy


@each_profile
def test_a_figure_without_its_source_or_date_is_refused_by_name(name: str, tmp_path: Path) -> None:
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    for key in ("source", "date"):
        path = tmp_path / f"{key}.toml"
        path.write_text(re.sub(rf"(\[memory\.bandwidth\]\n(?:.*\n)*?){key} = .*\n", r"\1", text), encoding="utf-8")
        with pytest.raises(UserError, match=rf"'memory\.bandwidth\.{key}' is missing") as refusal:
            load_profile(str(path))
        assert refusal.value.where == str(path)


@given(
    factors=st.lists(st.integers(1, 10**6), min_size=1, max_size=4),
    divisor=st.integers(1, 1000),
    more=st.integers(1, 99),
)
def test_the_check_of_computations_reads_products_quotients_and_sums(
    factors: list[int], divisor: int, more: int
) -> None:
    text = " x ".join(map(str, factors)) + f" / {divisor} + {more}"
    assert recomputed(text) == pytest.approx(math.prod(factors) / divisor + more)
    found = FORMULA.findall(f"how it follows: {text} = 7, and no more")
    assert found == [(text, "7")]
