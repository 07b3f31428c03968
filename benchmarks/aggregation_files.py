"""A round in files, for the benchmark of aggregation: base model, updates of one tensor, and what settling needs."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from eth_utils.address import to_checksum_address

from processor.artifacts.model import ModelHeader, model_writer
from processor.artifacts.plan import PLAN, Plan
from processor.artifacts.update import DELTA, UpdateFile
from processor.cid import cid_of
from processor.privacy.sealing import generate_key_pair, seal_file
from processor.protocol.opened import Identity, OpenedRound
from processor.storage.local import LocalStorage
from processor.tensors import TensorWriter, blocks
from processor.types import Address, Cid, Opening, Submitted

NAME = "weight"
IDENTITY = Identity(31337, to_checksum_address(f"0x{0xFED:040x}"))
SAMPLES = 100
"""Of the first client; each next one has one more."""


@dataclass(frozen=True)
class Files:
    """Where a round's files are under `folder`, and how many elements the model's only tensor has."""

    folder: Path
    clients: int
    elements: int

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def addresses(self) -> list[Address]:
        return [to_checksum_address(f"0x{index + 1:040x}") for index in range(self.clients)]

    @property
    def updates(self) -> list[Path]:
        return [self.folder / f"{address}.update" for address in self.addresses]

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def note(self) -> Path:
        """What only who sealed the updates knows: CIDs and the round's key."""
        return self.folder / "round.json"


def plan() -> Plan:
    """That of the template, without Fisher information (whose Flower has none), and with room for any norm."""
    table = tomllib.loads((files("processor") / "templates" / "organization.toml").read_text())["plan"]
    table["ewc"]["strength"] = 0.0
    table["aggregation"]["max_norm"] = 1e9
    return Plan.from_table(table)


def make(round_files: Files) -> None:
    """Writes base model and updates, of random numbers that are the same every time."""
    round_files.folder.mkdir(parents=True)
    layout = {NAME: (np.float32, (round_files.elements,))}
    header = ModelHeader(round=0, parent=None, plan=cid_of(PLAN.encode(plan())))
    base = {f"param/{name}": kind for name, kind in layout.items()}
    with model_writer(round_files.base, header, base) as writer:
        _fill(writer, round_files.elements, seed=0)
    opened = opened_round(writer.cid, sealing_key=bytes(32))
    for index, (address, path) in enumerate(zip(round_files.addresses, round_files.updates, strict=True)):
        header_of_update = opened.update_header(address, SAMPLES + index)
        delta = {DELTA + name: kind for name, kind in layout.items()}
        with UpdateFile.writer(path, header_of_update, delta) as writer:
            _fill(writer, round_files.elements, seed=1 + index)


def seal(round_files: Files) -> None:
    """Moves the files into a store, the updates sealed, and notes what is needed to settle the round."""
    store, keys = LocalStorage(round_files.store), generate_key_pair()
    sealed, submitted = round_files.folder / "sealed", []
    for address, path in zip(round_files.addresses, round_files.updates, strict=True):
        seal_file(path, sealed, keys.public)
        submitted.append([address, store.put(sealed), 1000])
        path.unlink()
    sealed.unlink()
    note = {
        "base_model": store.put(round_files.base),
        "sealing_key": keys.public.hex(),
        "secret": keys.secret.hex(),
        "submitted": submitted,
    }
    round_files.note.write_text(json.dumps(note))


@dataclass(frozen=True)
class Sealed:
    """A round whose updates are sealed in a store."""

    opened: OpenedRound
    submitted: list[Submitted]
    secret: bytes


def sealed_round(round_files: Files) -> Sealed:
    """The round that `seal` noted."""
    note = json.loads(round_files.note.read_text())
    opened = opened_round(note["base_model"], bytes.fromhex(note["sealing_key"]))
    return Sealed(opened, [Submitted(*line) for line in note["submitted"]], bytes.fromhex(note["secret"]))


def opened_round(base_model: Cid, sealing_key: bytes) -> OpenedRound:
    opening = Opening(
        round=1,
        opened_at=0,
        training_deadline=1,
        aggregation_deadline=2,
        member_count=1_000,
        selection_offset=0,
        selected_count=1_000,
        max_updates=1_000,
        max_compute_ms=1_000,
        plan=cid_of(PLAN.encode(plan())),
        sealing_key=sealing_key,
        base_model=base_model,
        base_report=None,
        reward_rate_cap=1,
        pool=1,
    )
    return OpenedRound(IDENTITY, opening, plan())


def _fill(writer: TensorWriter, elements: int, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    (name,) = writer.names
    for start, stop in blocks(elements):
        writer.append(name, numbers.standard_normal(stop - start, dtype=np.float32) / 8)
