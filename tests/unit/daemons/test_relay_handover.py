"""A client's side of relays: one signature for a round, handed over to the byte, until there is a receipt."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from eth_account import Account
from structlog.testing import capture_logs

from processor.chain.vouchers import Voucher
from processor.daemons.handover import REST, Handover
from processor.daemons.relay_limits import Rates
from processor.daemons.relay_server import Refused, answering
from processor.errors import ArtifactError, Interrupted, NewerVersion
from processor.protocol.receipts import sign_receipt
from processor.protocol.relaying import DAY, Handed, decode_handed, encode_handed, kind_of
from tests.fuzz.http_answers import head
from tests.fuzz.server import Server, answer
from tests.unit.protocol.test_relaying import CHAIN, CLIENTS, FEDERATION
from tests.unit.protocol.views import cid_for, digest_for, round_view

LOG = structlog.get_logger()
CLIENT = CLIENTS[0]


class Desk:
    """A relay that gives receipts for everything, unless it is told to do something else."""

    def __init__(self, number: int) -> None:
        self.account = Account.from_key(digest_for("relay", number))
        self.taken: list[bytes] = []
        self.answer: bytes | Exception | None = None
        self.url = ""

    def take(self, kind: str, body: bytes) -> bytes:
        self.taken.append(body)
        handed = decode_handed(body)
        assert kind_of(handed) == kind
        if isinstance(self.answer, Exception):
            raise self.answer
        return sign_receipt(self.account, 7, handed).encode() if self.answer is None else self.answer

    def status(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def relays() -> Iterator[list[Desk]]:
    with ExitStack() as open:
        desks = [Desk(number) for number in range(3)]
        for desk in desks:
            rates = Rates(6_000, 6_000)
            desk.url = f"http://127.0.0.1:{open.enter_context(answering(desk, ('127.0.0.1', 0), rates, LOG))}"
        yield desks


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def handover(folder: Path, relays: list[Desk], ticks: Ticks | None = None, **changes: Any) -> Handover:
    urls = tuple(desk.url for desk in relays)
    fields: dict[str, Any] = {"silence": 5.0, "ticks": ticks or Ticks()}
    return Handover(CLIENT, CHAIN, FEDERATION, folder, urls, LOG, **{**fields, **changes})


def made_newer(file: Path) -> bytes:
    """What the file holds once all in it is of a version that this program does not know."""
    file.write_bytes(file.read_bytes().replace(b'"version":1', b'"version":9'))
    return file.read_bytes()


def bodies(handed: Handed) -> list[bytes]:
    return [encode_handed(handed)]


# ------------------------------------------------------------------------------------------------------------ signing


@pytest.mark.parametrize("round", [1, 2, 7])
def test_one_thing_is_signed_in_a_round_whatever_is_asked_for_later(tmp_path: Path, round: int) -> None:
    view = round_view(round)
    first = handover(tmp_path, []).sign(view, cid_for("update", round), 10 * round, now=view.opened_at + 3)
    assert first.handed.signer() == CLIENT.address and first.since == view.opened_at + 3
    again = handover(tmp_path, [])  # as after a restart, without a journal
    assert again.sign(view, cid_for("another", round), 999, now=view.opened_at + 20) == first
    assert again.sign_decline(view, now=view.opened_at + 20) == first
    assert again.signed(view) == first


def test_a_decline_is_signed_once_too(tmp_path: Path) -> None:
    client, view = handover(tmp_path, []), round_view(3)
    declined = client.sign_decline(view, now=3_001)
    assert declined.handed.declines and declined.handed.signer() == CLIENT.address
    assert client.sign(view, cid_for("update", 3), 30, now=3_002) == declined


def test_a_round_that_a_reorganization_made_another_one_has_a_signature_of_its_own(tmp_path: Path) -> None:
    client, view = handover(tmp_path, []), round_view(3)
    other = replace(view, sealing_key=digest_for("sealing key", 30))
    first = client.sign(view, cid_for("update", 3), 30, now=3_001)
    assert client.signed(other) is None
    second = client.sign(other, cid_for("update", 30), 31, now=3_002)
    assert second != first and client.signed(view) == first


def test_what_was_signed_is_never_replaced_by_another_program(tmp_path: Path) -> None:
    view = round_view(3)
    here, there = handover(tmp_path, []), handover(tmp_path, [])
    here.signed = lambda view: None  # type: ignore[method-assign] # both looked before either had written
    first = there.sign(view, cid_for("update", 3), 30, now=3_001)
    assert here.sign_decline(view, now=3_002) == first
    [file] = (tmp_path / "signed").iterdir()
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"{}", b'{"kind":"kept-signature","signed":{},"since":1,"version":1}'])
def test_where_what_was_signed_cannot_be_read_nothing_else_is_signed(tmp_path: Path, content: bytes) -> None:
    client, view = handover(tmp_path, []), round_view(3)
    client.sign(view, cid_for("update", 3), 30, now=3_001)
    [file] = (tmp_path / "signed").iterdir()
    file.write_bytes(content)
    for sign in (lambda: client.sign(view, cid_for("update", 3), 30, 3_001), lambda: client.sign_decline(view, 3_001)):
        with pytest.raises(ArtifactError, match="Nothing else is signed for it"):
            sign()


def test_somebody_elses_signature_is_not_ours(tmp_path: Path) -> None:
    view = round_view(3)
    Handover(CLIENTS[1], CHAIN, FEDERATION, tmp_path, (), LOG).sign(view, cid_for("update", 3), 30, now=3_001)
    with pytest.raises(ArtifactError, match=f"that {CLIENT.address} signed"):
        handover(tmp_path, []).signed(view)


def test_a_registration_is_signed_again_for_another_round_another_voucher_and_when_its_time_is_over(
    tmp_path: Path,
) -> None:
    client = handover(tmp_path, [])
    first = client.sign_registration(round_view(3), now=3_001)
    assert first.signer() == CLIENT.address and first.deadline == 3_001 + DAY
    assert client.sign_registration(round_view(3), now=3_100) == first
    assert client.sign_registration(round_view(4), now=4_001).round == 4
    assert client.sign_registration(round_view(3), now=3_001 + DAY - 10).deadline == 3_001 + 2 * DAY - 10
    voucher = Voucher(CHAIN, FEDERATION, CLIENT.address, 5, 9_999, 2, b"\x05" * 65)
    admitted = client.sign_registration(round_view(3), 3_200, voucher)
    assert admitted.voucher is not None and (admitted.voucher.id, admitted.voucher.owner_nonce) == ("5", 2)


def test_a_leaving_names_who_is_paid(tmp_path: Path) -> None:
    client, to = handover(tmp_path, []), CLIENTS[3].address
    first = client.sign_leaving(round_view(3), 3_001, to)
    assert first.to == to and first.signer() == CLIENT.address
    assert client.sign_leaving(round_view(3), 3_050, to) == first
    assert client.sign_leaving(round_view(3), 3_050, CLIENTS[4].address).to == CLIENTS[4].address


@pytest.mark.parametrize("what", ["update", "registration", "leaving"])
def test_what_a_newer_koinon_signed_is_refused_by_name_and_never_replaced(tmp_path: Path, what: str) -> None:
    client, view = handover(tmp_path, []), round_view(3)
    sign: Callable[[], object] = {
        "update": lambda: client.sign(view, cid_for("update", 3), 30, now=3_001),
        "registration": lambda: client.sign_registration(view, 3_001),
        "leaving": lambda: client.sign_leaving(view, 3_001, CLIENTS[3].address),
    }[what]
    sign()
    [file] = (tmp_path / "signed").iterdir()
    newer = made_newer(file)
    with pytest.raises(NewerVersion, match=f"{file}: this .* has version 9, this program reads up to 1: update Koinon"):
        sign()
    assert [(path, path.read_bytes()) for path in (tmp_path / "signed").iterdir()] == [(file, newer)]


# ------------------------------------------------------------------------------------------------------- handing over


def test_the_first_relay_that_gives_a_receipt_is_enough(tmp_path: Path, relays: list[Desk]) -> None:
    client, view = handover(tmp_path, relays), round_view(3)
    signed = client.sign(view, cid_for("update", 3), 30, now=3_001)
    receipt = client.hand_over(signed, view, now=3_001)
    assert receipt is not None and receipt.relay == relays[0].account.address and receipt.taken == signed.handed
    assert client.hand_over(signed, view, now=3_010) == receipt
    assert handover(tmp_path, relays).hand_over(signed, view, now=3_010) == receipt  # after a restart
    assert [desk.taken for desk in relays] == [bodies(signed.handed), [], []]
    [kept] = (tmp_path / "receipts").iterdir()
    assert kept.read_bytes() == receipt.encode() and kept.stat().st_mode & 0o077 == 0


def test_every_relay_gets_it_when_the_chain_has_shown_nothing_for_too_long(tmp_path: Path, relays: list[Desk]) -> None:
    client, view = handover(tmp_path, relays), round_view(3, training_deadline=3_160)
    signed = client.sign(view, cid_for("update", 3), 30, now=3_000)
    assert client.hand_over(signed, view, now=3_000)
    assert client.hand_over(signed, view, now=3_099) and not relays[1].taken
    assert client.hand_over(signed, view, now=3_100)
    assert client.hand_over(signed, view, now=3_110)
    assert [desk.taken for desk in relays] == [bodies(signed.handed)] * 3
    assert {receipt.relay for receipt in client.receipts(signed.handed).values()} == {
        desk.account.address for desk in relays
    }


def test_after_a_reorganization_the_very_same_bytes_are_handed_over_again(tmp_path: Path, relays: list[Desk]) -> None:
    client, view = handover(tmp_path, relays[:1]), round_view(3)
    signed = client.sign(view, cid_for("update", 3), 30, now=3_001)
    receipt = client.hand_over(signed, view, now=3_001)
    assert client.hand_over(signed, view, now=3_020, again=True) == receipt
    assert relays[0].taken == bodies(signed.handed) * 2


def answers(desk: Desk, client: Handover) -> dict[str, bytes | Exception]:
    """What a relay may give instead of a receipt."""
    signed = client.sign(round_view(3), cid_for("update", 3), 30, now=3_001).handed
    good = sign_receipt(desk.account, 7, signed)
    other = client.sign(round_view(4), cid_for("update", 4), 40, now=4_001).handed
    return {
        "a refusal": Refused(409, "not today"),
        "an error": RuntimeError("a bug"),
        "nothing": b"",
        "something else": b'{"kind":"receipt"}',
        "a receipt of a newer version": good.encode().replace(b'"version":1', b'"version":9'),
        "a receipt for something else": sign_receipt(desk.account, 7, other).encode(),
        "a changed receipt": replace(good, taken_at=8).encode(),
        "a receipt in another's name": replace(good, relay=CLIENTS[4].address).encode(),
        "too much": b" " * 100_000,
    }


@pytest.mark.parametrize(
    "name",
    [
        "a refusal",
        "an error",
        "nothing",
        "something else",
        "a receipt of a newer version",
        "a receipt for something else",
        "a changed receipt",
        "a receipt in another's name",
        "too much",
    ],
)
def test_what_is_no_receipt_counts_for_nothing_and_the_next_relay_is_asked(
    tmp_path: Path, relays: list[Desk], name: str
) -> None:
    ticks = Ticks()
    client, view = handover(tmp_path, relays, ticks), round_view(3)
    relays[0].answer = answers(relays[0], client)[name]
    signed = client.sign(view, cid_for("update", 3), 30, now=3_001)
    receipt = client.hand_over(signed, view, now=3_001)
    assert receipt is not None and receipt.relay == relays[1].account.address
    assert list(client.receipts(signed.handed)) == [relays[1].url]


def test_a_relay_that_does_not_take_it_is_left_alone_for_a_while(tmp_path: Path, relays: list[Desk]) -> None:
    ticks = Ticks()
    client, view = handover(tmp_path, relays[:1], ticks), round_view(3)
    relays[0].answer = Refused(503, "later")
    signed = client.sign(view, cid_for("update", 3), 30, now=3_001)
    for _ in range(3):
        assert client.hand_over(signed, view, now=3_001) is None
    assert len(relays[0].taken) == 1
    relays[0].answer, ticks.now = None, REST
    assert client.hand_over(signed, view, now=3_020) is not None


def test_a_relay_that_nobody_can_reach_is_passed_over_and_its_address_is_not_shown(
    tmp_path: Path, relays: list[Desk], capsys: pytest.CaptureFixture[str]
) -> None:
    client = handover(tmp_path, relays[1:2])
    client.relays = ("http://127.0.0.1:1/with-a-secret-path", *client.relays)
    view = round_view(3)
    receipt = client.hand_over(client.sign(view, cid_for("update", 3), 30, now=3_001), view, now=3_001)
    assert receipt is not None and receipt.relay == relays[1].account.address
    assert "secret" not in "".join(capsys.readouterr())


def test_only_the_wallet_that_was_named_with_a_relay_signs_its_receipts(tmp_path: Path, relays: list[Desk]) -> None:
    view = round_view(3)
    client = handover(tmp_path, relays)
    client.relays = (f"{relays[0].url}#{CLIENTS[4].address}", f"{relays[1].url}#{relays[1].account.address.lower()}")
    receipt = client.hand_over(client.sign(view, cid_for("update", 3), 30, now=3_001), view, now=3_001)
    assert receipt is not None and receipt.relay == relays[1].account.address


def test_a_kept_receipt_that_was_damaged_is_asked_for_again(tmp_path: Path, relays: list[Desk]) -> None:
    client, view = handover(tmp_path, relays[:1]), round_view(3)
    signed = client.sign(view, cid_for("update", 3), 30, now=3_001)
    receipt = client.hand_over(signed, view, now=3_001)
    [kept] = (tmp_path / "receipts").iterdir()
    kept.write_bytes(b"{")
    assert client.hand_over(signed, view, now=3_002) == receipt
    assert json.loads(kept.read_bytes())["kind"] == "receipt"


def test_a_receipt_that_a_newer_koinon_kept_is_refused_by_name_and_never_replaced(
    tmp_path: Path, relays: list[Desk]
) -> None:
    client, view = handover(tmp_path, relays[:1]), round_view(3)
    signed = client.sign(view, cid_for("update", 3), 30, now=3_001)
    client.hand_over(signed, view, now=3_001)
    [kept] = (tmp_path / "receipts").iterdir()
    newer = made_newer(kept)
    for again in (False, True):
        with pytest.raises(NewerVersion, match=f"{kept}: this receipt has version 9"):
            client.hand_over(signed, view, now=3_002, again=again)
    assert kept.read_bytes() == newer and len(relays[0].taken) == 1


def test_registrations_and_leavings_go_to_the_first_relay_that_takes_them(tmp_path: Path, relays: list[Desk]) -> None:
    client, view = handover(tmp_path, relays), round_view(3)
    relays[0].answer = Refused(429, "too much")
    registration, leaving = client.sign_registration(view, 3_001), client.sign_leaving(view, 3_001, CLIENTS[3].address)
    for handed in (registration, leaving):
        receipt = client.hand_over_call(handed)
        assert receipt is not None and receipt.taken == handed
        assert client.hand_over_call(handed) == receipt
    assert relays[1].taken == bodies(registration) + bodies(leaving)


def test_nothing_secret_is_shown_of_a_handover(tmp_path: Path) -> None:
    assert bytes(CLIENT.key).hex() not in repr(handover(tmp_path, []))


def test_a_hand_over_to_a_relay_that_holds_it_ends_with_the_daemon(tmp_path: Path) -> None:
    stopping = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        urls = (f"http://127.0.0.1:{silent.getsockname()[1]}",)
        party = Handover(CLIENT, CHAIN, FEDERATION, tmp_path, urls, LOG, silence=600, stop=stopping.is_set)
        signed = party.sign(round_view(), cid_for("update", 1), 30, now=3_001)
        threading.Timer(0.2, stopping.set).start()
        with pytest.raises(Interrupted, match="stopped while a relay was asked"):
            party.hand_over(signed, round_view(), 3_002)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_no_proxy_leads_to_a_relay_of_this_machine(
    tmp_path: Path, relays: list[Desk], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    party = handover(tmp_path, relays[:2])
    party.relays = (relays[0].url, relays[1].url.replace("127.0.0.1", "relay.localhost"))
    signed = party.sign(round_view(), cid_for("update", 1), 30, now=3_001)
    assert party.hand_over(signed, round_view(), signed.every_relay_at(round_view().training_deadline)) is not None
    assert [len(desk.taken) for desk in relays[:2]] == [1, 1]


def test_a_relay_that_sends_us_on_has_not_taken_it_and_is_not_followed(tmp_path: Path, relays: list[Desk]) -> None:
    """Whom a client deals with is named by its configuration alone."""
    sent_on = answer(head(f"Location: {relays[0].url}/update", "Content-Length: 0", status="307 Temporary Redirect"))
    with Server(lambda first: sent_on).running() as elsewhere:
        urls = (f"http://127.0.0.1:{elsewhere.port}",)
        party = Handover(CLIENT, CHAIN, FEDERATION, tmp_path, urls, LOG, silence=30.0, ticks=Ticks())
        signed = party.sign(round_view(), cid_for("update", 1), 30, now=3_001)
        with capture_logs() as logs:
            assert party.hand_over(signed, round_view(), 3_002) is None
    assert [line["reason"] for line in logs] == ["status 307: without a reason"]
    assert relays[0].taken == []
