// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";
import {Actions} from "./Actions.sol";
import {Refusals} from "./Refusals.sol";
import {Stage} from "./Stage.sol";

contract Handler is Refusals {
    constructor(IFederation.FederationTerms memory terms) Stage(terms) {}
}

/// @title What always holds, whatever people do in whatever order.
abstract contract FederationInvariants is Test {
    Handler internal handler;
    IFederation internal federation;

    function setUp() public {
        handler = new Handler(_terms());
        federation = handler.federation();
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), _selectors()));
    }

    function _terms() internal virtual returns (IFederation.FederationTerms memory);

    /// @dev The action by which clients register here.
    function _registration() internal view virtual returns (bytes4);

    /// @dev Repeated is weighted: rounds that run their course tell the most.
    function _selectors() internal view returns (bytes4[] memory selectors) {
        bytes4[27] memory listed = [
            _registration(),
            Actions.wait.selector,
            Actions.leave.selector,
            Actions.leave.selector,
            Actions.open.selector,
            Actions.open.selector,
            Actions.submit.selector,
            Actions.submit.selector,
            Actions.finalize.selector,
            Actions.finalize.selector,
            Actions.run.selector,
            Actions.run.selector,
            Actions.run.selector,
            Actions.claim.selector,
            Actions.claim.selector,
            Actions.claimFor.selector,
            Actions.fund.selector,
            Actions.close.selector,
            Actions.close.selector,
            Actions.administer.selector,
            Actions.give.selector,
            Refusals.registerWrongly.selector,
            Refusals.submitWrongly.selector,
            Refusals.takeWrongly.selector,
            Refusals.openWrongly.selector,
            Refusals.finalizeWrongly.selector,
            Refusals.actWithoutRight.selector
        ];
        selectors = new bytes4[](listed.length);
        for (uint256 i; i < listed.length; ++i) {
            selectors[i] = listed[i];
        }
    }

    /// @notice Deposits = paid + owed + live pool + carried + stakes + forfeited, and what is not paid out is there.
    function invariant_TheBooksBalance() public view {
        assertEq(
            handler.deposits(),
            handler.paid() + handler.owed() + handler.livePool() + handler.carried() + handler.stakes()
                + handler.forfeited(),
            "books"
        );
        assertEq(handler.held(address(federation)), handler.deposits() - handler.paid() + handler.gifts(), "balance");
        assertEq(federation.carried(), handler.carried(), "carried");
        for (uint256 i; i < 10; ++i) {
            address client = handler.clients(i);
            assertEq(federation.roundView(0, client).client.stake, handler.stakeOf(client), "stake");
        }
        for (uint32 round = 1; round <= handler.rounds(); ++round) {
            _checkMoney(round);
        }
    }

    /// @notice A round pays at most its pool, and nobody more than the wage.
    function invariant_NoRoundPaysMoreThanItsPoolAndNobodyMoreThanTheWage() public view {
        for (uint32 round = 1; round <= handler.rounds(); ++round) {
            Handler.RoundRecord memory record = handler.roundRecord(round);
            uint256 received;
            for (uint256 i; i < record.clients.length; ++i) {
                Handler.UpdateRecord memory update = handler.updateRecord(round, record.clients[i]);
                assertLe(update.received, update.creditedMs * record.rewardRateCap / 1000, "wage");
                received += update.received;
            }
            assertLe(received, record.pool, "pool");
        }
    }

    /// @notice A client has at most one update in a round.
    function invariant_OneUpdatePerClientAndRound() public view {
        for (uint32 round = 1; round <= handler.rounds(); ++round) {
            address[] memory submitted = handler.roundRecord(round).clients;
            IFederation.ClientView[] memory updates = federation.updates(round, 0, type(uint32).max);
            assertEq(updates.length, submitted.length, "updates");
            assertEq(federation.roundView(round, address(0)).updateCount, submitted.length, "count");
            for (uint256 i; i < updates.length; ++i) {
                assertEq(updates[i].computeMs, handler.updateRecord(round, updates[i].client).claimedMs, "claimed");
                for (uint256 j; j < i; ++j) {
                    assertNotEq(updates[i].client, updates[j].client, "twice");
                }
            }
        }
    }

    /// @notice Credited <= claimed <= what the clock and the round's terms allowed at the submission.
    function invariant_CreditedIsAtMostClaimedAndClaimedAtMostTheBound() public view {
        for (uint32 round = 1; round <= handler.rounds(); ++round) {
            IFederation.ClientView[] memory updates = federation.updates(round, 0, type(uint32).max);
            (uint256 claimedMs, uint256 creditedMs) = (0, 0);
            for (uint256 i; i < updates.length; ++i) {
                Handler.UpdateRecord memory update = handler.updateRecord(round, updates[i].client);
                assertEq(updates[i].creditedMs, update.creditedMs, "credited");
                assertLe(updates[i].creditedMs, updates[i].computeMs, "raised");
                assertLe(updates[i].computeMs, update.boundMs, "bound");
                claimedMs += updates[i].computeMs;
                creditedMs += updates[i].creditedMs;
            }
            IFederation.RoundView memory view_ = federation.roundView(round, address(0));
            assertEq(view_.claimedMs, claimedMs, "claimed total");
            assertEq(view_.creditedMs, creditedMs, "credited total");
        }
    }

    /// @notice What a round that is over says of itself and of its updates never changes.
    function invariant_WhatIsFinalizedStaysAsItIs() public view {
        for (uint32 round = 1; round <= handler.rounds(); ++round) {
            if (handler.roundRecord(round).settled) assertEq(handler.sealOf(round), handler.seals(round), "changed");
            assertEq(uint8(federation.phase(round)), uint8(handler.phaseOf(round)), "phase");
        }
    }

    /// @notice The owner can never withdraw more because clients were rejected or lowered.
    function invariant_RejectingNeverPaysTheOwner() public view {
        assertEq(handler.gainedByRejecting(), 0);
    }

    /// @notice Every client can leave and claim what is theirs, whatever the organization did, and if it does nothing.
    function invariant_EveryClientGetsOutWithWhatIsTheirs() public {
        uint256 snapshot = vm.snapshotState();
        handler.evacuate();
        vm.revertToStateAndDelete(snapshot);
    }

    /// @notice The handler has no blind spot: every kind of state is reached, most actions succeed.
    function test_TheHandlerReachesEveryKindOfState() public {
        string[10] memory kinds = [
            "finalized",
            "rejected",
            "slashed",
            "abandoned",
            "empty",
            "left in a live round",
            "registered again",
            "closed",
            "withdrawn",
            "handed over"
        ];
        uint256[] memory reached = new uint256[](kinds.length);
        bytes4[] memory selectors = _selectors();
        uint256 done;
        for (uint256 story; story < 30; ++story) {
            uint256 snapshot = vm.snapshotState();
            for (uint256 i; i < 150; ++i) {
                uint256 seed = uint256(keccak256(abi.encode(story, i)));
                (bool success,) =
                    address(handler).call(abi.encodeWithSelector(selectors[seed % selectors.length], seed));
                if (success) ++done;
            }
            for (uint256 i; i < kinds.length; ++i) {
                reached[i] += handler.reached(kinds[i]);
            }
            vm.revertToStateAndDelete(snapshot);
        }
        emit log_named_uint("actions done of 4500", done);
        for (uint256 i; i < kinds.length; ++i) {
            emit log_named_uint(kinds[i], reached[i]);
            assertGt(reached[i], 0, kinds[i]);
        }
        assertGe(done, 2250, "most actions are discarded");
    }

    /// @dev What the federation says of a round's money, against the specification's formulas.
    function _checkMoney(uint32 round) private view {
        Handler.RoundRecord memory record = handler.roundRecord(round);
        IFederation.RoundView memory view_ = federation.roundView(round, address(0));
        assertEq(view_.pool, record.pool, "pool");
        if (!record.settled) return;
        (uint256 claimedMs, uint256 creditedMs) = handler.totals(round);
        (uint256 earned, uint256 payable_) = (handler.earned(round, claimedMs), handler.earned(round, creditedMs));
        assertEq(view_.payable_, payable_, "payable");
        assertEq(view_.surplus, record.pool - earned, "surplus");
        assertEq(view_.forfeited, earned - payable_, "forfeited");
        IFederation.ClientView[] memory updates = federation.updates(round, 0, type(uint32).max);
        for (uint256 i; i < updates.length; ++i) {
            Handler.UpdateRecord memory update = handler.updateRecord(round, updates[i].client);
            uint256 share = creditedMs == 0 ? 0 : payable_ * update.creditedMs / creditedMs;
            assertEq(updates[i].reward, share, "reward");
            assertEq(updates[i].claimed, update.claimed, "claimed");
            assertEq(updates[i].slashRate, update.slashRate, "slash rate");
        }
    }
}

