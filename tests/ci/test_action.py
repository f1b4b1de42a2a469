"""The GitHub Action and the GitLab job, their shell steps run as a runner does, with the real `bench`."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import onnx
import pytest
from onnx import TensorProto, helper

from bench.analyse.rules import rules_of
from bench.report.pull_request import MARKER
from tests.conftest import bench

yaml = pytest.importorskip("yaml")
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
GITLAB: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci/gitlab-ci.yml").read_text())
EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")

SUITE = """
name = "short"
[measure]
warmup_min_s = 0.01
warmup_max_s = 0.05
min_s = 0.05
max_s = 0.1
min_samples = 20
[gate]
size = "1%"
[[matrix]]
models = ["own.onnx"]
variants = ["fp32"]
runtimes = ["onnxruntime-cpu"]
"""

GH = """#!{python}
# The API of issue comments as `gh api` reaches it, kept in a file.
import json, os, pathlib, subprocess, sys
kept = pathlib.Path(os.environ["FAKE_KEPT"])
comments = json.loads(kept.read_text()) if kept.exists() else []
arguments = sys.argv[2:]
if os.environ["GH_TOKEN"] == "read-only" and "POST" in arguments:
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
def after(name):
    return arguments[arguments.index(name) + 1] if name in arguments else None
url = next(word for word in arguments if word.startswith("repos/someone/project/issues/"))
if after("--jq"):
    assert url == "repos/someone/project/issues/7/comments?per_page=100", url
    sys.exit(subprocess.run(["jq", "-r", after("--jq")], input=json.dumps(comments), text=True).returncode)
body = pathlib.Path(after("--field").removeprefix("body=@")).read_text()
if after("--method") == "PATCH":
    (comment,) = [c for c in comments if url.endswith("/comments/" + str(c["id"]))]
    comment["body"] = body
else:
    assert url == "repos/someone/project/issues/7/comments", url
    comments.append({{"id": 100 + len(comments), "body": body}})
kept.write_text(json.dumps(comments))
"""

CURL = """#!{python}
# GitLab's API of notes as curl reaches it, kept in a file.
import json, os, pathlib, sys
kept = pathlib.Path(os.environ["FAKE_KEPT"])
notes = json.loads(kept.read_text()) if kept.exists() else []
arguments = sys.argv[1:]
assert "PRIVATE-TOKEN: secret" in arguments
base = "https://gitlab.example/api/v4/projects/3/merge_requests/5/notes"
url = next(word for word in arguments if word.startswith(base))
if "--data-urlencode" not in arguments:
    print(json.dumps(notes))
    sys.exit()
body = pathlib.Path(arguments[arguments.index("--data-urlencode") + 1].removeprefix("body@")).read_text()
if "PUT" in arguments:
    (note,) = [n for n in notes if url == base + "/" + str(n["id"])]
    note["body"] = body
else:
    assert url == base, url
    notes.append({{"id": 100 + len(notes), "body": body}})
