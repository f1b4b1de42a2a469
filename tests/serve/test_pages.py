"""The pages over a results folder: what they list, what they refuse, and that they say what the commands say."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from bench.serve import shelf as shelves
from bench.serve.aside import aside
from bench.serve.guard import Guard, Hosts
from bench.serve.shelf import Shelf
from bench.serve.views import Asked
from bench.store import baselines
from bench.store.manifest import NAME, read_manifest, write_manifest
from bench.store.tables import CASES
from tests.conftest import bench
from tests.kept_runs import keep, keep_small, observed, row_of
from tests.serve.conftest import Client, read, served

FIRST, SECOND, GOING_ON, BROKEN = (f"2026010{day}-000000-s-0000" for day in (1, 2, 3, 4))
HOSTILE = "20260105 <script>alert('1')</script>\"&?#%2f"
MODEL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two whole runs, one that goes on, a broken one, one with a hostile name, and a baseline."""
    folder = tmp_path_factory.mktemp("served") / "results"
    keep_small(folder, FIRST, 80.0)
    keep_small(folder, SECOND, 100.0)
    (keep_small(folder, GOING_ON) / CASES).unlink()
    (keep_small(folder, BROKEN) / NAME).write_text("{")
    keep(folder, "hostile", [row_of(observed("fp32", 50.0, model=MODEL))])
    (folder / "hostile").rename(folder / HOSTILE.replace("/", "\N{FRACTION SLASH}"))
    baselines.save(folder, "main", FIRST)
    (folder.parent / "secret").mkdir()
    shutil.copytree(folder / FIRST, folder.parent / "secret", dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def client(results: Path) -> Any:
    with served(results) as found:
        yield found


def compared(client: Client, before: str, after: str, **more: Any) -> Any:
    query = urlencode({"before": before, "after": after, **more}, doseq=True)
    return client.get(f"/compare?{query}")


def listed(client: Client, query: str = "") -> list[str]:
    rows = read(client.get(f"/{query}").text).rows
    return [row[2].split(" ")[0] for row in rows if len(row) == 9 and row[2] != "Run"]


def test_every_run_is_listed_the_newest_first_with_its_suite_machine_and_counts(client: Client) -> None:
    answer = client.get("/")
    assert answer.status == 200
    rows = {row[2].partition(" ")[0]: row for row in read(answer.text).rows if len(row) == 9}
    _, _, _, made, suite, machine, status, cases, failed = rows[FIRST]
    assert (made, suite, status, cases, failed) == ("2026-01-01 00:00:00", "s", "complete", "3", "1")
    assert "cores" in machine
    names = listed(client)
    assert names.index(SECOND) < names.index(FIRST)


def test_a_run_that_goes_on_and_a_broken_one_are_listed_with_the_reason_and_cannot_be_picked(client: Client) -> None:
    page = read(client.get("/").text)
    cells = {row[2].partition(" ")[0]: row[2] for row in page.rows if len(row) == 9}
    assert "it is going on, or was killed" in cells[GOING_ON]
    assert "the manifest is damaged" in cells[BROKEN]
    picked = {attrs["value"] for tag, attrs in page.tags if tag == "input" and attrs.get("type") == "radio"}
    assert {FIRST, SECOND, "baseline:main"} <= picked
    assert not {GOING_ON, BROKEN} & picked


def test_the_list_is_sorted_and_filtered_as_its_address_says(client: Client) -> None:
    assert listed(client, "?sort=run&order=up")[:2] == [FIRST, SECOND]
    assert listed(client, "?text=0102+S") == [SECOND]
    assert listed(client, "?text=killed") == [GOING_ON]
    assert len(listed(client, "?sort=no-such&order=<script>")) == 5
    by_failed = listed(client, "?sort=failed&order=up")
    assert set(by_failed[-2:]) == {GOING_ON, BROKEN}, "what is not known comes last"
    assert 'aria-sort="ascending"' in client.get("/?sort=suite&order=up").text


def test_hostile_names_of_runs_and_models_are_text_and_their_addresses_lead_to_them(client: Client) -> None:
    name = HOSTILE.replace("/", "\N{FRACTION SLASH}")
    page = client.get(f"/?text={quote('<script>')}")
    assert not {"script", "img"} & {tag for tag, _ in read(page.text).tags}
    assert name in read(page.text).text
    (link,) = [a["href"] for tag, a in read(page.text).tags if tag == "a" and str(a["href"]).endswith(".json")]
    assert json.loads(client.get(str(link)).body)["cases"][0]["case"]["model"] == MODEL
    told = compared(client, name, name)
    assert told.status == 200
    assert not {"script", "img"} & {tag for tag, _ in read(told.text).tags}
    assert MODEL in read(told.text).text


@pytest.mark.parametrize(
    "path",
    [
        "/runs/..%2fsecret",
        "/runs/..%2fsecret.json",
        "/runs/../secret",
        "/runs/..%5csecret.json",
        "/runs/%2e%2e%2fsecret.json",
        "/runs/..%252fsecret.json",
        "/runs/%2fetc%2fpasswd",
        "/runs/.",
        "/runs/%00",
        "/runs/%ff.json",
        "/runs/latest",
        "/runs/2026",
        "/serve.css/../app.py",
        "/templates/base.html",
        "//runs/x",
    ],
)
def test_only_a_listed_run_has_a_page(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status == 404
    assert "there is no such page" in answer.text


@pytest.mark.parametrize("word", ["../secret", "baseline:../../secret", "latest", "baseline:none", "", "2026"])
def test_a_comparison_takes_only_what_is_listed(client: Client, results: Path, word: str) -> None:
    absolute = str(results.parent / "secret")
    for before, after in ((word, FIRST), (FIRST, word), (absolute, FIRST)):
        assert compared(client, before, after).status == 400


def test_a_comparison_says_what_bench_compare_prints(client: Client, results: Path) -> None:
    printed = bench("compare", FIRST, SECOND, "--out", str(results), cwd=results.parent).stdout
    told = read(compared(client, FIRST, SECOND).text)
    # Cells of a row as they stand between the table's lines; the page has a column more: the standing, as a word.
    # Spaces that only align are no words.
    drawn = [line.split("│")[1:-1] for line in printed.splitlines() if line.startswith("│")]
    lines = [[" ".join(cell.split()) for cell in cells] for cells in drawn]
    assert lines
    assert [row[1:] for row in told.rows[1:]] == lines
    assert {row[0] for row in told.rows[1:]} <= {"worse", "better", "unclear", "same", "absent"}
    assert any("[" in cell for row in told.rows for cell in row), "changes carry their intervals"
    for line in printed.splitlines():
        if line.startswith("•"):
            assert line.removeprefix("•").strip() in told.text


def test_the_command_that_is_shown_gives_the_same(client: Client, results: Path) -> None:
    page = read(compared(client, FIRST, SECOND, only="*").text).text
    shown = page.partition("on a terminal: ")[2].partition("\n")[0]
    assert f"bench compare --only '*' --out {results} {FIRST} {SECOND}" in shown
    words = shlex.split(shown)[:8]
    assert bench(*words[1:], cwd=results).returncode == 0
    dashes = Asked("-x", "b", only="-y*", allow=("cpu_model",)).command("results")
    assert dashes == "bench compare '--only=-y*' --allow-mismatch cpu_model -- -x b"


def test_a_comparison_in_json_is_that_of_bench_compare(client: Client, results: Path) -> None:
    printed = json.loads(bench("compare", FIRST, SECOND, "--out", str(results), "--json", cwd=results.parent).stdout)
    address = f"/compare.json?{urlencode({'before': FIRST, 'after': SECOND})}"
    assert json.loads(client.get(address).body) == printed


def test_a_baseline_can_be_the_side_before(client: Client) -> None:
    told = compared(client, "baseline:main", SECOND)
    assert told.status == 200
    assert f"{SECOND} against {FIRST}" in read(told.text).text


def test_machines_that_differ_are_refused_in_the_same_words_until_the_key_is_allowed(
    results: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    shutil.copytree(results / FIRST, folder / FIRST)
    shutil.copytree(results / SECOND, folder / "elsewhere")
    manifest = read_manifest(folder / "elsewhere")
    other = msgspec.structs.replace(manifest.environment, cpu_model="Another <b>CPU</b>")
    write_manifest(folder / "elsewhere", msgspec.structs.replace(manifest, run_id="elsewhere", environment=other))
    with served(folder) as client:
        refused = read(compared(client, FIRST, "elsewhere").text)
        assert "Not compared, since the machines differ in what matters" in refused.text
        assert "against Another <b>CPU</b>" in refused.text
        assert ("input", {"type": "checkbox", "name": "allow", "value": "cpu_model"}) in refused.tags
        allowed = read(compared(client, FIRST, "elsewhere", allow=["cpu_model"]).text)
        assert "allowed: cpu_model" in allowed.text
        assert "--allow-mismatch cpu_model" in allowed.text
        wrong = compared(client, FIRST, "elsewhere", allow=["cpu"])
        assert wrong.status == 400
        assert "unknown key" in wrong.text


def test_a_run_in_json_is_that_of_bench_show(client: Client, results: Path) -> None:
    printed = json.loads(bench("show", FIRST, "--out", str(results), "--json", cwd=results.parent).stdout)
    answer = client.get(f"/runs/{FIRST}.json")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == printed


def test_a_run_has_its_report_in_a_sandbox(client: Client, results: Path) -> None:
    answer = client.get(f"/runs/{FIRST}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert all(case.variant in answer.text for case in read_manifest(results / FIRST).cases)
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in answer.headers["content-security-policy"]


def test_a_report_is_made_again_only_when_a_file_of_the_run_changes(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / FIRST, tmp_path / FIRST)
    shelf = Shelf(tmp_path)
    first = shelf.report(FIRST)
    assert shelf.report(FIRST) is first
    manifest = read_manifest(tmp_path / FIRST)
    write_manifest(tmp_path / FIRST, msgspec.structs.replace(manifest, notes=("a note of <b>today</b>",)))
    assert "a note of &lt;b&gt;today&lt;/b&gt;" in shelf.report(FIRST)


@pytest.mark.parametrize("run", [GOING_ON, BROKEN])
def test_the_page_of_a_run_without_tables_says_why(client: Client, run: str) -> None:
    for address in (f"/runs/{run}", f"/runs/{run}.json"):
        answer = client.get(address)
        assert answer.status == 422
        assert "Where:" in answer.text


@pytest.mark.parametrize(
    "host",
    ["evil.example:{port}", "evil.example", "127.0.0.1", "127.0.0.1:1", "10.0.0.1:{port}", "localhost.evil:{port}", "",
     "127.0.0.1:{port}@evil.example", "[::1", "[::1]:x"],
)  # fmt: skip
def test_a_request_under_another_name_is_refused(client: Client, host: str) -> None:
    answer = client.get("/", host=host.format(port=client.port))
    assert answer.status in (400, 421)
    assert "Runs" not in answer.text


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST:{port}", "127.0.0.1:{port}", "[::1]:{port}"])
def test_a_request_under_a_name_of_this_machine_is_answered(client: Client, host: str) -> None:
    assert client.get("/", host=host.format(port=client.port)).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_but_reading_is_allowed(client: Client, method: str) -> None:
    answer = client.get("/", method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_head_is_get_without_the_body(client: Client) -> None:
    head, got = client.get("/", "HEAD"), client.get("/")
    assert head.body == b""
    assert head.status == 200
    assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("path", ["/", "/serve.css", "/nowhere", f"/runs/{FIRST}.json", "/compare"])
def test_every_answer_forbids_scripts_frames_and_other_sites(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert "script-src" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers


def test_an_empty_folder_says_how_to_make_a_run(tmp_path: Path) -> None:
    with served(tmp_path / "none") as client:
        assert "make one with bench run" in read(client.get("/").text).text


def test_reading_leaves_the_folder_as_it_was(client: Client, results: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    for path in ("/", f"/runs/{FIRST}.json", f"/compare?before={FIRST}&after={SECOND}"):
        assert client.get(path).status == 200
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")
def test_a_run_whose_name_is_no_text_is_listed_without_an_address(tmp_path: Path) -> None:
    keep_small(tmp_path, FIRST).rename(tmp_path / os.fsdecode(b"run-\xff"))
    keep_small(tmp_path, SECOND)
    with served(tmp_path) as found:
        page = read(found.get("/").text)
    links = [given["href"] for tag, given in page.tags if tag == "a" and (given["href"] or "").startswith("/runs/")]
    assert links
    assert all(SECOND in (link or "") for link in links)
    (odd,) = (row for row in page.rows if any("run-" in cell for cell in row))
    assert "has bytes that are not text" in " ".join(odd)


def test_of_very_many_reports_those_that_were_seen_last_are_held(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "REPORTS_KEPT", 1)
    shelf = Shelf(results)
    first = shelf.report(FIRST)
    assert shelf.report(FIRST) is first
    shelf.report(SECOND)
    again = shelf.report(FIRST)
    assert again is not first
    assert again == first


def test_a_request_that_is_no_page_reaches_nothing_and_gets_nothing() -> None:
    reached: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope)

    async def receive() -> Message:
        raise AssertionError("there is nothing to receive")

    async def send(message: Message) -> None:
        reached.append(message)

    asyncio.run(Guard(app, Hosts(80))({"type": "websocket", "path": "/"}, receive, send))
    assert reached == []


def test_a_page_that_is_done_after_the_server_gave_it_up_is_dropped_in_silence() -> None:
    go_on, done, wrong = threading.Event(), threading.Event(), []

    def slow(request: Request) -> Response:
        go_on.wait(10)
        done.set()
        return PlainTextResponse("too late")

    async def ending() -> Response:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: wrong.append(context))
        waiting = asyncio.create_task(aside(slow)(Request({"type": "http"})))
        await asyncio.sleep(0)
        waiting.cancel()
        answer = await waiting
        go_on.set()
        await asyncio.to_thread(done.wait, 10)
        while any(thread.name.endswith("(_work)") for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        return answer

    answer = asyncio.run(ending())
    assert (answer.status_code, answer.body) == (503, b"The server is ending.\n")
    assert wrong == []
