"""From settings to open connections: the chain, the storage, a wallet's key."""

from __future__ import annotations

from pathlib import Path

from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor import keystore
from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.config import NetworkSettings, load_network
from processor.errors import ChainError, ConfigurationError
from processor.storage import Storage, open_storage
from processor.types import Address


def open_chain(rpc: str | None, config: Path | None) -> Web3:
    """The chain for a command that needs no storage. Raises ConfigurationError and ChainError in words."""
    return chain_of(load_network({"rpc": rpc}, config, storage=False))


def open_chain_and_storage(
    rpc: str | None, ipfs: str | None, store: Path | None, config: Path | None
) -> tuple[Web3, Storage]:
    """Chain and storage for a command that only reads: a store that is not there is a mistake, not a new one."""
    network = load_network({"rpc": rpc, "ipfs": ipfs, "store": store}, config)
    if network.store is not None and not network.store.is_dir():
        raise ConfigurationError(f"there is no directory {network.store}: expected the store of the artifacts")
    return chain_of(network), storage_of(network)


def chain_of(network: NetworkSettings) -> Web3:
    return connect(network.rpc, network.timeout, network.chain_id)


def federation_of(network: NetworkSettings, address: Address) -> Federation:
    """The federation that a daemon works with. Raises ChainError where its contract is not the code that we know: any
    other could take a reward or an update and keep no promise."""
    federation = Federation(chain_of(network), address)
    if not federation.genuine():
        raise ChainError(
            f"the contract at {address} has other code than the federation that this version of Koinon ships: "
            "check the address, or use the version that it was made with"
        )
    return federation


def storage_of(network: NetworkSettings) -> Storage:
    return open_storage(network.ipfs, network.store, network.timeout)


def unlock(wallet: Path, passphrase_file: Path | None) -> LocalAccount:
    """The account of a wallet, its passphrase from a file, the environment or a prompt."""
    return keystore.unlock(wallet, keystore.passphrase(True, passphrase_file))
