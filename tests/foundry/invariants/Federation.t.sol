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
    /// @dev Lines of a page: smaller than a round, so that pages have to fit together.
    uint256 private constant PAGE = 4;

    Handler internal handler;
    IFederation internal federation;

    function setUp() public {
        handler = new Handler(_terms());
        federation = handler.federation();
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), _selectors()));
    }

    function _terms() internal virtual returns (IFederation.FederationTerms memory);

    /// @dev Repeated is weighted: rounds that run their course tell the most.
    function _selectors() internal pure returns (bytes4[] memory selectors) {
        bytes4[31] memory listed = [
            Actions.register.selector,
            Actions.register.selector,
            Actions.wait.selector,
            Actions.leave.selector,
            Actions.leave.selector,
            Actions.open.selector,
            Actions.open.selector,
            Actions.submit.selector,
            Actions.submit.selector,
            Actions.relayUpdates.selector,
            Actions.relayUpdates.selector,
            Actions.retire.selector,
            Actions.finalize.selector,
            Actions.finalize.selector,
            Actions.run.selector,
            Actions.run.selector,
            Actions.run.selector,
            Actions.claim.selector,
            Actions.claimFor.selector,
            Actions.fund.selector,
            Actions.close.selector,
            Actions.administer.selector,
            Actions.administer.selector,
            Actions.give.selector,
            Refusals.registerWrongly.selector,
            Refusals.submitWrongly.selector,
            Refusals.replay.selector,
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
    /// Nobody is paid more than its wage, no round more than its pool.
    function invariant_TheBooksBalance() public view {
        uint256 balance = handler.deposits() - handler.paid();
        assertEq(
            balance,
            handler.owed() + handler.livePool() + handler.carried() + handler.stakes() + handler.forfeited(),
            "books"
        );
        assertEq(handler.held(address(federation)), balance + handler.gifts(), "balance");
        assertEq(federation.carried(), handler.carried(), "carried");
        for (uint256 i; i < handler.CLIENTS(); ++i) {
            address client = handler.clients(i);
            (uint256 owed, uint256 stake) = federation.balanceOf(client);
            assertEq(owed, handler.owedTo(client), "owed");
            assertEq(stake, handler.stakeOf(client), "stake");
            assertLe(handler.receivedBy(client) + owed, handler.wagesOf(client), "wage");
        }
        for (uint24 round = 1; round <= handler.rounds(); ++round) {
            (uint112 amount,,) = federation.results(round);
            assertLe(amount, handler.roundRecord(round).opening.pool, "pool");
        }
        _checkMoney();
    }

    /// @notice A client has at most one update in a round, within what the clock and the terms allowed; the federation
    /// shows these updates and no others. Credited <= claimed <= the bound.
    function invariant_OneUpdatePerClientAndRoundWithinTheBounds() public view {
        uint24 round = handler.rounds();
        address[] memory submitted = handler.roundRecord(round).clients;
        IFederation.UpdateView[] memory shown = _shownUpdates();
        uint256 expected;
        for (uint256 i; i < submitted.length; ++i) {
            if (!handler.tookAlong(round, submitted[i])) ++expected;
        }
        assertEq(shown.length, expected, "updates");
        for (uint256 i; i < shown.length; ++i) {
            Handler.UpdateRecord memory update = handler.updateRecord(round, shown[i].client);
            assertEq(shown[i].updateCid, update.cid, "cid");
            assertEq(shown[i].computeMs, update.creditedMs, "credited");
            assertEq(shown[i].adjusted, update.adjusted, "adjusted");
            assertEq(shown[i].slashRate, update.slashRate, "slash rate");
            if (!update.adjusted) assertEq(shown[i].ordinal, update.ordinal, "ordinal");
            assertLe(update.creditedMs, update.claimedMs, "raised");
            assertTrue(update.claimedMs >= 1 && update.claimedMs <= update.boundMs, "bound");
            for (uint256 j; j < i; ++j) {
                assertNotEq(shown[i].client, shown[j].client, "twice");
            }
        }
    }

    /// @notice What a round left, what was released and recorded follows from the lists of all that happened, and never
    /// changes again.
    function invariant_WhatIsFinalizedStaysAndFollowsFromTheLists() public view {
        uint24 rounds = handler.rounds();
        assertEq(federation.roundCount(), rounds, "rounds");
        assertEq(federation.record(), handler.recordNow(), "record");
        IFederation.Release memory latest = federation.latestRelease();
        assertEq(latest.modelCid, handler.latestModel(), "model");
        assertEq(latest.reportCid, handler.latestReport(), "report");
        for (uint24 round = 1; round <= rounds; ++round) {
            Handler.RoundRecord memory record = handler.roundRecord(round);
            (uint112 amount, uint48 creditedMs, bytes12 key) = federation.results(round);
            bool booked = record.finalized || (round < rounds && record.clients.length > 0);
            assertEq(amount, booked ? record.payable_ : 0, "payable of a round");
            assertEq(creditedMs, booked ? record.creditedMs : 0, "credited of a round");
            assertEq(key, record.finalized ? bytes12(record.opening.sealingKey) : bytes12(0), "key of a round");
        }
        _checkLatestRound();
    }

    /// @notice Members stand without holes, in the order that swap and pop leaves. Exactly k of the n that were there
    /// at the opening were selected; of them those are awaited, and nobody else, who neither submitted nor declined nor
    /// left. Nobody inherits a seat. Turns differ by one at most while nobody comes or goes.
    function invariant_ExactlyTheSelectedAreAwaitedAndMembersAreDense() public view {
        address[] memory members = handler.memberList();
        assertEq(federation.memberCount(), members.length, "members");
        Handler.RoundRecord memory record = handler.roundRecord(handler.rounds());
        assertEq(federation.seatCount(), members.length + record.leavers, "seats");
        for (uint256 from; from <= members.length; from += PAGE) {
            address[] memory page = federation.members(from, PAGE);
            assertEq(page.length, members.length - from < PAGE ? members.length - from : PAGE, "page");
            for (uint256 i; i < page.length; ++i) {
                assertEq(page[i], members[from + i], "member");
            }
        }
        uint256 silent;
        for (uint256 i; i < handler.CLIENTS(); ++i) {
            address client = handler.clients(i);
            _checkClient(client);
            if (handler.isAwaited(client)) ++silent;
        }
        IFederation.RoundView memory view_ = federation.roundView(address(0));
        if (view_.phase == IFederation.Phase.Training) {
            assertEq(view_.updateCount + view_.absentCount + silent, view_.selectedCount, "awaited");
        }
        assertLe(handler.unevenTurns(), 1, "turns");
    }

    /// @notice The owner can never withdraw more because clients were rejected or lowered, and nobody's pay rises more
    /// than `maxSpread`-fold, rounding aside.
    function invariant_RejectingPaysNeitherTheOwnerNorBeyondTheSpread() public view {
        assertEq(handler.gainedByRejecting(), 0, "withdrawable");
        assertEq(handler.raisedTooFar(), 0, "pay");
    }

    /// @notice Every client can leave and claim what is theirs, whatever the organization did, and if it does nothing.
    function invariant_EveryClientGetsOutWithWhatIsTheirs() public {
        uint256 snapshot = vm.snapshotState();
        handler.evacuate();
        vm.revertToStateAndDelete(snapshot);
    }

    /// @notice The handler has no blind spot: every kind of state is reached, most actions succeed.
    function test_TheHandlerReachesEveryKindOfState() public {
        string[] memory kinds = _kinds();
        uint256[] memory reached = new uint256[](kinds.length);
        bytes4[] memory selectors = _selectors();
        uint256 done;
        for (uint256 story; story < 20; ++story) {
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
        emit log_named_uint("actions done of 3000", done);
        for (uint256 i; i < kinds.length; ++i) {
            emit log_named_uint(kinds[i], reached[i]);
        }
        for (uint256 i; i < kinds.length; ++i) {
            assertGt(reached[i], 0, kinds[i]);
        }
        assertGe(done, 1500, "most actions are discarded");
    }

    function _kinds() internal view returns (string[] memory kinds) {
        string[18] memory always = [
            "finalized",
            "rejected",
            "abandoned",
            "empty",
            "declined",
            "relayed",
            "relayed in part",
            "replayed",
            "moved",
            "left in a live round",
            "left when awaited",
            "left by signature",
            "registered again",
            "retired",
            "closed",
            "closed in a live round",
            "withdrawn",
            "handed over"
        ];
        string[2] memory special = handler.federation().terms().stake > 0
            ? ["slashed", "finalized"]
            : ["registered by signature", "registered while held"];
        bool spreads = handler.federation().terms().maxSpread > 1;
        kinds = new string[](always.length + special.length + (spreads ? 1 : 0));
        for (uint256 i; i < always.length; ++i) {
            kinds[i] = always[i];
        }
        (kinds[always.length], kinds[always.length + 1]) = (special[0], special[1]);
        if (spreads) kinds[kinds.length - 1] = "raised by rejecting others";
    }

    // ------------------------------------------------------------------------------------------------- checks

    function _shownUpdates() private view returns (IFederation.UpdateView[] memory shown) {
        uint256 seats = federation.seatCount();
        shown = new IFederation.UpdateView[](seats);
        uint256 count;
        for (uint256 from; from < seats; from += PAGE) {
            IFederation.UpdateView[] memory page = federation.updates(from, PAGE);
            for (uint256 i; i < page.length; ++i) {
                shown[count++] = page[i];
            }
        }
        assembly ("memory-safe") {
            mstore(shown, count)
        }
    }

    /// @dev What the federation says of the latest round's money, against the specification's formulas.
    function _checkMoney() private view {
        uint24 round = handler.rounds();
        Handler.RoundRecord memory record = handler.roundRecord(round);
        IFederation.RoundView memory view_ = federation.roundView(address(0));
        IFederation.Opening memory opening = record.opening;
        assertEq(view_.pool, opening.pool, "pool");
        assertEq(view_.rewardRateCap, opening.rewardRateCap, "rate cap");
        if (round > 0) {
            uint256 floor = uint256(opening.pool) * 10 ** 12 / (uint256(opening.selectedCount) * opening.maxComputeMs);
            assertEq(
                view_.guaranteedRate, floor < opening.rewardRateCap ? floor : opening.rewardRateCap, "guaranteed rate"
            );
        }
        (uint256 claimedMs, uint256 creditedMs) = handler.totals(round);
        (uint256 earned, uint256 amount) = (handler.earned(round, claimedMs), handler.earned(round, creditedMs));
        assertEq(view_.payable_, record.settled ? amount : 0, "payable");
        assertEq(view_.surplus, record.settled ? opening.pool - earned : 0, "surplus");
        assertEq(view_.forfeited, record.settled ? earned - amount : 0, "forfeited");
    }

    function _checkLatestRound() private view {
        uint24 round = handler.rounds();
        Handler.RoundRecord memory record = handler.roundRecord(round);
        IFederation.RoundView memory view_ = federation.roundView(address(0));
        (uint256 claimedMs, uint256 creditedMs) = handler.totals(round);
        assertEq(uint8(federation.phase()), uint8(handler.phaseNow()), "phase");
        assertEq(uint8(view_.phase), uint8(handler.phaseNow()), "phase of the view");
        assertEq(view_.digest, handler.digestOf(round), "digest");
        assertEq(view_.updateCount, record.clients.length, "update count");
        assertEq(view_.absentCount, record.absent, "absent count");
        assertEq(view_.claimedMs, claimedMs, "claimed");
        assertEq(view_.creditedMs, creditedMs, "credited");
        assertEq(view_.released.modelCid, record.modelCid, "released model");
        assertEq(view_.released.reportCid, record.reportCid, "released report");
        assertEq(view_.secret, record.secret, "secret");
        IFederation.Opening memory shown = IFederation.Opening({
            round: view_.round,
            openedAt: view_.openedAt,
            trainingDeadline: view_.trainingDeadline,
            aggregationDeadline: view_.aggregationDeadline,
            memberCount: view_.memberCount,
            selectionOffset: view_.selectionOffset,
            selectedCount: view_.selectedCount,
            maxUpdates: view_.maxUpdates,
            maxComputeMs: view_.maxComputeMs,
            planCid: view_.planCid,
            sealingKey: view_.sealingKey,
            baseModelCid: view_.base.modelCid,
            baseReportCid: view_.base.reportCid,
            rewardRateCap: view_.rewardRateCap,
            pool: view_.pool
        });
        if (record.finalized) {
            assertEq(shown.baseModelCid, 0, "base of a finalized round");
            assertEq(shown.baseReportCid, 0, "base of a finalized round");
            (record.opening.baseModelCid, record.opening.baseReportCid) = (0, 0);
        }
        assertEq(abi.encode(shown), abi.encode(record.opening), "opening");
    }

    function _checkClient(address client) private view {
        uint24 round = handler.rounds();
        IFederation.ClientView memory view_ = federation.roundView(client).client;
        uint256 position = handler.positionOf(client);
        assertEq(view_.client, client, "client");
        assertEq(view_.member, position != 0, "member");
        assertEq(view_.index, position == 0 ? 0 : position - 1, "position");
        assertEq(view_.last, handler.lastOf(client), "last");
        bool submitted = handler.hasUpdate(round, client) && !handler.tookAlong(round, client);
        bool selected = handler.isSelected(round, client);
        assertEq(view_.selected, submitted || selected, "selected");
        assertEq(view_.declined, selected && handler.hasDeclined(round, client), "declined");
        Handler.UpdateRecord memory update = handler.updateRecord(round, client);
        assertEq(view_.updateCid, submitted ? update.cid : bytes32(0), "update");
        assertEq(view_.computeMs, submitted ? update.creditedMs : 0, "compute time");
        assertEq(view_.adjusted, submitted && update.adjusted, "adjusted");
        assertEq(view_.slashRate, submitted ? update.slashRate : 0, "slash rate");
    }
}

/// @notice A violation stays in the books: a check now and then, and after the last action, finds what every one would.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.check-interval = 10
/// forge-config: prove.invariant.fail-on-revert = true
/// forge-config: prove.invariant.check-interval = 10
contract NativeStakedInvariants is FederationInvariants {
    function _terms() internal pure override returns (IFederation.FederationTerms memory) {
        return IFederation.FederationTerms({
            asset: address(0),
            stake: 1 ether + 1,
            maxSlashRate: 3333,
            admission: IFederation.Admission.Open,
            auditPolicy: IFederation.AuditPolicy.Open,
            maxSpread: 1,
            idleRounds: 1
        });
    }
}

/// @notice A violation stays in the books: a check now and then, and after the last action, finds what every one would.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.check-interval = 10
/// forge-config: prove.invariant.fail-on-revert = true
/// forge-config: prove.invariant.check-interval = 10
contract TokenStakedInvariants is FederationInvariants {
    function _terms() internal override returns (IFederation.FederationTerms memory) {
        return IFederation.FederationTerms({
            asset: vm.deployCode("Token.sol:Token"),
            stake: 7,
            maxSlashRate: 10_000,
            admission: IFederation.Admission.Voucher,
            auditPolicy: IFederation.AuditPolicy.Appointed,
            maxSpread: 3,
            idleRounds: 2
        });
    }
}

/// @notice A violation stays in the books: a check now and then, and after the last action, finds what every one would.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.check-interval = 10
/// forge-config: prove.invariant.fail-on-revert = true
/// forge-config: prove.invariant.check-interval = 10
contract NativeUnstakedInvariants is FederationInvariants {
    function _terms() internal pure override returns (IFederation.FederationTerms memory) {
        return IFederation.FederationTerms({
            asset: address(0),
            stake: 0,
            maxSlashRate: 0,
            admission: IFederation.Admission.Voucher,
            auditPolicy: IFederation.AuditPolicy.Open,
            maxSpread: 20,
            idleRounds: 1
        });
    }
}

/// @notice A violation stays in the books: a check now and then, and after the last action, finds what every one would.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.check-interval = 10
/// forge-config: prove.invariant.fail-on-revert = true
/// forge-config: prove.invariant.check-interval = 10
contract TokenUnstakedInvariants is FederationInvariants {
    function _terms() internal override returns (IFederation.FederationTerms memory) {
        return IFederation.FederationTerms({
            asset: vm.deployCode("Token.sol:Token"),
            stake: 0,
            maxSlashRate: 0,
            admission: IFederation.Admission.Open,
            auditPolicy: IFederation.AuditPolicy.Appointed,
            maxSpread: 1,
            idleRounds: 1
        });
    }
}
