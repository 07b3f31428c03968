"""From settings to open connections: the chain, the storage, a wallet's key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor.chain.contracts import to_address
from processor.chain.federation import Factory, Federation
from processor.chain.provider import connect
from processor.cli.unlocking import address_of, unlock
from processor.config import NetworkSettings, PartySettings, load_network
from processor.errors import ConfigurationError, WrongAddress
from processor.exchange import Stop, never
from processor.storage import Storage, open_storage
from processor.storage_address import folder_of
from processor.types import Address


def open_chain(rpc: str | None, config: Path | None) -> Web3:
    """The chain for a command that needs no storage. Raises ConfigurationError and ChainError in words."""
    return chain_of(load_network({"rpc": rpc}, config, storage=False))


def open_chain_and_storage(
    rpc: str | None, ipfs: str | None, store: Path | None, config: Path | None
) -> tuple[Web3, Storage]:
    """Chain and storage for a command that only reads: a store that is not there is a mistake, not a new one."""
    network = load_network({"rpc": rpc, "ipfs": ipfs, "store": store}, config)
    for folder in filter(None, map(folder_of, network.storage)):
        if not folder.is_dir():
            raise ConfigurationError(f"there is no directory {folder}: expected the store of the artifacts")
    return chain_of(network), storage_of(network, publishing=False)


def chain_of(network: NetworkSettings, stop: Stop = never) -> Web3:
    """Once `stop` says so, whatever waits for a node is interrupted."""
    return connect(network.rpc, network.timeout, network.chain_id, stop)


@dataclass(frozen=True)
class Party:
    """A wallet in a federation, before its key is needed."""

    settings: PartySettings
    address: Address
    federation: Federation

    @property
    def web3(self) -> Web3:
        return self.federation.web3

    def seen_as(self, address: str) -> Party:
        """The same federation as another account would meet it, whose key nobody here has."""
        return replace(self, address=to_address(address))

    def unlock(self) -> LocalAccount:
        return unlock(self.settings.wallet, self.settings.passphrase_file)


def party_of(settings: PartySettings) -> Party:
    """Raises KeystoreError where there is no wallet, and ChainError as `federation_of`."""
    return Party(settings, address_of(settings.wallet, settings.passphrase_file), federation_of(settings))


def federation_of(settings: PartySettings, stop: Stop = never) -> Federation:
    """The federation that somebody works with, until `stop` says so.

    Raises ChainError where no node answers, and WrongAddress as `federation_at`, or where the factory that was named
    did not make it.
    """
    federation = federation_at(chain_of(settings.network, stop), settings.federation)
    require_made_by(settings.factory, federation)
    return federation


def federation_at(web3: Web3, address: str) -> Federation:
    """The federation at an address.

    Raises WrongAddress where its contract is not the code that we know, made by the factory that we know: any other
    could take a reward or an update and keep no promise.
    """
    federation = Federation(web3, address)
    if not federation.genuine():
        raise WrongAddress(
            f"the contract at {federation.address} is no federation that the factory of this version made: it has "
            "other code than the federation that this version of Koinon ships, or another maker. Check the address, or "
            "use the version that it was made with"
        )
    return federation


def require_made_by(factory: Address | None, federation: Federation) -> None:
    """Raises WrongAddress where a factory is named that did not make the federation."""
    if factory is not None and not Factory(federation.web3, factory).is_federation(federation.address):
        raise WrongAddress(
            f"the factory {factory} did not make the federation {federation.address}, whose storage may have begun "
            "with anything: check both addresses"
        )


def storage_of(network: NetworkSettings, publishing: bool = True, stop: Stop = never) -> Storage:
    """Who only reads may do with gateways alone. Once `stop` says so, whatever waits for others is interrupted."""
    return open_storage(
        network.storage,
        gateways=network.gateways,
        quorum=network.quorum,
        timeout=network.timeout,
        publishing=publishing,
        stop=stop,
    )
