"""What a client agrees to before it takes part: the rules of one federation, by digest and in plain words. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from processor import jcs
from processor.artifacts.plan import Factory, Plan
from processor.chain.asset import Asset
from processor.observability import printable
from processor.protocol.limits import ModelSize, artifact_bytes, offer_of
from processor.protocol.rewards import rate_in_words
from processor.types import Address, Admission, AuditPolicy, Cid, FederationTerms, RoundView
from processor.words import counted

VERSION = 2
"""Of the words: who agreed to those of before is asked again, since they promised something else."""
ANOTHER_PLAN = "nobody trains under it any more, until the organization offers another plan and you agree to that"


@dataclass(frozen=True)
class Agreement:
    """The plan of a federation and the terms that are fixed for good; what a single round pays is no part of it."""

    chain_id: int
    federation: Address
    plan_cid: Cid
    plan: Plan
    terms: FederationTerms

    def digest(self) -> str:
        """What a client keeps of what it agreed to (`agreement_digest`)."""
        return agreement_digest(self.chain_id, self.federation, self.plan_cid, self.terms)


def agreement_digest(chain_id: int, federation: Address, plan: Cid, terms: FederationTerms) -> str:
    """SHA-256, in hexadecimal digits, of the canonical JSON of federation, plan and terms, and of the version of the
    words that say what they mean."""
    document = {
        "version": VERSION,
        "chain_id": chain_id,
        "federation": federation,
        "plan": plan,
        "asset": terms.asset,
        "stake": str(terms.stake),
        "max_slash_rate": terms.max_slash_rate,
        "admission": terms.admission.name.lower(),
        "audit_policy": terms.audit_policy.name.lower(),
        "max_spread": terms.max_spread,
        "idle_rounds": terms.idle_rounds,
    }
    return hashlib.sha256(jcs.dumps(document)).hexdigest()


def consent_refusal(agreement: Agreement, announced: bool = False) -> str:
    """Why a round is refused whose plan nobody agreed to. Completes "round 3 refused:". A plan that is only
    `announced` has to be named to be read."""
    named = f" --plan {agreement.plan_cid}" if announced else ""
    return (
        f"you have not agreed to its plan {agreement.plan_cid} (digest {agreement.digest()}): read it and agree with "
        f"`koinon client join {agreement.federation}{named}`, which takes the configuration of this daemon"
    )


def number_refusal(plan: Plan, number: int) -> str | None:
    """Why a round of this number is refused: the plan promised that none would follow. Completes "round 3 refused:"."""
    last = plan.stopping.max_rounds
    if number <= last:
        return None
    return f"its plan promises that no round follows round {last}: {ANOTHER_PLAN}"


def ended_refusal(why: str) -> str:
    """Why a round is refused whose plan has come to its end. Completes "round 3 refused:"."""
    return f"its plan has come to its end, since {why}: {ANOTHER_PLAN}"


def in_words(agreement: Agreement, asset: Asset, round: RoundView | None, size: ModelSize | None) -> str:
    """The agreement for a person with little time, a heading and some sentences for each question.

    `round` is the latest, whose money is shown; None before the first. `size` is None where the model cannot be built
    here.
    """
    plan, terms = agreement.plan, agreement.terms
    lines = [
        f"The federation {agreement.federation} on chain {agreement.chain_id}",
        f"and its plan {agreement.plan_cid}",
    ]
    for heading, sentences in (
        ("What is trained", _training(plan, size)),
        ("What leaves your machine", _leaving(plan, size)),
        ("Noise", _noise()),
        ("Who can see what", _seen(plan, terms)),
        ("What you are paid", _reward(plan, terms, asset, round)),
        ("What you stake", _stake(plan, terms, asset)),
        ("What becomes of your update", _aggregation(plan)),
        ("When it ends", _stopping(plan, terms)),
    ):
        lines += ["", heading, *(f"  - {sentence}" for sentence in sentences)]
    return "\n".join(printable(line) for line in lines)


def _training(plan: Plan, size: ModelSize | None) -> Iterator[str]:
    unknown = "a number of parameters that this version cannot tell"
    parameters = unknown if size is None else counted(size.parameters, "parameter")
    yield f"The task {_called(plan.task)}, with the model {_called(plan.model)}: {parameters}."
    yield (
        f"In each round that selects you: {_work(plan)}, by stochastic gradient descent with a learning rate of "
        f"{plan.optimizer.learning_rate:g} and a momentum of {plan.optimizer.momentum:g}."
    )
    if plan.anchored:
        yield (
            f"Elastic weight consolidation of strength {plan.ewc.strength:g} holds what earlier rounds learned; its "
            f"Fisher information is measured on at most {counted(plan.ewc.fisher_samples, 'sample')} of yours."
        )
    else:
        yield "No elastic weight consolidation: nothing but the base model holds what earlier rounds learned."


def _work(plan: Plan) -> str:
    batches = f"batches of {counted(plan.local.batch_size, 'sample')}"
    if plan.local.steps is not None:
        return f"{counted(plan.local.steps, 'step')} on {batches}, the same for every client"
    return f"{counted(plan.local.epochs or 0, 'pass', 'passes')} over all your samples, in {batches}"


def _leaving(plan: Plan, size: ModelSize | None) -> Iterator[str]:
    fisher = ", and the Fisher information of each parameter" if plan.sends_fisher else ""
    weight = "" if size is None else f", {_bytes(artifact_bytes(plan, size))} in all"
    yield (
        "One sealed update for a round: by how much each parameter of the model changed, the model's buffers"
        f"{fisher}{weight}; and how many samples you have, so that updates can be weighted. It is published on IPFS "
        "once the chain shows it."
    )
    yield (
        "On the chain, for everybody and for good: your address, and for each round the digest of your update and how "
        "much compute time you claim."
    )
    yield "Your data itself stays where it is."


def _noise() -> Iterator[str]:
    yield (
        "None is added. An update tells something about the data it comes from, and what it tells cannot be bounded: "
        "take part only with data that may be public."
    )


def _seen(plan: Plan, terms: FederationTerms) -> Iterator[str]:
    if terms.audit_policy is AuditPolicy.OPEN:
        yield (
            "Updates: the organization can open them. When it finalizes the round it publishes the secret (audit "
            "policy open): from then on everybody can open your update, for ever, read how many samples you have, and "
            "recompute the round."
        )
    else:
        yield (
            "Updates: the organization, and the auditors that it appoints (audit policy appointed), can open them; the "
            "secret is not published."
        )
    yield "The base model and every later one: everybody who can reach IPFS, since models are published unencrypted."
    if plan.validation == "private":
        yield "What the models are measured on is private to the organization: their metric is its word."
    else:
        yield f"What the models are measured on is public, {plan.validation}: everybody can measure them again."


def _reward(plan: Plan, terms: FederationTerms, asset: Asset, round: RoundView | None) -> Iterator[str]:
    yield (
        "By compute time: each credited second is paid the same, at most a wage, out of the pool of its round. Rewards "
        f"are in {asset.symbol}" + ("." if asset.native else f", the token {asset.address}.")
    )
    if terms.max_spread == 1:
        yield (
            "No round opens with a pool that cannot pay the wage for all that may be claimed in it: what others claim, "
            "and that others are rejected, changes nothing of your pay beyond rounding (a maxSpread of 1)."
        )
    else:
        yield (
            f"A pool may be up to {terms.max_spread} times smaller than what may be claimed in its round (a maxSpread "
            f"of {terms.max_spread}): the more others claim, the less a second is paid, and rejecting others can raise "
            f"any pay at most {terms.max_spread}-fold."
        )
    yield (
        f"Compute time above {plan.metering.tolerance_percent / 100:g} times the median of the accepted claims is "
        f"lowered to that, though never below {counted(plan.metering.floor_ms / 1000, 'second')}."
    )
    if round is None:
        yield (
            "Pool, wage and floor belong to each round and are fixed when it opens; none has been opened yet. The "
            "floor is the smaller of the wage and pool ÷ (selected clients · most compute time)."
        )
    else:
        most = round.max_compute_ms / 1000
        yield (
            f"These belong to each round and are fixed when it opens. Round {round.round}, the latest: a pool "
            f"of {asset.format(round.pool)}, at most {counted(round.selected_count, 'update')} of "
            f"{counted(most, 'second')} each, and a wage of {rate_in_words(asset, round.reward_rate_cap)} for a second."
        )
        yield (
            f"Guaranteed there, whatever others claim: {rate_in_words(asset, round.guaranteed_rate)} for every "
            f"credited second, {asset.format(offer_of(round, asset, 0).reward)} for the most compute time. Your own "
            "minimum_rate and minimum_reward refuse rounds that guarantee less."
        )


def _stake(plan: Plan, terms: FederationTerms, asset: Asset) -> Iterator[str]:
    admitted = "Anybody may register." if terms.admission is Admission.OPEN else "You need the organization's voucher."
    if not terms.stake:
        yield f"Nothing. {admitted}"
        return
    yield f"{asset.format(terms.stake)}, which comes back when you leave, less what was slashed of it. {admitted}"
    yield (
        f"The plan slashes {plan.slashing.rate / 100:g} % of what is left of it for an update that breaks the rules in "
        "a way that only its own client can have caused. The contract lets no round slash more than "
        f"{terms.max_slash_rate / 100:g} %."
    )


def _aggregation(plan: Plan) -> Iterator[str]:
    yield (
        "Accepted updates are averaged, weighted by the samples that they name, of which at most "
        f"{plan.aggregation.max_weight} count for a client. One whose norm exceeds {plan.aggregation.max_norm:g} is "
        "rejected, and paid nothing."
    )
    if plan.buffers is not None:
        yield "So is one whose buffers lie outside what the plan declares."
    if plan.aggregation.min_updates > 1:
        yield f"With fewer than {counted(plan.aggregation.min_updates, 'accepted update')} the model stays as it is."


def _stopping(plan: Plan, terms: FederationTerms) -> Iterator[str]:
    stopping = plan.stopping
    yield (
        f"After {counted(stopping.max_rounds, 'round')} at the latest; from round {stopping.min_rounds} on, once the "
        f"metric has not improved by {stopping.min_improvement:g} for {counted(stopping.patience, 'round')}, as the "
        "report of that round says."
    )
    yield (
        f"Your daemon takes part in no round whose number is above {stopping.max_rounds}, and in none after a report "
        "that says so, until you agree to another plan. A report that cannot be had says nothing."
    )
    yield "You may leave at any time; what you earned stays yours."
    if terms.idle_rounds:
        yield (
            "Anybody may end the membership of a client that a round selects and that says nothing, once its last "
            f"update, decline or registration is {counted(terms.idle_rounds, 'round')} back. Stake and rewards stay "
            "its own; `koinon client decline` says that you take no part in a round."
        )


def _called(factory: Factory) -> str:
    """A registered name and what it is called with; others wrote it."""
    arguments = ", ".join(f"{name} {value}" for name, value in sorted(factory.arguments.items()))
    return f"{factory.name} ({arguments})" if arguments else factory.name


def _bytes(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} bytes"
