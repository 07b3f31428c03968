"""What a daemon remembers of rounds that went by, since nobody else may tell it again: the chain forgets the sealing
keys of abandoned rounds, and reports can be withheld."""

from __future__ import annotations

from collections.abc import Iterable

from processor.journal.records import NamedList, ReadReport
from processor.journal.tables import Tables
from processor.types import Cid


class Past(Tables):
    def see_key(self, round: int, sealing_key: bytes) -> None:
        """A round has, or had, this sealing key; after a reorganization a number may have had several."""
        self._database.execute("INSERT OR IGNORE INTO seen_keys VALUES (?, ?)", (round, sealing_key))

    def key_of_another(self, sealing_key: bytes, round: int) -> int | None:
        """The first round of another number that had this sealing key, as far as is known."""
        rows = self._database.read(
            "SELECT min(round) FROM seen_keys WHERE sealing_key = ? AND round != ?", (sealing_key, round)
        )
        found: int | None = rows[0][0]
        return found

    def rounds_with_known_keys(self) -> set[int]:
        return {round for (round,) in self._database.read("SELECT DISTINCT round FROM seen_keys")}

    def keep_report(self, report: ReadReport, lists: Iterable[NamedList]) -> None:
        """Remembers what a report said, together with the lists that it names and that nobody has read yet."""
        with self._database.whole():
            self._database.execute(
                "INSERT OR REPLACE INTO read_reports VALUES (?, ?, ?, ?, ?)",
                (report.cid, report.round, report.plan, report.stop, " ".join(report.before)),
            )
            for one in lists:
                self._database.execute(
                    "INSERT OR IGNORE INTO named_lists VALUES (?, ?, ?)", (one.cid, one.round, one.digest)
                )

    def read_reports(self) -> dict[Cid, ReadReport]:
        rows = self._database.read("SELECT cid, round, plan, stop, before FROM read_reports")
        return {
            cid: ReadReport(cid, round, plan, stop, tuple(before.split())) for cid, round, plan, stop, before in rows
        }

    def forget_reports(self, first: int) -> None:
        """Of the rounds from `first` on: a reorganization may have undone what they report."""
        self._database.execute("DELETE FROM read_reports WHERE round >= ?", (first,))

    def stopped(self, plan: Cid) -> ReadReport | None:
        """The first report of a round under the plan that says that no round follows."""
        rows = self._database.read(
            "SELECT cid, round, plan, stop, before FROM read_reports WHERE plan = ? AND stop IS NOT NULL "
            "ORDER BY round LIMIT 1",
            (plan,),
        )
        for cid, round, plan, stop, before in rows:
            return ReadReport(cid, round, plan, stop, tuple(before.split()))
        return None

    def named_lists(self) -> list[NamedList]:
        """The lists of abandoned rounds that are still to be read, the latest round first."""
        rows = self._database.read("SELECT cid, round, digest FROM named_lists ORDER BY round DESC")
        return [NamedList(*row) for row in rows]

    def done_with_list(self, cid: Cid) -> None:
        self._database.execute("DELETE FROM named_lists WHERE cid = ?", (cid,))
