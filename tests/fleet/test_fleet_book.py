"""The book of a fleet: whatever comes in whatever order, no case is on record twice, and none is forgotten."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bench.fleet.book import Book

TARGETS = ("a", "b")
MACHINES = ("x", "y")
PARTS = 3


def part(case: str) -> str:
    return str(int(case) % PARTS)


class BookMachine(RuleBasedStateMachine):
    """Workers that take, finish, die, and come back late with what they had."""

    @initialize(sizes=st.tuples(st.integers(0, 5), st.integers(0, 5)), tries=st.integers(1, 3))
    def plan(self, sizes: tuple[int, int], tries: int) -> None:
        self.wanted = {target: [f"{n}" for n in range(size)] for target, size in zip(TARGETS, sizes, strict=True)}
        self.book = Book(self.wanted, part=part, tries=tries)
        self.owner: dict[tuple[str, str], str] = {}
        self.tries = tries
        self.flying: dict[tuple[str, str], str] = {}
        self.late: list[tuple[str, str]] = []
        self.recorded: list[tuple[str, str]] = []
        self.failures: dict[tuple[str, str], int] = {}
        self.worker = 0

    @rule(of=st.sampled_from(TARGETS), machine=st.sampled_from(MACHINES))
    def take(self, of: str, machine: str) -> None:
        self.worker += 1
        peeked = self.book.peek(of, machine)
        case = self.book.take(of, f"w{self.worker}", machine)
        assert case == peeked
        if case is not None:
            assert self.owner.setdefault((of, part(case)), machine) == machine
            assert (of, case) not in self.flying
            assert (of, case) not in self.recorded
            self.flying[of, case] = f"w{self.worker}"

    @rule(of=st.sampled_from(TARGETS), machine=st.sampled_from(MACHINES))
    def leave(self, of: str, machine: str) -> None:
        self.book.release(of, machine)
        self.owner = {cell: owner for cell, owner in self.owner.items() if (cell[0], owner) != (of, machine)}

    @rule(of=st.sampled_from(TARGETS), case=st.sampled_from("01234x"), machine=st.sampled_from(MACHINES))
    def claim(self, of: str, case: str, machine: str) -> None:
        self.book.claim(of, case, machine)
        if case in self.wanted[of]:
            self.owner.setdefault((of, part(case)), machine)

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        if self.flying:
            cell = data.draw(st.sampled_from(sorted(self.flying)))
            assert self.book.record(*cell)
            del self.flying[cell]
            self.recorded.append(cell)

    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        if self.flying:
            cell = data.draw(st.sampled_from(sorted(self.flying)))
            where = self.flying.pop(cell)
            self.failures[cell] = self.failures.get(cell, 0) + 1
            lost = self.book.lose(*cell, where, "gone")
            assert (lost is not None) == (self.failures[cell] == self.tries)
            if lost is not None:
                assert (lost.tries, lost.where) == (self.tries, where)
                self.recorded.append(cell)
            self.late.append(cell)

    @rule(data=st.data())
    def cannot(self, data: st.DataObject) -> None:
        if self.flying:
            cell = data.draw(st.sampled_from(sorted(self.flying)))
            where = self.flying.pop(cell)
            assert self.book.lose(*cell, where, "it was not the case", blameless=True) is None

    @rule(data=st.data())
    def come_back_late(self, data: st.DataObject) -> None:
        if self.late:
            cell = data.draw(st.sampled_from(self.late))
            first = cell not in self.recorded
            assert self.book.record(*cell) == first
            if first:
                self.recorded.append(cell)
                self.flying.pop(cell, None)

    @rule(data=st.data())
    def lose_what_is_not_there(self, data: st.DataObject) -> None:
        cell = (data.draw(st.sampled_from(TARGETS)), data.draw(st.sampled_from("0123x")))
        assert self.book.lose(*cell, "a worker that never had it", "gone") is None

    @rule()
    def record_what_was_never_asked_for(self) -> None:
        assert not self.book.record("a", "x")
        assert not self.book.record("c", "0")

    @invariant()
    def every_cell_is_somewhere(self) -> None:
        if not hasattr(self, "book"):
            return
        assert len(self.recorded) == len(set(self.recorded))
        assert self.book.total == sum(map(len, self.wanted.values()))
        assert self.book.left == self.book.total - len(self.recorded)
        assert self.book.in_flight == len(self.flying)
        assert set(self.book.open_targets()) == {
            target for target in TARGETS if any((target, case) not in self.recorded for case in self.wanted[target])
        }

    def teardown(self) -> None:
        """Without further losses all that is left is handed out, once."""
        if not hasattr(self, "book"):
            return
        for cell in self.flying:
            assert self.book.record(*cell)
            self.recorded.append(cell)
        for target in TARGETS:
            for machine in MACHINES:
                self.book.release(target, machine)
            while (case := self.book.take(target, "last", "z")) is not None:
                assert self.book.record(target, case)
                self.recorded.append((target, case))
        assert self.book.left == 0
        assert sorted(self.recorded) == sorted((t, c) for t, cases in self.wanted.items() for c in cases)


TestBook = BookMachine.TestCase
TestBook.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_case_that_was_lost_comes_after_the_others() -> None:
    book = Book({"a": ["1", "2"]})
    assert book.take("a", "w") == "1"
    assert book.lose("a", "1", "w", "gone") is None
    assert [book.take("a", "v"), book.take("a", "v")] == ["2", "1"]


def test_a_model_stays_on_one_machine_until_that_is_gone() -> None:
    book = Book({"a": ["0", "3", "1", "4"]}, part=part)
    assert [book.take("a", "w", "x"), book.take("a", "v", "y"), book.take("a", "w", "x")] == ["0", "1", "3"]
    assert book.take("a", "w", "x") is None
    assert book.lose("a", "1", "v", "gone") is None
    assert book.take("a", "w", "x") is None
    book.release("a", "y")
    assert [book.take("a", "w", "x") for _ in range(3)] == ["4", "1", None]


def test_what_leaves_a_target_that_is_not_of_the_fleet_changes_nothing() -> None:
    book = Book({"a": ["0", "1"]})
    case = book.take("a", "w", "x")
    book.release("b", "x")
    assert book.peek("a", "y") is None, "what x has begun is still its own"
    book.release("a", "x")
    assert book.peek("a", "y") not in (None, case)
