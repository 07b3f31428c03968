"""Several Ethereum nodes as one: the first that is there and up to date is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from processor.chain import answers
from processor.chain.endpoints import Endpoint
from processor.chain.jsonrpc import NoAnswer, no_node
from processor.errors import WrongAddress

FIRST_REST, LONGEST_REST = 15.0, 300.0
"""Seconds for which a node that failed is left alone: at first, and at most, twice as long each time."""

SMALL_LAG = 3
"""Blocks that a node's head may be behind another's: news takes its time."""

STALE_AFTER = 30.0
"""Seconds without a new block after which the other nodes are asked whether they have one."""

_RETRIES, _FIRST_PAUSE = 3, 0.25  # of a busy node, where it is the only one; seconds, twice as long each time


@dataclass(eq=False)
class _Node:
    """A node and what is known of it. `admitted` once it is of the right chain and up to date; `barred` for good."""

    endpoint: Endpoint
    head: int | None = None
    moved_at: float = 0.0
    admitted: bool = False
    barred: bool = False
    failures: int = 0
    rests_until: float = 0.0

    @property
    def shown(self) -> str:
        return self.endpoint.shown


class Failover(JSONBaseProvider):
    """Asks the first of several nodes that is there and up to date; for any number of threads.

    A node that does not answer, or whose head stays behind, is left alone for a while; then it is asked for its chain
    and its head before it takes its place again. What a node has not, while it answers, is asked of the next one, for
    that request alone. What a contract or a node refuses is an answer.
    """

    # A contract could otherwise make this machine send requests to addresses of its choice (EIP-3668).
    global_ccip_read_enabled = False

    def __init__(
        self, endpoints: Sequence[Endpoint], chain_id: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Asks every node for its chain; `clock` gives seconds. Raises ChainError where none answers, or where they are
        on different chains, or on another than `chain_id`: then it is WrongAddress."""
        super().__init__()
        self._nodes = [_Node(endpoint) for endpoint in endpoints]
        self._clock = clock
        self._log = structlog.get_logger()
        self._lock = threading.Lock()
        self._chain_id = self._common_chain(chain_id)
        self._active = next(node for node in self._nodes if node.admitted)

    def __str__(self) -> str:
        return ", ".join(node.shown for node in self._nodes)

    __repr__ = __str__

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """What a node answers. Raises ChainError with what each said where none does."""
        if not answers.repeatable(method):
            return self._active.endpoint.request(method, params)
        failed: list[NoAnswer] = []
        missing: RPCResponse | None = None  # from a node that answers, but has not what was asked for
        ready, resting = self._in_order()
        for node in ready:
            try:
                if not self._admit(node):
                    resting.append(node)
                    continue
                response = self._ask(node, method, params)
            except NoAnswer as error:
                failed.append(error)
                continue
            if not self._left_behind(node, method, params, response) and not answers.has_not(method, response):
                self._announce(failed)
                return response
            missing = missing or response
        if missing is None:
            for node in resting:
                try:
                    self._admit(node, any_head=True)
                    missing = self._ask(node, method, params)
                    break
                except NoAnswer as error:
                    failed.append(error)
        if missing is None:
            raise _nobody(failed)
        self._announce(failed)
        return missing

    def everywhere(self, method: RPCEndpoint, params: Any) -> list[RPCResponse]:
        """What every node answers that does, those that rest among them: for what must not be concluded from one node
        alone. Raises NoAnswer with what each said where none answers."""
        answered: list[RPCResponse] = []
        failed: list[NoAnswer] = []
        for node in self._nodes:
            try:
                if node.barred or not (node.admitted or self._chain_of(node) == self._chain_id):
                    continue
                response = node.endpoint.request(method, params)
                if answers.too_often(response):
                    raise NoAnswer(f"the node at {node.shown} is asked too often: {_said(response)}", busy=True)
                answered.append(response)
            except NoAnswer as error:
                failed.append(error)
        if not answered:
            raise _nobody(failed)
        return answered

    # ------------------------------------------------------------------------------------------------ one request

    def _in_order(self) -> tuple[list[_Node], list[_Node]]:
        """The nodes that may be asked, the preferred first, and those that rest, by the end of their rest."""
        usable = [node for node in self._nodes if not node.barred]
        ready = [node for node in usable if self._is_ready(node)]
        return ready, sorted((node for node in usable if node not in ready), key=lambda node: node.rests_until)

    def _ask(self, node: _Node, method: str, params: Any) -> RPCResponse:
        """What an admitted node answers. Raises NoAnswer, after which it rests."""
        response = self._behind(node, method, params) or self._request(node, method, params)
        node.failures, node.rests_until = 0, 0.0
        return response

    def _request(self, node: _Node, method: str, params: Any) -> RPCResponse:
        """A busy node is asked again only where there is no other."""
        retries = _RETRIES if len(self._nodes) == 1 and method != "eth_sendRawTransaction" else 1
        for attempt in range(1, retries + 1):
            try:
                response = node.endpoint.request(method, params)
                if answers.too_often(response):
                    raise NoAnswer(f"the node at {node.shown} is asked too often: {_said(response)}", busy=True)
                return response
            except NoAnswer as error:
                if not error.busy or attempt == retries:
                    self._rest(node)
                    raise
                time.sleep(_FIRST_PAUSE * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _behind(self, node: _Node, method: str, params: Any) -> RPCResponse | None:
        """The refusal of a request that names a block which the node does not know yet: some nodes answer all the same,
        with the logs that they have so far."""
        wanted = answers.newest_named(method, params)
        if wanted is None or (node.head is not None and node.head >= wanted):
            return None
        head = self._look(node)
        if head >= wanted:
            return None
        message = f"block {wanted} is not known yet, the latest is {head}"
        return {"jsonrpc": "2.0", "id": 0, "error": {"code": answers.NOT_FOUND, "message": message}}

    # ---------------------------------------------------------------------------------------- who is asked, and who not

    def _common_chain(self, expected: int | None) -> int:
        silent: list[NoAnswer] = []
        chains: dict[str, int] = {}
        for node in self._nodes:
            try:
                chains[node.shown] = self._chain_of(node)
                node.admitted = True
            except NoAnswer as error:
                silent.append(error)
        if not chains:
            raise _nobody(silent)
        if len(set(chains.values())) > 1:
            found = ", ".join(f"{name} is on chain {chain}" for name, chain in chains.items())
            raise WrongAddress(
                f"the Ethereum nodes are not all on the same chain: {found}. Name nodes of one chain only"
            )
        name, actual = next(iter(chains.items()))
        if expected is not None and actual != expected:
            raise WrongAddress(f"the node at {name} is on chain {actual}; chain {expected} was expected")
        for each in silent:
            self._log.warning("Ethereum node passed over", reason=str(each))
        return actual

    def _admit(self, node: _Node, any_head: bool = False) -> bool:
        """Asks a node, before it is asked for anything else for the first time or again, for its chain and its head;
        whether it is up to date, or may be behind. Raises NoAnswer, for one of another chain too: it is barred."""
        if node.admitted:
            return True
        chain = self._chain_of(node)
        if chain != self._chain_id:
            node.barred = True
            message = f"the node at {node.shown} is on chain {chain}; chain {self._chain_id} was expected"
            self._log.error("Ethereum node barred", reason=message)
            raise NoAnswer(message)
        if not any_head and self._look(node) < self._best_of_others(node) - SMALL_LAG:
            self._rest(node)
            return False
        node.admitted = True
        return True

    def _left_behind(self, node: _Node, method: str, params: Any, response: RPCResponse) -> bool:
        """Notes the head that an answer names; whether another node is so far ahead that this one is left for it."""
        head = answers.head_in(method, params, response)
        if head is None:
            return False
        self._note(node, head)
        stale = self._clock() - node.moved_at >= STALE_AFTER
        if not stale and head >= self._best_of_others(node) - SMALL_LAG:
            return False
        others = [each for each in self._nodes if each is not node and self._is_ready(each)]
        best, ahead = max(((self._head_now(each), each.shown) for each in others), default=(0, ""))
        if best <= (head if stale else head + SMALL_LAG):
            node.moved_at = self._clock()
            return False
        self._rest(node)
        self._announce([NoAnswer(f"{node.shown} is at block {head} while {ahead} is at {best}")])
        return True

    def _announce(self, failed: Sequence[NoAnswer]) -> None:
        """Says, once, that another node is asked from now on, and why."""
        with self._lock:
            previous = self._active
            ready = (node for node in self._nodes if node.admitted and self._is_ready(node))
            self._active = active = next(ready, previous)
        if active is not previous:
            reason = "; ".join(map(str, failed)) or f"{active.shown} is preferred, and answers again"
            self._log.warning("another Ethereum node", node=active.shown, instead_of=previous.shown, reason=reason)

    def _is_ready(self, node: _Node) -> bool:
        return not node.barred and node.rests_until <= self._clock()

    def _rest(self, node: _Node) -> None:
        with self._lock:
            node.admitted = False
            node.rests_until = self._clock() + min(FIRST_REST * 2**node.failures, LONGEST_REST)
            node.failures = min(node.failures + 1, 10)

    # -------------------------------------------------------------------------------------------- chain and heads

    def _chain_of(self, node: _Node) -> int:
        response = self._request(node, "eth_chainId", [])
        if "error" in response:
            self._rest(node)
            raise NoAnswer(f"the node at {node.shown} could not name its chain: {_said(response)}")
        return self._number_of(node, response)

    def _look(self, node: _Node) -> int:
        """Asks a node for its head."""
        head = self._number_of(node, self._request(node, "eth_blockNumber", []))
        self._note(node, head)
        return head

    def _head_now(self, node: _Node) -> int:
        """The head of a node that may be asked; 0 where it does not answer."""
        try:
            self._admit(node, any_head=True)
            return self._look(node)
        except NoAnswer:
            return 0

    def _number_of(self, node: _Node, response: RPCResponse) -> int:
        found = answers.number(response.get("result"))
        if found is None:
            self._rest(node)
            raise no_node(node.shown)
        return found

    def _note(self, node: _Node, head: int) -> None:
        with self._lock:
            if node.head != head:
                node.head, node.moved_at = head, self._clock()

    def _best_of_others(self, node: _Node) -> int:
        """The highest head that another node was at when it was last asked."""
        return max((each.head or 0 for each in self._nodes if each is not node), default=0)


def _said(response: RPCResponse) -> str:
    error: Any = response.get("error")
    return str(error.get("message") if isinstance(error, dict) else error)


def _nobody(failed: Sequence[NoAnswer]) -> NoAnswer:
    """What every node said that did not answer, in the order in which they were asked."""
    if len(failed) == 1:
        return failed[0]
    return NoAnswer(
        f"no Ethereum node answers: {'; '.join(map(str, failed))}",
        busy=any(error.busy for error in failed),
        too_much=any(error.too_much for error in failed),
    )
