"""A round that was opened: whose it is, what its opening fixed, and the plan that the opening names.

An opening's CIDs cannot be absent, so whoever holds such a round asks for none of them again.
"""

from __future__ import annotations

from dataclasses import dataclass

from processor.artifacts.model import ModelHeader
from processor.artifacts.plan import PLAN, Plan
from processor.artifacts.update import Binding, UpdateHeader
from processor.storage.library import Library
from processor.types import Address, Opening


@dataclass(frozen=True)
class Identity:
    """Which federation, on which chain."""

    chain_id: int
    federation: Address


@dataclass(frozen=True)
class OpenedRound:
    """One round of one federation, with all that its learning goes by."""

    identity: Identity
    opening: Opening
    plan: Plan

    @staticmethod
    def read(identity: Identity, opening: Opening, library: Library) -> OpenedRound:
        """The round of an opening, with the plan that it names; raises as `Library.read` does."""
        return OpenedRound(identity, opening, library.read(PLAN, opening.plan))

    @property
    def number(self) -> int:
        return self.opening.round

    def binding(self, client: Address) -> Binding:
        """What binds an update to its sender, its round and its base model."""
        return Binding(self.identity.chain_id, self.identity.federation, self.number, client, self.opening.base_model)

    def update_header(self, client: Address, samples: int) -> UpdateHeader:
        """The header of a client's update, made of so many samples."""
        return UpdateHeader(
            chain_id=self.identity.chain_id,
            federation=self.identity.federation,
            round=self.number,
            client=client,
            base_model=self.opening.base_model,
            samples=samples,
        )

    def model_header(self) -> ModelHeader:
        """The header of the model that the round makes."""
        return ModelHeader(round=self.number, parent=self.opening.base_model, plan=self.opening.plan)
