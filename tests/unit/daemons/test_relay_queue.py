"""What a relay took is on disk, once for each client and round, whatever becomes of the relay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from processor.daemons.relay_queue import Queue, Waiting, queue_path
from processor.errors import JournalDamaged, JournalError
from processor.protocol.relaying import DAY, Handed, Spent
from tests.unit.protocol.test_relaying import CHAIN, CLIENTS, FEDERATION, decline, leaving, registration, update
from tests.unit.protocol.views import digest_for

RELAY = CLIENTS[-1].address


def queue_in(folder: Path) -> Queue:
    return Queue(queue_path(folder), CHAIN, FEDERATION, RELAY)


def take(queue: Queue, *handed: Handed, at: int = 5 * DAY, gas: int = 100) -> None:
    for number, each in enumerate(handed):
        queue.take(each, at + number, f"receipt {number}".encode(), gas + number)


def test_what_was_taken_is_there_after_a_restart_in_order(tmp_path: Path) -> None:
    with queue_in(tmp_path) as queue:
        take(queue, update(3, 0), update(4, 1), decline(3, 2), registration(3, 3), leaving(3, 4))
    with queue_in(tmp_path) as queue:
        found = queue.updates(3, digest_for("sealing key", 3))
        assert [each.handed for each in found] == [update(3, 0), decline(3, 2)]
        assert [each.taken_at for each in found] == [5 * DAY, 5 * DAY + 2]
        assert [each.handed for each in queue.calls(3)] == [registration(3, 3), leaving(3, 4)]
        assert queue.updates(3, digest_for("sealing key", 4)) == () and queue.calls(4) == ()
        assert queue.earlier(update(4, 1)) == (update(4, 1), b"receipt 1")
        assert queue.waiting(3) == Waiting(4, 100 + 102 + 103 + 104)
        assert queue.served() == [CLIENTS[0].address, CLIENTS[1].address, CLIENTS[2].address]


def test_there_is_one_update_for_a_client_a_round_and_a_key(tmp_path: Path) -> None:
    with queue_in(tmp_path) as queue:
        take(queue, update(3))
        for other in (replace(update(3), compute_ms=9), decline(3)):
            assert queue.earlier(other) == (update(3), b"receipt 0")
            with pytest.raises(JournalError, match="has handed over something else for round 3"):
                take(queue, other)
        undone = replace(update(3), sealing_key=digest_for("sealing key", 30).hex())
        assert queue.earlier(undone) is None
        take(queue, undone, update(3, 1), update(4))
        assert [each.handed for each in queue.updates(3, digest_for("sealing key", 3))] == [update(3), update(3, 1)]


def test_what_is_over_is_not_sent_again_until_the_chain_is_reorganized(tmp_path: Path) -> None:
    with queue_in(tmp_path) as queue:
        take(queue, update(3), registration(3, 1))
        [own], [call] = queue.updates(3, digest_for("sealing key", 3)), queue.calls(3)
        queue.finish(own, "the round has it")
        queue.finish(call, "it is registered")
        assert queue.updates(3, digest_for("sealing key", 3)) == () == queue.calls(3)
        assert queue.waiting(3) == Waiting(0, 0)
        assert queue.earlier(update(3)) == (update(3), b"receipt 0")  # its receipt stays what it is
        queue.doubt()
        assert queue.updates(3, digest_for("sealing key", 3)) == (own,) and queue.calls(3) == (call,)


def test_another_registration_takes_the_place_of_one_that_is_over(tmp_path: Path) -> None:
    first, second = registration(3, deadline=10_000), registration(3, deadline=20_000)
    with queue_in(tmp_path) as queue:
        take(queue, first)
        assert queue.earlier(second) == (first, b"receipt 0")
        with pytest.raises(JournalError):
            take(queue, second)
        queue.finish(queue.calls(3)[0], "it has expired")
        assert queue.earlier(second) is None
        take(queue, second)
        assert [each.handed for each in queue.calls(3)] == [second]


def test_gas_is_counted_by_day_client_and_kind(tmp_path: Path) -> None:
    with queue_in(tmp_path) as queue:
        take(queue, update(3, 0), registration(3, 1), update(3, 2), at=5 * DAY, gas=10)
        take(queue, update(4, 0), at=6 * DAY, gas=1_000)
        queue.spend(5, CLIENTS[0].address, "claim", 500)
        assert queue.spent(5, CLIENTS[0].address) == Spent(today=533, client=510, registrations=11)
        assert queue.spent(5, CLIENTS[1].address) == Spent(today=533, client=11, registrations=11)
        assert queue.spent(6, CLIENTS[0].address) == Spent(today=1_000, client=1_000)
        assert queue.spent(7, CLIENTS[0].address) == Spent()


def test_what_failed_to_be_taken_costs_nothing(tmp_path: Path) -> None:
    with queue_in(tmp_path) as queue:
        take(queue, update(3))
        with pytest.raises(JournalError):
            take(queue, decline(3))
        assert queue.spent(5, CLIENTS[0].address) == Spent(100, 100)


def test_what_is_long_over_is_forgotten(tmp_path: Path) -> None:
    with queue_in(tmp_path) as queue:
        take(queue, update(3), at=5 * DAY)
        take(queue, update(4), at=6 * DAY)
        queue.forget(6 * DAY)
        assert queue.earlier(update(3)) is None and queue.earlier(update(4)) is not None
        assert queue.spent(5, RELAY) == Spent() and queue.spent(6, RELAY).today == 100


def test_a_queue_of_somebody_else_or_of_another_version_is_refused(tmp_path: Path) -> None:
    queue_in(tmp_path).close()
    with pytest.raises(JournalError, match="choose another state folder"):
        Queue(queue_path(tmp_path), CHAIN, FEDERATION, CLIENTS[0].address)
    with queue_in(tmp_path) as queue:
        queue._database.execute("PRAGMA user_version = 9")
    with pytest.raises(JournalError, match="has version 9, this program reads up to 1: update Koinon"):
        queue_in(tmp_path)


def test_a_queue_that_is_damaged_says_what_that_means(tmp_path: Path) -> None:
    queue_path(tmp_path).write_bytes(b"this is no database" * 1_000)
    with pytest.raises(JournalDamaged, match="gave receipts for may be lost"):
        queue_in(tmp_path)


def test_nobody_else_can_read_the_queue(tmp_path: Path) -> None:
    with queue_in(tmp_path) as queue:
        take(queue, update(3))
        files = list(tmp_path.glob("queue.sqlite*"))
        assert files and all(file.stat().st_mode & 0o077 == 0 for file in files)
