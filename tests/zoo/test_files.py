"""Files of data sets: found where they lie, downloaded from a real HTTPS server that does all it can to spoil them."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.zoo import download
from bench.zoo.datasets import DATASETS
from bench.zoo.download import Failed
from bench.zoo.files import DataFile, DataMissing, FileSet, can_be_fetched, content, fetch, locate, missing, notes
from bench.zoo.weights import WEIGHTS, weights_path
from tests.https_server import serving

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Told:
    """Keeps what progress was told."""

    def __init__(self):
        self.lines, self.shares = [], []

    def __call__(self, text, share=None, *, passing=False):
        self.lines.append(text)
        self.shares.append(share)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving(tmp_path, CONTENT) as served:
        monkeypatch.setenv("SSL_CERT_FILE", served.certificate)
        monkeypatch.setenv("no_proxy", "localhost")
        yield served


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A user's folder and that of the downloads."""
    given, cache = tmp_path / "given", tmp_path / "cache"
    given.mkdir()
    monkeypatch.setenv("BENCH_DATA_DIR", str(given))
    monkeypatch.setenv("BENCH_CACHE_DIR", str(cache))
    return given, cache / "data"


@pytest.fixture
def get(server, tmp_path, told):
    """Downloads the file, with what is asked for replaced by keyword."""
    target = tmp_path / "downloads" / "file"

    def download_it(**changed):
        asked = {"url": server.url, "sha256": SHA256, "size": len(CONTENT)} | changed
        download.download(asked.pop("url"), target, progress=told, **asked)
        return target

    return download_it


def _part(target: Path, content: bytes) -> Path:
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(content)
    return part


def _set(url=None, *, terms=None):
    file = DataFile("some/file", url, SHA256, len(CONTENT))
    return FileSet("some", "Some data", "CC0", ((file,),), "https://a.page", terms)


def test_a_file_comes_whole_and_nothing_else_is_left(get, told):
    target = get()
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir() if path.suffix != ".lock"] == ["file"]
    assert "localhost" in told.lines[0]


def test_what_is_there_is_not_asked_for_again(get, server):
    get()
    get()
    assert len(server.asked) == 1


def test_a_connection_cut_half_way_goes_on_from_there(get, server, told):
    server.cuts = 1
    assert get().read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={len(CONTENT) // 2}-"]
    assert any("broke" in line for line in told.lines)


def test_a_server_that_always_cuts_is_given_up_and_the_next_call_goes_on(get, server, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    server.cuts = 2
    with pytest.raises(Failed, match="broke 2 times"):
        get()
    assert get().read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={len(CONTENT) * 3 // 4}-"


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(have=st.one_of(st.just(0), st.just(len(CONTENT)), st.integers(0, len(CONTENT))), ignores=st.booleans())
def test_whatever_part_an_earlier_call_left_the_file_is_the_same(get, server, tmp_path, have, ignores):
    target = tmp_path / "downloads" / "file"
    target.unlink(missing_ok=True)
    _part(target, CONTENT[:have])
    server.ignores_ranges = ignores
    server.asked.clear()
    assert get().read_bytes() == CONTENT
    assert server.asked == [f"bytes={have}-" if have else None]


def test_a_piece_that_is_cut_is_seen_where_the_server_does_not_say_how_much_comes(get, server, told):
    server.cuts, server.chunked = 1, True
    assert get().read_bytes() == CONTENT
    assert len(server.asked) == 2
    assert any("the connection broke (IncompleteRead" in line for line in told.lines)


@pytest.mark.parametrize("status", [203, 204])
def test_an_answer_that_is_no_file_is_refused(get, server, status):
    server.status = status
    with pytest.raises(Failed, match=f"status {status}"):
        get()


def test_another_part_than_was_asked_for_is_refused_and_spoils_nothing(get, server, tmp_path):
    part = _part(tmp_path / "downloads" / "file", CONTENT[:1000])
    server.begins_elsewhere = True
    with pytest.raises(Failed, match="another part"):
        get()
    assert part.read_bytes() == CONTENT[:1000]


def test_a_long_download_tells_twice_a_second_how_much_is_here(get, told, monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr(download, "time", SimpleNamespace(monotonic=lambda: next(seconds), sleep=time.sleep))
    get()
    shares = told.shares[1:]
    assert len(shares) >= 2
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert told.lines[-1] == "downloading file: 0.3 MB"


def test_a_server_that_does_not_say_how_much_comes(get, server):
    server.says_length = False
    assert get(size=None).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"size": len(CONTENT) + 1}, "instead of"),
        ({"size": len(CONTENT) - 1}, "more than"),
    ],
)
def test_another_file_than_was_meant_is_thrown_away(get, tmp_path, changed, said):
    with pytest.raises(Failed, match=said):
        get(**changed)
    left = {path.name for path in (tmp_path / "downloads").iterdir() if path.suffix != ".lock"}
    assert not left


def test_more_than_was_meant_is_not_read_to_its_end(get, server, monkeypatch, tmp_path):
    server.says_length = False
    with pytest.raises(Failed, match="more came"):
        get(size=100_000)
    monkeypatch.setattr(download, "LARGEST", 1000)
    with pytest.raises(Failed, match="more came"):
        get(size=None)


def test_only_https_is_spoken_however_one_gets_there(get, server):
    with pytest.raises(Failed, match="only https"):
        get(url=server.url.replace("https", "http"))
    server.leads_to = server.url.replace("https", "http")
    with pytest.raises(Failed, match="not https"):
        get(url=server.url.replace("/file", "/lead"))
    assert not server.asked
    server.leads_to = server.url
    assert get(url=server.url.replace("/file", "/lead")).read_bytes() == CONTENT


