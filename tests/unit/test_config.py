"""Settings: the stronger source wins, and every mistake is named with its place, all at once."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor import config
from processor.config_relay import load_relay
from processor.errors import ConfigurationError
from processor.protocol.rewards import least_pool
from processor.types import ZERO_ADDRESS

FEDERATION = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
ASSET = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
NETWORK = '[network]\nrpc = "http://file:8545"\n'
STORE = 'store = "artifacts"\n'
CLIENT = f'[client]\nfederation = "{FEDERATION}"\nwallet = "wallet"\ndata = "data.npz"\n'

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str) -> Path:
        (tmp_path / "koinon.toml").write_text(content)
        return tmp_path / "koinon.toml"

    return write


def mistakes(load: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        load(*arguments, **named)
    return str(error.value)


def filled_in(template: str, **values: str) -> str:
    for key, value in values.items():
        assert f'\n{key} = ""\n' in template
        template = template.replace(f'\n{key} = ""\n', f'\n{key} = "{value}"\n')
    return template


def test_an_option_comes_before_the_environment_and_that_before_the_file(write: Write) -> None:
    file = write(NETWORK + STORE)
    environment = {"KOINON_RPC": "http://environment:8545"}
    assert config.load_network({"rpc": "http://option:8545"}, file, environment).rpc == ("http://option:8545",)
    assert config.load_network({"rpc": None}, file, environment).rpc == ("http://environment:8545",)
    assert config.load_network({}, file, {"KOINON_RPC": ""}).rpc == ("http://file:8545",)


def test_a_default_holds_where_nothing_is_given(write: Write) -> None:
    network = config.load_network({}, write(NETWORK + STORE), {})
    assert (network.timeout, network.chain_id, network.quorum) == (30.0, None, None)


def test_the_environment_may_name_the_file(write: Write) -> None:
    assert config.load_network({}, None, {"KOINON_CONFIG": str(write(NETWORK + STORE))}).rpc == ("http://file:8545",)


def test_nothing_but_options_is_enough() -> None:
    network = config.load_network({"rpc": "http://node:8545", "ipfs": "/ip4/127.0.0.1/tcp/5001"}, None, {})
    assert network.storage == ("/ip4/127.0.0.1/tcp/5001",)


def test_several_nodes_are_a_list_in_a_file_and_a_text_with_commas_elsewhere(write: Write) -> None:
    file = write('[network]\nrpc = ["http://one", "wss://two/key", "/data/geth.ipc"]\n' + STORE)
    assert config.load_network({}, file, {}).rpc == ("http://one", "wss://two/key", "/data/geth.ipc")
    assert config.load_network({"rpc": "http://one, ws://two"}, file, {}).rpc == ("http://one", "ws://two")
    assert "several different ones" in mistakes(config.load_network, {"rpc": "http://one,http://one"}, file, {})


def test_storage_is_one_list_in_order_of_preference_and_nodes_or_a_folder_alone_have_a_short_form(write: Write) -> None:
    file = write(NETWORK + 'storage = ["file:///srv/a%20b", "/ip4/127.0.0.1/tcp/5001", "/dns/ipfs/tcp/5001"]\n')
    named = ("file:///srv/a%20b", "/ip4/127.0.0.1/tcp/5001", "/dns/ipfs/tcp/5001")
    assert config.load_network({}, file, {}).storage == named
    assert config.load_network({}, file, {"KOINON_STORAGE": ", ".join(named[1:])}).storage == named[1:]
    nodes = {"ipfs": "/ip4/10.0.0.1/tcp/5001, /ip4/10.0.0.2/tcp/5001"}
    assert config.load_network(nodes, file, {}).storage == ("/ip4/10.0.0.1/tcp/5001", "/ip4/10.0.0.2/tcp/5001")
    assert config.load_network({"store": "a b"}, file, {}).storage == ((Path.cwd() / "a b").as_uri(),)


def test_a_stronger_sources_storage_takes_the_place_of_the_others(write: Write) -> None:
    file = write(NETWORK + STORE)
    assert config.load_network({"ipfs": "/dns/ipfs/tcp/5001"}, file, {}).storage == ("/dns/ipfs/tcp/5001",)
    network = config.load_network({"store": "mine"}, file, {"KOINON_IPFS": "/dns/ipfs/tcp/5001"})
    assert network.storage == ((Path.cwd() / "mine").as_uri(),)
    network = config.load_network({}, file, {"KOINON_STORAGE": "file:///mine"})
    assert network.storage == ("file:///mine",)
    listed = write(NETWORK + 'storage = "file:///listed"\n')
    assert config.load_network({}, listed, {"KOINON_STORE": "/mine"}).storage == ("file:///mine",)


def test_an_address_in_the_short_form_is_what_it_is_in_the_list(write: Write) -> None:
    file = write(NETWORK + 'ipfs = "/dns/ipfs/tcp/5001/"\n')
    assert config.load_network({}, file, {}).storage == ("/dns/ipfs/tcp/5001",)
    said = mistakes(config.load_network, {}, write(NETWORK + 'ipfs = "/srv/artifacts"\n'), {})
    assert "'/srv/artifacts' is no address of an IPFS node" in said and "a folder is written as file://" in said
    twice = write(NETWORK + 'ipfs = ["/dns/ipfs/tcp/5001", "/dns/ipfs/tcp/5001/"]\n')
    assert "network.ipfs: expected" in mistakes(config.load_network, {}, twice, {})


@pytest.mark.parametrize(
    "two",
    [
        STORE + 'ipfs = "/dns/i/tcp/1"\n',
        STORE + 'storage = "file:///s"\n',
        'ipfs = "/dns/i/tcp/1"\nstorage = "file:///s"\n',
    ],
)
def test_two_storages_of_one_source_are_one_too_many(write: Write, two: str) -> None:
    said = mistakes(config.load_network, {}, write(NETWORK + two), {})
    assert "are given: expected one of them" in said and said.count("koinon.toml:network.") == 2


def test_no_storage_names_every_way_where_one_is_needed(write: Write) -> None:
    said = mistakes(config.load_network, {}, write(NETWORK), {})
    assert all(way in said for way in ("--ipfs", "KOINON_IPFS", "--store", "KOINON_STORE", "KOINON_STORAGE"))
    assert config.load_network({}, write(NETWORK), {}, storage=False).storage == ()


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("s3://bucket", "'s3://bucket' is of a kind that this version does not know, s3: expected an IPFS node's"),
        ("https://ipfs.example", "a gateway that is only read from is named in `gateways`"),
        ("artifacts", "'artifacts' is no address: expected an IPFS node's address like /ip4/"),
        ("/srv/artifacts", "a folder is written as file:// with its absolute path behind"),
        ("file://artifacts", "three slashes and no host"),
        ("file://host/srv", "three slashes and no host"),
        ("file:srv", "three slashes and no host"),
        ("file:///srv?version=1", "write ? as %3F"),
        ("file:///srv/100%", "% as %25"),
        ("file:///srv%00", "%00"),
        ("file:///a%62,file:///ab", "file:///ab is named twice"),
        ("file:///srv/,file:///srv", "file:///srv is named twice"),
        ("/ip4/127.0.0.1/tcp/1 /ip4/127.0.0.1/tcp/1/", "/ip4/127.0.0.1/tcp/1 is named twice"),
    ],
)
def test_what_is_wrong_with_an_address_of_storage_is_said(storage: str, expected: str) -> None:
    said = mistakes(config.load_network, {"rpc": "http://node:8545"}, None, {"KOINON_STORAGE": storage})
    assert len(said.splitlines()) == 2 and said.splitlines()[1].startswith("KOINON_STORAGE: ") and expected in said


@pytest.mark.parametrize("storage", ["[]", "3", "[3]", '[["file:///srv"]]', "{}"])
def test_what_is_no_list_of_addresses_is_refused(write: Write, storage: str) -> None:
    said = mistakes(config.load_network, {}, write(NETWORK + f"storage = {storage}\n"), {})
    assert "network.storage: expected an IPFS node's address" in said


def test_paths_in_a_file_are_relative_to_it_and_others_to_the_working_directory(write: Write) -> None:
    file = write(NETWORK + STORE + CLIENT)
    settings = config.load_client({"data": "there.npz"}, file, {"KOINON_STATE": "~/state"})
    assert settings.network.storage == ((file.parent / "artifacts").as_uri(),)
    assert settings.wallet == file.parent / "wallet"
    assert settings.data == Path.cwd() / "there.npz"
    assert settings.state == Path.home() / "state"


def test_each_wallet_has_a_state_of_its_own_in_each_federation(write: Write) -> None:
    state = config.load_client({}, write(NETWORK + STORE + CLIENT), {}).state
    assert state.parts[-4:] == ("koinon", "client", FEDERATION, "wallet")


def test_a_member_needs_neither_storage_nor_data(write: Write) -> None:
    member = config.load_member(
        {"rpc": "http://node:8545"}, None, {"KOINON_FEDERATION": FEDERATION, "KOINON_WALLET": "w"}
    )
    assert (member.federation, member.wallet) == (FEDERATION, Path.cwd() / "w")
    assert "data" not in mistakes(config.load_member, {}, None, {})


def test_a_member_is_who_the_clients_whole_file_says(write: Write) -> None:
    file = write(NETWORK + STORE + CLIENT + "threads = 2\n")
    member, client = config.load_member({}, file, {}), config.load_client({}, file, {})
    assert (member.wallet, member.state) == (client.wallet, client.state)
    assert "client.thread is unknown: did you mean threads?" in mistakes(
        config.load_member, {}, write(NETWORK + CLIENT + "thread = 2\n"), {}
    )


def test_all_mistakes_are_reported_together_with_their_places(write: Write) -> None:
    file = write(
        '[network]\ntimeout = -1\nstore = "s"\n[client]\nfederation = "0x12"\nwalet = "w"\n'
        'accept_public_updates = "yes"\n'
    )
    said = mistakes(config.load_client, {"rpc": None}, file, {"KOINON_POLL_INTERVAL": "often"})
    for part in (
        "network.rpc is missing: expected an address like http://127.0.0.1:8545, or a list of several different ones; "
        "give --rpc or set KOINON_RPC or",
        f"{file}:network.timeout: expected a number of seconds above 0, found -1",
        f"{file}:client.federation: expected an address",
        f"{file}:client.walet is unknown: did you mean wallet?",
        "client.wallet is missing",
        f"{file}:client.accept_public_updates: expected true or false, found 'yes'",
        "client.data is missing",
        "KOINON_POLL_INTERVAL: expected a number of seconds above 0, found 'often'",
    ):
        assert part in said
    assert len(said.splitlines()) == 9


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[networks]\n" + NETWORK + STORE, "networks is unknown: did you mean network?"),
        ("colour = 1\n" + NETWORK + STORE, "colour is unknown: expected one of network, client"),
        ("network = 3\n", "network: expected a table"),
        ("network = [\n", "is not TOML"),
        ('[network]\nrpc = "node:8545"\n' + STORE, "expected an address like http://127.0.0.1:8545"),
        ("[network]\nrpc = 8545\n" + STORE, "expected an address like http://127.0.0.1:8545"),
        (NETWORK + 'ipfs = "http://127.0.0.1:5001"\n', "expected an IPFS node's address like /ip4/"),
        (NETWORK + STORE + "chain_id = 0\n", "expected a whole number of at least 1, found 0"),
        (NETWORK + STORE + "timeout = inf\n", "expected a number of seconds above 0, found inf"),
        (NETWORK + STORE + "timeout = true\n", "expected a number of seconds above 0, found True"),
        (NETWORK + "store = 3\n", "expected a path, found 3"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(write: Write, content: str, expected: str) -> None:
    assert expected in mistakes(config.load_network, {}, write(content), {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "none.toml") in mistakes(config.load_network, {}, tmp_path / "none.toml", {})


@given(st.integers(0, 10**30), st.booleans())
def test_amounts_are_whole_units_as_numbers_or_decimal_strings(amount: int, quoted: bool) -> None:
    options = {
        "rpc": "http://node:8545", "store": "s", "federation": FEDERATION, "wallet": "w", "data": "d",
        "minimum_reward": str(amount) if quoted else amount,
    }  # fmt: skip
    assert config.load_client(options, None, {}).minimum_reward == amount


@pytest.mark.parametrize("amount", ["-1", -1, 1.0, "1.5", "1e18", "0x10", True, "1_000", "²"])
def test_what_is_no_amount_is_refused(write: Write, amount: object) -> None:
    file = write(NETWORK + STORE + CLIENT)
    said = mistakes(config.load_client, {"minimum_reward": amount}, file, {})
    assert "--minimum-reward: expected an amount in the asset's smallest unit" in said


@given(st.integers(0, 2**112 // 10**9 - 1), st.integers(0, 10**9 - 1))
def test_a_rate_is_read_exactly_to_the_ninth_digit_after_the_point(units: int, parts: int) -> None:
    for text in (f"{units}.{parts:09d}", f"{units}.{parts:09d}".rstrip("0") if parts else units):
        options = {
            "rpc": "http://node:8545", "store": "s", "federation": FEDERATION, "wallet": "w", "data": "d",
            "minimum_rate": text,
        }  # fmt: skip
        assert config.load_client(options, None, {}).minimum_rate == units * 10**9 + parts


@pytest.mark.parametrize(
    "rate", ["-1", -1, 1.0, "1e18", "0x10", True, "1_000", "²", ".5", "5.", "0.1234567891", "1 ", 2**112]
)
def test_what_is_no_rate_is_refused(write: Write, rate: object) -> None:
    said = mistakes(config.load_client, {"minimum_rate": rate}, write(NETWORK + STORE + CLIENT), {})
    assert "--minimum-rate: expected an amount for a second in the asset's smallest unit" in said


def test_a_round_pays_something_for_a_second(write: Write) -> None:
    template = config.organization_template()
    for rate in ("0", "0.000000000"):
        said = mistakes(
            config.load_organization, {}, write(re.sub(r'rate_cap = ".*"', f'rate_cap = "{rate}"', template)), {}
        )
        assert ":round.reward_rate_cap: expected an amount for a second" in said and "above 0" in said


def test_the_shortest_training_is_no_longer_than_the_usual_one(write: Write) -> None:
    shortest = "shortest_training_period = "
    longer = config.organization_template().replace(f"# {shortest}120", f"{shortest}601")
    said = mistakes(config.load_organization, {}, write(longer), {})
    assert "round.shortest_training_period: expected no more than round.training_period" in said


def test_a_client_stakes_nothing_and_takes_the_native_coin_unless_it_says_otherwise(write: Write) -> None:
    settings = config.load_client({}, write(NETWORK + STORE + CLIENT), {})
    assert (settings.asset, settings.max_stake, settings.voucher) == (ZERO_ADDRESS, 0, None)


def test_a_client_names_its_asset_its_highest_stake_and_its_voucher(write: Write) -> None:
    file = write(NETWORK + STORE + CLIENT + f'asset = "{ASSET.lower()}"\nmax_stake = "5"\nvoucher = "admitted.json"\n')
    settings = config.load_client({}, file, {"KOINON_MAX_STAKE": "7"})
    assert (settings.asset, settings.max_stake) == (ASSET, 7)
    assert settings.voucher == file.parent / "admitted.json"
    said = mistakes(config.load_client, {"asset": "ETH", "max_stake": "0.5"}, file, {})
    assert "--asset: expected an address" in said
    assert "--max-stake: expected an amount in the asset's smallest unit" in said


def test_relays_are_addresses_perhaps_with_whose_receipts_count(write: Write) -> None:
    assert config.load_client({}, write(NETWORK + STORE + CLIENT), {}).relays == ()
    named = f"http://one:8080, https://two/path#{ASSET}"
    settings = config.load_member({}, write(NETWORK + CLIENT), {"KOINON_RELAYS": named})
    assert settings.relays == ("http://one:8080", f"https://two/path#{ASSET}")
    for wrong in ("ftp://one", "https://two#0x12", "two", f"https://two#{ASSET.replace('F', 'f')}"):
        said = mistakes(config.load_member, {}, write(NETWORK + CLIENT), {"KOINON_RELAYS": wrong})
        assert "KOINON_RELAYS: expected an address like https://relay.example" in said and wrong not in said


def test_a_nodes_address_is_never_shown(write: Write) -> None:
    file = write(NETWORK + STORE)
    assert "hidden" not in mistakes(config.load_network, {"rpc": "wxs://user:hidden@node"}, file, {})
    assert "hidden" not in repr(config.load_network({"rpc": "https://node/hidden"}, file, {}))


def test_an_address_with_a_wrong_checksum_is_refused_and_without_one_is_written_with_it(write: Write) -> None:
    file = write(NETWORK + STORE + CLIENT)
    assert config.load_client({"federation": FEDERATION.lower()}, file, {}).federation == FEDERATION
    assert "--federation" in mistakes(config.load_client, {"federation": FEDERATION.replace("B", "b")}, file, {})


def test_the_organizations_template_is_complete_but_for_what_is_its_own(write: Write) -> None:
    template = config.organization_template()
    said = mistakes(config.load_organization, {}, write(template), {})
    assert [line.split(" ")[0] for line in said.splitlines()[1:]] == [
        "organization.wallet", "organization.federation", "organization.validation",
    ]  # fmt: skip
    file = write(filled_in(template, federation=FEDERATION, wallet="wallet", validation="validation.npz"))
    settings = config.load_organization({}, file, {})
    assert settings.round.reward == 12 * 10**16 and settings.min_members == 1
    assert settings.round.reward_rate_cap == 2 * 10**13 * 10**9
    assert settings.validation == file.parent / "validation.npz"
    assert settings.plan == tomllib.loads(template)["plan"]


def test_the_organizations_template_opens_rounds_however_many_clients_there_are(write: Write) -> None:
    file = write(filled_in(config.organization_template(), federation=FEDERATION, wallet="w", validation="v.npz"))
    terms = config.load_organization({}, file, {}).round
    most = least_pool(terms.reward_rate_cap, terms.max_updates, terms.max_compute_ms, max_spread=1)
    assert terms.reward >= most


def test_the_clients_template_is_complete_but_for_what_is_its_own(write: Write) -> None:
    template = config.client_template()
    said = mistakes(config.load_client, {}, write(template), {})
    assert [line.split(" ")[0] for line in said.splitlines()[1:]] == [
        "client.wallet",
        "client.federation",
        "client.data",
    ]
    settings = config.load_client(
        {}, write(filled_in(template, federation=FEDERATION, wallet="wallet", data="data.npz")), {}
    )
    assert not settings.accept_public_updates


def test_an_owner_needs_neither_storage_nor_plan_and_a_creator_no_federation(write: Write) -> None:
    file = write('[network]\nrpc = "http://node"\n[organization]\nwallet = "wallet"\n')
    assert config.load_creator({}, file, {}).wallet == file.parent / "wallet"
    said = mistakes(config.load_owner, {}, file, {})
    assert [line.split(" ")[0] for line in said.splitlines()[1:]] == ["organization.federation"]
    owner = config.load_owner({}, file, {"KOINON_FEDERATION": FEDERATION, "KOINON_FACTORY": ASSET})
    assert (owner.federation, owner.factory) == (FEDERATION, ASSET)
    assert owner.state.parts[-3:] == ("organization", FEDERATION, "wallet")


@pytest.mark.parametrize(
    ("template", "settings"),
    [(config.client_template(), config.ClientSettings), (config.organization_template(), config.OrganizationSettings)],
    ids=["client", "organization"],
)
def test_a_template_shows_every_knob_and_its_default(template: str, settings: type) -> None:
    given = tomllib.loads(template)
    shown = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", template, flags=re.MULTILINE))
    for table, kind in [("network", config.NetworkTable), (list(given)[1], settings)]:
        knobs = {knob.name: knob.default for knob in dataclasses.fields(kind) if "kind" in knob.metadata}
        assert shown[table].keys() == knobs.keys()
        for key in shown[table].keys() - given[table].keys():
            assert not isinstance(knobs[key], int | float) or float(shown[table][key]) == knobs[key]


def test_a_plan_that_is_missing_is_said(write: Write) -> None:
    template = config.organization_template()
    assert "koinon organization init" in mistakes(
        config.load_organization, {}, write(template[: template.index("[plan]")]), {}
    )


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path, mark: str) -> None:
    (tmp_path / "koinon.toml").write_bytes(f"{mark}# Größe\n{NETWORK}{STORE}".encode())
    assert config.load_network({}, tmp_path / "koinon.toml", {}).rpc == ("http://file:8545",)


@pytest.mark.parametrize("key", ["wallet", "passphrase_file", "data", "state", "voucher"])
def test_a_home_that_nobody_has_is_said_with_its_setting(write: Write, key: str) -> None:
    file = write(NETWORK + STORE + re.sub(rf"(?m)^{key} = .*\n", "", CLIENT) + f'{key} = "~nobodyhere/it"\n')
    said = mistakes(config.load_client, {}, file, {})
    assert said.splitlines()[1:] == [
        f"{file}:client.{key}: it begins with ~nobodyhere, and no such home folder is known here: write the whole path"
    ]


def test_a_home_that_nobody_has_is_said_of_options_variables_and_sockets_too(write: Write) -> None:
    file = write(NETWORK + STORE + CLIENT)
    assert "--data: it begins with ~nobodyhere" in mistakes(config.load_client, {"data": "~nobodyhere/d"}, file, {})
    for key in ("KOINON_STORE", "KOINON_STATE", "KOINON_RPC"):
        said = mistakes(config.load_client, {}, file, {key: "~nobodyhere/geth.ipc"})
        assert f"{key}: it begins with ~nobodyhere" in said
    said = mistakes(config.load_client, {}, None, {"KOINON_CONFIG": "~nobodyhere/client.toml"})
    assert said.startswith("KOINON_CONFIG: it begins with ~nobodyhere")


@pytest.mark.parametrize("place", ["raises", "~/.local/share/koinon"])
def test_without_any_home_the_state_has_to_be_named(write: Write, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def homeless(_: str) -> Path:
        if place == "raises":
            raise RuntimeError("could not determine the home directory")
        return Path(place)

    monkeypatch.setattr("platformdirs.user_data_path", homeless)
    file = write(NETWORK + STORE + CLIENT)
    said = mistakes(config.load_client, {}, file, {})
    assert said.startswith("client.state is missing") and "set KOINON_STATE" in said and "\n" not in said
    assert config.load_client({}, file, {"KOINON_STATE": "/srv/state"}).state == Path("/srv/state")


def test_a_working_folder_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "cwd", gone)
    assert "working folder is not there any more" in mistakes(config.load_network, {"rpc": "http://node"}, None, {})


OTHERS = {"client": "a client", "organization": "an organization", "relay": "a relay"}


@pytest.mark.parametrize("given", OTHERS)
@pytest.mark.parametrize(
    ("role", "load"),
    [
        ("client", config.load_client),
        ("client", config.load_member),
        ("organization", config.load_organization),
        ("organization", config.load_owner),
        ("organization", config.load_creator),
        ("relay", load_relay),
    ],
)
def test_the_file_of_another_role_is_named_as_that_and_nothing_else_is_complained_about(
    write: Write, role: str, load: Callable[..., Any], given: str
) -> None:
    file = write(NETWORK + STORE + f"[{given}]\n")
    said = mistakes(load, {}, file, {})
    if given == role:
        assert "missing" in said
    else:
        assert said == (
            f"{file} is the configuration of {OTHERS[given]}, with a table [{given}]: expected that of "
            f"{OTHERS[role]}, as `koinon {role} init` writes it"
        )


def test_any_roles_file_says_where_the_chain_is(write: Write) -> None:
    for role in OTHERS:
        assert config.load_network({}, write(NETWORK + STORE + f"[{role}]\n"), {}).rpc == ("http://file:8545",)


def test_true_is_written_small(write: Write) -> None:
    said = mistakes(config.load_network, {}, write(NETWORK + "publish = True\n"), {})
    assert "line 3" in said and "write true, in small letters" in said


@pytest.mark.parametrize(
    "content", [f"timeout = 1{'0' * 400}\n", 'store = "a\\u0000b"\n', 'rpc = "http://node:99999"\n']
)
def test_a_value_that_no_machine_holds_is_a_mistake(write: Write, content: str) -> None:
    network = content if content.startswith("rpc") else f'rpc = "http://node"\n{content}'
    assert "expected" in mistakes(config.load_network, {}, write(f"[network]\n{network}"), {})


def key_file(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"version": 3, "crypto": {}}))
    return path


def test_a_wallet_may_be_a_folder_with_one_and_its_state_goes_by_its_file(write: Write, tmp_path: Path) -> None:
    path = key_file(tmp_path / "wallets" / "UTC--mine")
    file = write(NETWORK + STORE + CLIENT.replace('"wallet"', '"wallets"'))
    settings = config.load_client({}, file, {})
    assert settings.wallet == path and settings.state.name == "UTC--mine"
    assert config.load_member({}, file, {"KOINON_WALLET": str(path)}).state == settings.state


def test_a_folder_with_no_wallet_or_with_several_is_a_mistake_of_its_setting(write: Write, tmp_path: Path) -> None:
    (tmp_path / "wallets").mkdir()
    file = write(NETWORK + STORE + CLIENT.replace('"wallet"', '"wallets"'))
    assert f"{file}:client.wallet: the folder {tmp_path / 'wallets'} holds no wallet" in mistakes(
        config.load_client, {}, file, {}
    )
    for name in ("a", "b"):
        key_file(tmp_path / "wallets" / name)
    assert "holds 2 wallets: name the file of one" in mistakes(config.load_client, {}, file, {})


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    said = mistakes(config.load_network, {}, tmp_path, {})
    assert said == f"the configuration file {tmp_path} cannot be read: Is a directory: name a file, not a folder"