/// @notice A violation stays in the books: a check now and then, and after the last action, finds what every one would.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.check-interval = 10
/// forge-config: prove.invariant.fail-on-revert = true
/// forge-config: prove.invariant.check-interval = 10
contract NativeFederationInvariants is FederationInvariants {
    function _terms() internal pure override returns (IFederation.FederationTerms memory) {
        return IFederation.FederationTerms({
            asset: address(0),
            stake: 1 ether + 1,
            maxSlashRate: 3333,
            admission: IFederation.Admission.Open,
            auditPolicy: IFederation.AuditPolicy.Open
        });
    }

    function _registration() internal pure override returns (bytes4) {
        return Actions.register.selector;
    }
}

/// @notice A violation stays in the books: a check now and then, and after the last action, finds what every one would.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.check-interval = 10
/// forge-config: prove.invariant.fail-on-revert = true
/// forge-config: prove.invariant.check-interval = 10
contract TokenFederationInvariants is FederationInvariants {
    function _terms() internal override returns (IFederation.FederationTerms memory) {
        return IFederation.FederationTerms({
            asset: vm.deployCode("Token.sol:Token"),
            stake: 7,
            maxSlashRate: 10_000,
            admission: IFederation.Admission.Voucher,
            auditPolicy: IFederation.AuditPolicy.Appointed
        });
    }

    function _registration() internal pure override returns (bytes4) {
        return Actions.registerWithVoucher.selector;
    }
}
