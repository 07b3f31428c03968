"""What the harness finds out about workers, from what runs on the machine at one moment after the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.processes import Process
from tests.chaos.workers import GONE, Workers
from tests.warm_worker import AT_HAND

DAEMON = Process(10, "koinon", 1, 100, 0.0, False)
PARENT = Process(20, "worker", 10, 200, 0.0, False)
CHILD = Process(30, "worker", 20, 300, 0.0, False)
OTHER = Process(31, "worker", 20, 310, 0.0, False)


class Watched:
    """The workers of a daemon with the name `client-1` and the number 10, looked at when a test says so."""

    def __init__(self) -> None:
        self.daemon: int | None = 10
        self.workers = Workers(lambda: {"client-1": self.daemon})

    def look(self, now: float, *there: Process) -> None:
        self.workers.look(now, {each.pid: each for each in there})

    @property
    def accused(self) -> list[str]:
        return self.workers.violations


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_worker_is_whom_the_daemon_made_and_its_child_whom_that_made(watched: Watched) -> None:
    watched.look(1, DAEMON, PARENT, CHILD)
    assert watched.workers.parent("client-1") == PARENT
    assert watched.workers.child("client-1") == CHILD
    watched.look(2, DAEMON, PARENT)
    assert watched.workers.child("client-1") is None
    assert len(watched.workers.left()) == 1


def test_a_process_that_waits_to_become_a_worker_is_none_yet(watched: Watched) -> None:
    watched.look(1, DAEMON, replace(PARENT, name=AT_HAND))
    assert watched.workers.parent("client-1") is None
    watched.look(2, DAEMON, PARENT)
    assert watched.workers.parent("client-1") == PARENT


def test_a_job_counts_from_the_look_before_it_to_the_look_after_it(watched: Watched) -> None:
    for now, there in ((1, ()), (2, (CHILD,)), (3, (CHILD,)), (5, ()), (7, (OTHER,)), (8, ())):
        watched.look(now, DAEMON, PARENT, *there)
    assert watched.workers.at_work["client-1"] == (5 - 1) + (8 - 5)


def test_a_job_whose_daemon_is_killed_counts_on(watched: Watched) -> None:
    watched.look(1, DAEMON, PARENT)
    watched.look(2, DAEMON, PARENT, CHILD)
    watched.daemon = None
    watched.look(3, PARENT, CHILD)
    watched.look(4)
    assert watched.workers.at_work["client-1"] == 3
    assert watched.accused == [] and watched.workers.left() == []


def test_whoever_outlives_its_daemon_is_accused_once(watched: Watched) -> None:
    watched.look(0, DAEMON, PARENT, CHILD)
    orphan = replace(PARENT, parent=1)
    for now in (1, 1 + GONE, 3 + GONE, 5 + GONE):
        watched.look(now, orphan)
    (violation,) = watched.accused
    assert violation.startswith("the worker of client-1: its parent, process 20, outlived its daemon by 12 s")


def test_a_child_that_outlives_its_parent_is_accused(watched: Watched) -> None:
    watched.look(0, DAEMON, PARENT, CHILD)
    for now in (1.0, 2 + GONE):
        watched.look(now, DAEMON, replace(CHILD, parent=1))
    (violation,) = watched.accused
    assert "its child, process 30, outlived its parent" in violation


def test_nobody_can_end_while_it_is_frozen(watched: Watched) -> None:
    watched.look(0, DAEMON, PARENT, CHILD)
    for now in (1.0, 2 + GONE):
        watched.look(now, DAEMON, replace(CHILD, parent=1, stopped=True))
    watched.look(3 + GONE, DAEMON, replace(CHILD, parent=1))
    assert watched.accused == []


def test_a_process_with_the_number_of_another_is_another(watched: Watched) -> None:
    watched.look(0, DAEMON, PARENT, CHILD)
    watched.look(1, DAEMON, replace(PARENT, started=900, parent=1))
    assert watched.workers.left() == []


def test_two_children_at_once_are_noticed_and_one_after_the_other_is_fine(watched: Watched) -> None:
    watched.look(1, DAEMON, PARENT, CHILD)
    watched.look(2, DAEMON, PARENT, CHILD, OTHER)  # the first may have ended while the second was found
    watched.look(3, DAEMON, PARENT, OTHER)
    assert watched.accused == []
    watched.look(4, DAEMON, PARENT, CHILD, OTHER)
    watched.look(5, DAEMON, PARENT, CHILD, OTHER)
    assert watched.accused == ["client-1 had two workers at work at once: [30, 31]"]