def test_a_certificate_that_nobody_vouches_for_is_refused(get, server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Failed, match="CERTIFICATE_VERIFY_FAILED"):
        get()
    assert not server.asked


def test_a_page_that_is_not_there(get, server):
    with pytest.raises(Failed, match="404"):
        get(url=server.url.replace("/file", "/other"))


def test_two_processes_download_a_file_once(server, tmp_path):
    server.pause_s = 0.5
    target = tmp_path / "downloads" / "file"
    code = (
        "import sys; from pathlib import Path; from bench.zoo.download import download;"
        "download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3], size=None,"
        " progress=lambda text, *more, **named: print(text))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, server.url, str(target), SHA256], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = "".join(process.communicate(timeout=60)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert len(server.asked) == 1
    assert target.read_bytes() == CONTENT
    assert said.count("downloading") == 1


def test_fetching_puts_the_file_where_it_is_found(server, folders, told):
    given, downloads = folders
    wanted = _set(server.url)
    assert locate(wanted) is None
    assert fetch(wanted, told) == {"some/file": downloads / "some/file"} == locate(wanted)
    assert content(wanted) == {"some/file": SHA256}
    assert not list(given.iterdir())


def test_a_users_folder_comes_first_and_is_never_written(server, folders, told):
    given, _ = folders
    fetch(_set(server.url), told)
    (given / "some").mkdir()
    own = given / "some" / "file"
    own.write_bytes(b"mine")
    assert locate(_set(server.url)) == {"some/file": own}
    assert fetch(_set(server.url), told) == {"some/file": own}
    assert len(server.asked) == 1


def test_an_own_file_is_used_and_its_difference_told(folders):
    given, _ = folders
    (given / "some").mkdir()
    own = given / "some" / "file"
    own.write_bytes(b"mine")
    assert content(_set()) == {"some/file": hashlib.sha256(b"mine").hexdigest()}
    (note,) = notes(_set())
    assert str(own) in note
    own.write_bytes(CONTENT)
    assert content(_set()) == {"some/file": SHA256}
    assert notes(_set()) == []


def test_the_first_alternative_that_is_there_is_read(folders):
    given, _ = folders
    (given / "b").write_bytes(b"b")
    either = FileSet("some", "Some data", "CC0", ((DataFile("a"), DataFile("b")),))
    assert locate(either) == {"b": given / "b"}
    (given / "a").write_bytes(b"a")
    assert locate(either) == {"a": given / "a"}


def test_one_file_of_two_is_not_the_set(folders):
    given, _ = folders
    (given / "a").write_bytes(b"a")
    both = FileSet("some", "Some data", "CC0", ((DataFile("a"),), (DataFile("b"),)))
    assert locate(both) is None
    said = str(missing(both))
    assert "b" in said.split("put into")[1]
    assert " a" not in said.split("BENCH_DATA_DIR):")[1]


def test_without_a_network_the_message_says_which_file_to_put_where(folders, told):
    given, _ = folders
    # Nobody listens on port 1 of this machine.
    wanted = _set("https://localhost:1/file")
    with pytest.raises(DataMissing) as raised:
        fetch(wanted, told)
    said = str(raised.value)
    for part in ("no connection to localhost", "some/file", "256,000 B", str(given), "https://localhost:1/file"):
        assert part in said
    assert "https://a.page" in said
    assert "bench fetch some" in said


def test_a_file_without_an_address_can_only_be_given(folders, told):
    with pytest.raises(DataMissing) as raised:
        fetch(_set(), told)
    assert "put into" in str(raised.value)
    assert "bench fetch" not in str(raised.value)


def test_files_that_are_not_here_have_no_content_but_a_way_to_get_them(folders):
    for of in (content, notes):
        with pytest.raises(DataMissing, match="Some data is not here"):
            of(_set())
    assert can_be_fetched(_set("https://localhost:1/file"))
    assert not can_be_fetched(_set())


def test_terms_have_to_be_accepted_first(server, folders, told):
    wanted = _set(server.url, terms="be kind")
    with pytest.raises(DataMissing, match="not been accepted") as raised:
        fetch(wanted, told)
    assert "--accept-terms" in str(raised.value)
    assert "be kind" in str(raised.value)
    assert not server.asked
    assert fetch(wanted, told, accept_terms=True)


def test_a_folder_that_cannot_be_written_is_said_so(server, folders, told, monkeypatch, tmp_path):
    (tmp_path / "no-folder").write_text("")
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "no-folder"))
    with pytest.raises(UserError, match="cannot be written") as raised:
        fetch(_set(server.url), told)
    assert not isinstance(raised.value, DataMissing)


def test_a_data_dir_that_is_no_folder_is_named(folders, monkeypatch):
    monkeypatch.setenv("BENCH_DATA_DIR", "/there/is/none")
    assert "no folder" in str(missing(_set()))


@pytest.mark.parametrize("wanted", [*DATASETS.values(), *WEIGHTS.values()], ids=lambda wanted: wanted.name)
def test_every_address_is_https_with_a_hash_and_every_name_its_own(wanted):
    for file in (file for alternatives in wanted.files for file in alternatives):
        assert not Path(file.path).is_absolute()
        assert ".." not in Path(file.path).parts
        if file.url is not None:
            assert file.url.startswith("https://")
            assert file.sha256 is not None
            assert len(file.sha256) == 64
    assert not wanted.files or wanted.page


def test_weights_are_files_of_a_set_like_any_other(data_dir):
    for name in WEIGHTS:
        assert locate(WEIGHTS[name]) == {weights_path(name): data_dir / weights_path(name)}
        assert notes(WEIGHTS[name]) == []
