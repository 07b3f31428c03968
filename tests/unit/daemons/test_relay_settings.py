"""A relay's configuration: its template, its defaults, and its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from processor.config_relay import RelaySettings, load_relay, relay_template
from processor.errors import ConfigurationError

FEDERATION = "0x" + "22" * 20


def written(folder: Path, text: str) -> Path:
    file = folder / "relay.toml"
    file.write_text(text)
    return file


def filled(more: str = "") -> str:
    return (
        relay_template()
        .replace('federation = ""', f'federation = "{FEDERATION}"')
        .replace('wallet = ""', f'wallet = "wallet.json"\n{more}')
    )


def test_the_template_with_what_is_empty_filled_in_is_a_configuration(tmp_path: Path) -> None:
    settings = load_relay({}, written(tmp_path, filled()), {})
    assert settings.listen == ("127.0.0.1", 8700) and settings.wallet == tmp_path / "wallet.json"
    assert settings.network.rpc == ("http://127.0.0.1:8545",) and settings.network.storage == ()
    assert settings.claim_threshold is None and settings.state.parts[-3:-1] == ("relay", FEDERATION)


def test_what_the_template_comments_out_are_the_defaults(tmp_path: Path) -> None:
    before = load_relay({}, written(tmp_path, filled()), {})
    text = filled()
    for key in ("requests_per_minute", "gas_per_day", "gas_per_client", "batch", "keep_days", "poll_interval"):
        assert f"\n# {key} = " in text
        text = text.replace(f"\n# {key} = ", f"\n{key} = ")
    assert load_relay({}, written(tmp_path, text), {}) == before


def test_every_key_can_be_given_in_the_environment(tmp_path: Path) -> None:
    environment = {"KOINON_LISTEN": "[::1]:9000", "KOINON_CLAIM_THRESHOLD": "5", "KOINON_BATCH": "7"}
    settings = load_relay({}, written(tmp_path, filled()), environment)
    assert (settings.listen, settings.claim_threshold, settings.batch) == (("::1", 9000), 5, 7)


def test_mistakes_are_named_together(tmp_path: Path) -> None:
    text = filled('batch = 101\ngas_per_day = 0\nlisten_at = "x"').replace('listen = "127.0.0.1:8700"', "")
    with pytest.raises(ConfigurationError) as error:
        load_relay({}, written(tmp_path, text), {})
    words = str(error.value)
    assert "relay.batch: expected a whole number from 1 to 100" in words
    assert "relay.gas_per_day: expected" in words and "relay.listen is missing" in words
    assert "listen_at is unknown: did you mean listen?" in words


def test_an_unknown_table_is_a_mistake_and_those_of_others_are_not(tmp_path: Path) -> None:
    load_relay({}, written(tmp_path, filled() + '\n[client]\ndata = "x"\n'), {})
    with pytest.raises(ConfigurationError, match="relais is unknown: did you mean relay"):
        load_relay({}, written(tmp_path, filled() + "\n[relais]\n"), {})


def test_no_secret_is_in_what_is_shown_of_the_settings(tmp_path: Path) -> None:
    text = filled().replace("http://127.0.0.1:8545", "https://node.example/v3/a-secret-key")
    settings = load_relay({}, written(tmp_path, text), {})
    assert isinstance(settings, RelaySettings) and "a-secret-key" not in repr(settings)
