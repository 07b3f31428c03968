"""Lets no new round open, and stops nothing else:
`brownie run pause main federation=ADDRESS [resume=yes] --network NETWORK`; with `resume=yes` rounds can open again.
"""

from __future__ import annotations

from scripts.common import confirm, confirmed, find_federation, read_arguments, transact


def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", resume="")
    resume = confirmed("resume", values["resume"])
    federation = find_federation(values["federation"])
    confirm(f"{'Let rounds open again' if resume else 'Let no new round open'} in {federation.address}?")
    transact(federation.unpause if resume else federation.pause)
    print("resumed" if resume else "paused: no round opens until `pause resume=yes`")
