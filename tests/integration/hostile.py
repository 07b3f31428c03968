"""Clients that submit something else than what they trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from processor.artifacts.update import write_update
from processor.daemons.client import ClientDaemon
from processor.privacy.sealing import seal_file
from processor.protocol.opened import Identity, OpenedRound
from processor.types import Opening
from tests.integration.local_federation import LocalFederation


class Hostile:
    """Submits for the clients of a federation in its first round."""

    def __init__(self, federation: LocalFederation) -> None:
        self.federation = federation
        self.opening: Opening = federation.federation.round_view().opening
        identity = Identity(federation.federation.chain_id, federation.federation.address)
        self.round = OpenedRound(identity, self.opening, federation.organization.plan)

    def submit(self, number: int, cid: str, compute_ms: int = 100) -> None:
        client = self.federation.clients[number]
        call = self.federation.federation.submit_update(1, self.opening.sealing_key, cid, compute_ms)
        client.transactions.send("submitted", call, 1)

    def seal(self, plain: Path) -> str:
        sealed = plain.with_suffix(".sealed")
        seal_file(plain, sealed, self.opening.sealing_key)
        return self.federation.storage.put(sealed)

    def path(self) -> Path:
        return self.federation.folder / "hostile"

    def update(self, client: ClientDaemon, **changes: Any) -> str:
        """A sealed update that is good but for `changes` of its header, or a tensor of the name `delta`."""
        header = self.round.update_header(client.address, samples=10)
        fields = {name: value for name, value in changes.items() if name != "tensors"}
        base = self.federation.model(self.opening.base_model)
        delta = {name: np.zeros_like(value) for name, value in base.parameters.items()}
        write_update(self.path(), replace(header, **fields), changes.get("tensors", delta), {}, delta)
        return self.seal(self.path())


def reasons(federation: LocalFederation) -> dict[str, str | None]:
    report = federation.report(1)
    return {update.client: update.reason for update in report.updates}
