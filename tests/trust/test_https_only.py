"""Downloads come over HTTPS, whoever sends them elsewhere, and are what their SHA-256 says or are thrown away."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.zoo.download import Failed, download
from tests.https_server import serving

CONTENT = b"weights" * 1000


def silent(text: str, share: float | None = None, *, passing: bool = False) -> None:
    """Nobody listens."""


@pytest.mark.parametrize(
    "url",
    ["file:///etc/hostname", "http://localhost/file", "ftp://localhost/file", "data:,x", "/etc/hostname", "HTTP://h/f"],
)
def test_nothing_but_https_is_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="only https"):
        download(url, tmp_path / "got", sha256="0" * 64, size=None, progress=silent)
    assert not (tmp_path / "got").exists()


def test_what_nothing_is_known_of_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="no SHA-256"):
        download("https://localhost/file", tmp_path / "got", sha256=None, size=None, progress=silent)


def test_a_server_cannot_lead_elsewhere_nor_give_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("of this machine")
    with serving(tmp_path, CONTENT) as served:
        monkeypatch.setenv("SSL_CERT_FILE", served.certificate)
        monkeypatch.setenv("no_proxy", "localhost")
        for elsewhere in ((tmp_path / "secret").as_uri(), served.url.replace("https", "http"), "ftp://localhost/file"):
            served.leads_to = elsewhere
            with pytest.raises(Failed):
                download(
                    served.url.replace("/file", "/lead"), tmp_path / "got", sha256="0" * 64, size=None, progress=silent
                )
        assert not served.asked
        with pytest.raises(Failed, match="thrown away"):
            download(served.url, tmp_path / "got", sha256="0" * 64, size=len(CONTENT), progress=silent)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("got") and path.suffix != ".lock"]
