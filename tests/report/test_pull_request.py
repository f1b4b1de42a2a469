"""The comment on a pull request: short, true, and nothing of a suite breaks out of its cell."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bench.record.comparison import GateReport
from bench.report import changes
from bench.report.pull_request import LIMIT, MARKER, comment, escape
from tests.report.test_gate_report import NASTY, anything, change, mixed, report, verdict

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
INVISIBLE = "\u200b"


def tokens(of: GateReport) -> list[Token]:
    return MARKDOWN.parse(comment(of))


def cells(of: GateReport) -> list[list[Token]]:
    """The cells of every row of every table, by the reader's parser."""
    rows: list[list[Token]] = []
    for at, token in enumerate(found := tokens(of)):
        if token.type == "tr_open":
            rows.append([])
        if token.type == "td_open":
            rows[-1].append(found[at + 1])
    return [row for row in rows if row]


def text(cell: Token) -> str:
    """What a reader sees of a cell."""
    return "".join(child.content for child in cell.children or () if child.type.startswith("text")).replace(
        INVISIBLE, ""
    )


def test_the_first_line_is_hidden_and_the_second_is_the_verdict() -> None:
    lines = comment(mixed(regressed=3, inconclusive=1, passed=40)).splitlines()
    assert lines[0] == MARKER
    assert MARKER.startswith("<!--")
    assert lines[1] == "**Benchmark gate: 3 regressed, 1 inconclusive, 40 passed**"


def test_what_matters_is_in_the_open_and_the_passes_are_folded() -> None:
    text = comment(mixed(regressed=1, missing=1, improved=1, passed=2))
    open_part, folded = text.split("<details>")
    for outcome in ("regressed", "missing", "improved"):
        assert f"m/{outcome}-0" in open_part
        assert f"m/{outcome}-0" not in folded
    assert "m/pass-1" in folded
    assert "2 passed</summary>" in folded
    assert folded.rstrip().endswith("</details>")


def test_nothing_is_folded_where_nothing_passed() -> None:
    assert "<details>" not in comment(mixed(regressed=1))
    assert "nothing was judged" in comment(report())


def test_figures_reason_remedy_labels_and_what_could_be_seen_are_in_the_row() -> None:
    of = verdict(
        change=change(1.042, labels=("allowed: kernel",)),
        again=change(1.05),
        detectable=0.013,
        remedy="more rounds",
    )
    (row,) = cells(report(of))
    assert [text(cell) for cell in row[3:6]] == ["81.2 µs", "84.6 µs", "+4.2 % [3.1, 5.3]"]
    why = text(row[-1])
    for said in ("the reason why", "allowed: kernel", "measured again: +5.0 %", "to do: more rounds", "1.3 %"):
        assert said in why


@settings(max_examples=200)
@example(NASTY, NASTY, NASTY, NASTY)
@given(anything, anything, anything, anything)
def test_no_text_breaks_out_of_its_cell(case: str, rule: str, reason: str, note: str) -> None:
    of = report(
        verdict("regressed", case, rule=rule, reason=reason, change=None),
        verdict("pass", case, rule=rule, reason=reason, change=None),
        notes=(note, "the last note"),
    )
    rows = cells(of)
    assert [len(row) for row in rows] == [8, 8]
    for row in rows:
        assert [text(row[1]), text(row[6]), text(row[7])] == [changes.plain(part) for part in (case, rule, reason)]
        html = [child.content for cell in row for child in cell.children or () if child.type == "html_inline"]
        assert set(html) <= {"<code>", "</code>"}
        assert not [c for cell in row for c in cell.children or () if c.type in ("link_open", "image", "em_open")]
    kinds = [token.type for token in tokens(of)]
    assert kinds.count("list_item_open") == 2
    assert kinds.count("bullet_list_open") == 1
    assert not {"heading_open", "fence", "code_block", "hr", "blockquote_open", "ordered_list_open"} & set(kinds)


def test_names_of_people_and_numbers_of_issues_are_no_mentions() -> None:
    why = "blame @octocat, see #12; mnist_cnn@digits stays whole"
    (row,) = cells(report(verdict(reason=why, change=None)))
    raw = "".join(child.content for child in row[-1].children or ())
    assert not re.search(r"(?<!\w)[@#]\w", raw)
    assert "mnist_cnn@digits" in raw


def test_what_markdown_would_read_as_markup_is_shown() -> None:
    for nasty in (
        "a|b",
        "\\|",
        "`x`",
        "<img src=x>",
        "&lt;",
        "[a](b)",
        "*a*",
        "~~a~~",
        "https://a.example",
        "- a",
        "1. a",
    ):
        (inline,) = [token for token in MARKDOWN.parse(escape(nasty)) if token.type == "inline"]
        assert text(inline) == nasty
        assert all(child.type.startswith("text") for child in inline.children or ())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 400), st.integers(0, 400), st.sampled_from(["", "|", "é", "\U0001f40c"]))
def test_a_comment_is_never_longer_than_github_takes_and_counts_what_it_leaves_out(
    regressed: int, passed: int, filler: str
) -> None:
    many = mixed(regressed=regressed, passed=passed)
    of = report(*(verdict(v.outcome, v.case, reason=filler * 1000) for v in many.verdicts), notes=(filler * 9999,) * 99)
    made = comment(of)
    assert len(made) <= LIMIT
    assert made.count("<details>") == made.count("</details>")
    left = made.rpartition("left out here: ")[2] if "left out here" in made else ""
    counted = {what: int(n.replace(",", "")) for n, what in re.findall(r"(\d[\d,]*) (\w+)", left)}
    assert len(cells(of)) + counted.get("regressed", 0) + counted.get("passed", 0) == len(of.verdicts)


def test_wherever_the_last_row_ends_there_is_room_to_say_what_is_left_out() -> None:
    for length in range(0, 300, 20):
        many = mixed(regressed=400, passed=400)
        made = comment(report(*(verdict(v.outcome, v.case, reason="x" * length) for v in many.verdicts)))
        assert LIMIT - 2_000 < len(made.encode()) <= LIMIT - 256, "a job may put a longer marker first"
        assert "left out here" in made


def test_the_least_of_what_matters_is_cut_before_the_rest_and_the_verdict_stays() -> None:
    made = comment(mixed(regressed=1000, passed=1000))
    assert "1,000 regressed, 1,000 passed" in made
    assert "1,000 passed." in made.splitlines()[-1]
    assert "m/pass-" not in made


def test_a_name_without_end_is_cut_and_its_row_kept() -> None:
    (row,) = cells(report(verdict(case="x" * 100_000, change=None)))
    assert text(row[1]).startswith("xxx")
    assert text(row[1]).endswith("…")