kept.write_text(json.dumps(notes))
"""


def step(name: str) -> dict[str, Any]:
    (found,) = [one for one in STEPS if one["name"] == name]
    return found


def model(path: Path, layers: int) -> None:
    """A model whose file grows with its layers."""
    nodes = [helper.make_node("Softmax", [f"x{at}"], [f"x{at + 1}"]) for at in range(layers)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 8]) for name in ("x0", f"x{layers}")]
    graph = helper.make_graph(nodes, "own", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(path))


def executable(path: Path, text: str) -> None:
    path.write_text(text.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def wheel(folder: Path) -> Path:
    """A package whose command `bench` is that of the environment the tests run in, so that pip has little to do."""
    info = "benchhere-1.dist-info"
    path = folder / "benchhere-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            "benchhere.py", f"import os, sys\ndef main(): os.execv({sys.executable!r}, {HERE!r} + sys.argv[1:])"
        )
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: benchhere\nVersion: 1\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/entry_points.txt", "[console_scripts]\nbench = benchhere:main\n")
        file.writestr(f"{info}/RECORD", "")
    return path


HERE = [sys.executable, "-m", "bench"]


@dataclasses.dataclass
class Job:
    """One job of GitHub Actions: its checkout, its files, and what its steps have put out."""

    checkout: Path
    temp: Path
    inputs: dict[str, str]
    kept: Path
    event: dict[str, str] = dataclasses.field(default_factory=lambda: {"github.event.pull_request.number": "7"})
    outputs: dict[str, str] = dataclasses.field(default_factory=dict)
    said: str = ""

    def run(self, *names: str) -> int:
        """Run these steps in turn until one fails; returns the exit code of the last one run."""
        for name in names:
            code = self._step(step(name))
            if code:
                return code
        return 0

    def _step(self, found: dict[str, Any]) -> int:
        script, output = self.temp / "step.sh", self.temp / "output"
        script.write_text(found["run"])
        output.write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.checkout,
            env={
                **os.environ,
                **{name: self.value(text) for name, text in found["env"].items()},
                "PATH": f"{self.temp}:{os.environ['PATH']}",
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_REPOSITORY": "someone/project",
                "GITHUB_STEP_SUMMARY": str(self.summary),
                "RUNNER_TEMP": str(self.temp),
                "FAKE_KEPT": str(self.kept),
                "PIP_NO_INDEX": "1",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.said += done.stdout
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.outputs[f"steps.{found.get('id')}.outputs.{name}"] = value
        return done.returncode

    def value(self, text: str) -> str:
        """As the runner puts values in: what is not known is an error here."""
        defaults = {f"inputs.{name}": str(about["default"]) for name, about in ACTION["inputs"].items()}
        known = {"github.token": "token", "steps.base.outputs.tree": ""} | defaults | self.event | self.outputs
        known |= {f"inputs.{name}": value for name, value in self.inputs.items()}
        shown = EXPRESSION.sub(lambda found: known[found[1]], text)
        return EXPRESSION.sub(lambda found: known[found[1]], shown)

    @property
    def summary(self) -> Path:
        return self.temp / "summary.md"

    def comments(self) -> list[str]:
        return [one["body"] for one in json.loads(self.kept.read_text())] if self.kept.exists() else []


GATE = "Hold it against the baseline"
COMMENT = "Comment on the pull request"
ALL = ("Install Counterpoise", "Check out the base", "Measure", GATE, COMMENT, "Verdict")
JUDGE = (GATE, COMMENT, "Verdict")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a model, a suite and a baseline of the model as it is on the main branch."""
    folder = tmp_path_factory.mktemp("project")
    model(folder / "own.onnx", 1)
    (folder / "short.toml").write_text(SUITE)
    for words in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "."),
        ("-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "--quiet", "-m", "as it was"),
        ("remote", "add", "origin", str(folder)),
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
    for words in (("run", "short.toml"), ("baseline", "save", "main")):
        done = bench(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Job:
    """A job after the install step, in a fresh environment."""
    if shutil.which("jq") is None:
        pytest.skip("the stand-in of gh needs jq, which gh has built in")
    temp = tmp_path_factory.mktemp("temp")
    for name, text in (("gh", GH), ("curl", CURL)):
        executable(temp / name, text)
    job = Job(project, temp, {"package": str(wheel(temp)), "suite": "short.toml"}, temp / "kept")
    assert job.run("Install Counterpoise") == 0, job.said
    return job


@pytest.fixture
def job(installed: Job, tmp_path: Path) -> Callable[..., Job]:
    """A job that goes on from there, with inputs of its own; it judges the run that the baseline was made of."""
    (measured,) = (path.stem for path in (installed.checkout / "results/baselines/main").glob("*-short-*.json"))

    def make(**inputs: str) -> Job:
        given = {"baseline": "baseline:main", "candidate": measured} | {
            name.replace("_", "-"): value for name, value in inputs.items()
        }
        installed.summary.unlink(missing_ok=True)
        return dataclasses.replace(
            installed,
            inputs=installed.inputs | given,
            kept=tmp_path / "kept.json",
            outputs=dict(installed.outputs),
            said="",
        )

    return make


@pytest.fixture
def grown(project: Path) -> Iterator[None]:
    """The model with more layers, which measuring finds larger; the old one is back afterwards."""
    model(project / "own.onnx", 4)
    yield
    model(project / "own.onnx", 1)


def test_no_input_is_written_into_a_script() -> None:
    for found in STEPS:
        assert "${{" not in found.get("run", ""), found["name"]
    for line in (*GITLAB["benchmark gate"]["before_script"], *GITLAB["benchmark gate"]["script"]):
        assert "$[[" not in line


def test_every_expression_names_something_that_there_is() -> None:
    ids = {found["id"] for found in STEPS if "id" in found}
    inputs = set()
    for name in re.findall(r"\b(?:inputs|steps)\.[\w-]+", json.dumps(ACTION)):
        kind, _, what = name.partition(".")
        assert what in (ACTION["inputs"] if kind == "inputs" else ids), name
        if kind == "inputs":
            inputs.add(what)
    assert inputs == set(ACTION["inputs"]), "an input that nothing reads"
    assert all(about["description"] for about in ACTION["inputs"].values())


def test_only_official_actions_pinned_by_major_version_are_used_and_shells_are_named() -> None:
    for found in STEPS:
        if "uses" in found:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", found["uses"])
        else:
            assert found["shell"] == "bash"
            assert len(found["run"].splitlines()) <= 25, "a step is short"


def test_an_unchanged_model_passes_on_the_whole_road(job: Callable[..., Job]) -> None:
    done = job(candidate="")
    assert done.run(*ALL[1:]) == 0, done.said
    assert done.outputs["steps.gate.outputs.exit-code"] == "0"
    assert "**Benchmark gate: 1 passed**" in done.summary.read_text()
    (comment,) = done.comments()
    assert comment.startswith("<!-- counterpoise-gate: gate -->\n**Benchmark gate: 1 passed**")
    assert MARKER not in comment


def test_a_larger_model_fails_the_job_and_the_comment_is_updated(job: Callable[..., Job], grown: None) -> None:
    del grown
    done = job(candidate="")
    done.kept.write_text(json.dumps([{"id": 1, "body": f"a person quotes {MARKER}"}]))
    for times in (1, 2):
        code = done.run("Measure", *JUDGE) if times == 1 else done.run(COMMENT)
        assert code == (1 if times == 1 else 0), done.said
    assert len(done.comments()) == 2
    assert "1 regressed" in done.comments()[1]
    assert "a person" in done.comments()[0]
    assert "::error title=regressed%3A size of own/fp32/" in done.said
    assert "1 regressed" in done.summary.read_text()
    root = ElementTree.parse(done.checkout / "results/gate/gate/gate.xml").getroot()
    assert root.attrib["failures"] == "1"


def test_what_is_open_is_a_warning_unless_strict(job: Callable[..., Job]) -> None:
    done = job(baseline="baseline:nowhere")
    assert done.run(*JUDGE) == 0, done.said
    assert done.outputs["steps.gate.outputs.exit-code"] == "3"
    assert "1 missing" in done.comments()[0]
    assert "::warning title=Benchmark gate::" in done.said
    assert dataclasses.replace(done, inputs=done.inputs | {"strict": "true"}).run("Verdict") == 3


def test_bad_input_fails_the_job_with_its_message_and_without_a_comment(job: Callable[..., Job]) -> None:
    shutil.rmtree(job().checkout / "results/gate", ignore_errors=True)
    done = job(rules="p50_latency=fast", name="bad")
    assert done.run(*JUDGE) == 2
    assert "p50_latency" in done.said
    assert done.comments() == []


def test_rules_are_given_one_a_line(job: Callable[..., Job]) -> None:
    done = job(rules="\n  size<=1KiB\n*/fp32/*: size=3%\n\n")
    assert done.run(*JUDGE) == 0, done.said
    assert "**Benchmark gate: 2 passed**" in done.comments()[0]


def test_text_of_inputs_is_never_run(job: Callable[..., Job]) -> None:
    evil = "$(touch pwned)`touch pwned`\"; touch pwned; '"
    done = job(rules=evil, baseline=evil, candidate=evil, suite=evil, name="evil")
    assert done.run(*JUDGE) == 2
    done = job(**{"base-ref": evil})
    assert done.run("Check out the base") != 0
    assert not (done.checkout / "pwned").exists()


def test_two_gates_of_one_pull_request_have_a_comment_each(job: Callable[..., Job]) -> None:
    done = job()
    assert done.run(GATE) == 0
    for name in ("cpu", "gpu", "cpu"):
        done.inputs["name"] = name
        assert done.run(COMMENT) == 0, done.said
    assert [comment.splitlines()[0] for comment in done.comments()] == [
        "<!-- counterpoise-gate: cpu -->",
        "<!-- counterpoise-gate: gpu -->",
    ]


def test_without_a_token_a_pull_request_or_the_wish_there_is_no_comment(job: Callable[..., Job]) -> None:
    done = job()
    assert done.run(GATE) == 0
    for inputs in ({"token": ""}, {"comment": "false"}):
        assert dataclasses.replace(done, inputs=done.inputs | inputs).run(COMMENT) == 0
        assert done.comments() == []
    assert dataclasses.replace(done, event={"github.event.pull_request.number": ""}).run(COMMENT) == 0
    assert done.comments() == []
    assert done.run(COMMENT) == 0
    assert len(done.comments()) == 1


def test_a_token_that_may_not_write_is_a_warning(job: Callable[..., Job]) -> None:
    done = job(token="read-only")
    assert done.run(*JUDGE) == 0, done.said
    assert "::warning title=Benchmark gate::no comment" in done.said


def test_with_a_base_both_revisions_are_built_and_held_against_each_other_here(
    job: Callable[..., Job], grown: None
) -> None:
    del grown
    done = job(build="cp own.onnx built.onnx", candidate="built.onnx", options="--rounds=2\n--runtime=onnxruntime-cpu")
    done.inputs["base-ref"] = "main"
    assert done.run("Check out the base", "Measure", *JUDGE) == 1, done.said
    asked = ["git", "rev-parse", "--is-shallow-repository"]
    shallow = subprocess.run(asked, cwd=done.checkout, stdout=subprocess.PIPE, check=True)
    assert shallow.stdout.strip() == b"false", "a full clone stays one"
    assert "timed, onnxruntime-cpu" not in done.said, "the suite is not measured as well"
    tree = Path(done.outputs["steps.base.outputs.tree"])
    sizes = [(root / "built.onnx").stat().st_size for root in (tree, done.checkout)]
    assert sizes[0] < sizes[1]
    assert "1 regressed" in done.comments()[0]
    subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=done.checkout, check=True)


def test_the_gitlab_job_judges_leaves_junit_and_updates_one_note(installed: Job, tmp_path: Path) -> None:
    found = GITLAB["benchmark gate"]
    assert found["artifacts"]["reports"]["junit"] == "gate.xml"
    assert found["allow_failure"]["exit_codes"] == 3
    env = {
        **os.environ,
        **found["variables"],
        "PATH": f"{installed.temp}/counterpoise/bin:{installed.temp}:{os.environ['PATH']}",
        "SUITE": "short.toml",
        "BASELINE": "baseline:nowhere",
        "COUNTERPOISE": installed.inputs["package"],
        "PIP_NO_INDEX": "1",
        "GITLAB_TOKEN": "secret",
        "CI_API_V4_URL": "https://gitlab.example/api/v4",
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "5",
        "FAKE_KEPT": str(tmp_path / "kept.json"),
    }
    steps = [*found["before_script"], *found["script"]]
    (noting,) = [one for one in steps if "CI_MERGE_REQUEST_IID" in one]
    for script, code in (("\n".join(steps), 3), (noting, 0)):
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=installed.checkout,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        (note,) = json.loads((tmp_path / "kept.json").read_text())
        assert note["body"].startswith(MARKER)
        assert "1 missing" in note["body"]
    assert ElementTree.parse(installed.checkout / "gate.xml").getroot().attrib["errors"] == "1"


def test_the_rules_in_the_documents_are_valid() -> None:
    page = (ROOT / "docs/ci.md").read_text()
    (table,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(rules_of(tomllib.loads(table)["gate"], "docs")) == 4
    for workflow in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        loaded = yaml.safe_load(workflow)
        uses = loaded["jobs"]["gate"]["steps"][1] if "jobs" in loaded else loaded[0]
        assert set(uses["with"]) <= set(ACTION["inputs"])


@pytest.mark.parametrize(("given", "code"), [(("", ""), 2), (("b", "main"), 2), (("b", ""), 0), (("", "main"), 0)])
def test_there_is_one_thing_to_hold_it_against(given: tuple[str, str], code: int) -> None:
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step("Check the inputs")["run"]],
        env={**os.environ, "BASELINE": given[0], "BASE_REF": given[1]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert ("::error" in done.stdout) == (code == 2)
