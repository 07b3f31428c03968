// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title Retiring members that stay silent: by anybody, after `idleRounds` rounds, with all that is theirs.
contract RetireTest is Base {
    function setUp() public override {
        terms.idleRounds = 2;
        super.setUp();
        _registerThree();
    }

    function test_WhoStaysSilentForSoManyRoundsMayBeRetired() public {
        _silentRound();
        _refuses(BOB, 0);
        _silentRound();
        vm.expectEmit(address(federation));
        emit IFederation.Left(BOB, 1, CYD, true);
        vm.recordLogs();
        vm.prank(STRANGER);
        federation.retire(BOB);
        assertEq(_emitted(), 1);
        _assertMembers(_list(ADA, CYD));
        assertFalse(_view(BOB).member);
        assertFalse(_view(BOB).selected);
        _open();
        assertEq(_view().memberCount, 2);
    }

    function test_TheLastMemberIsRetiredWithoutMovingAnybody() public {
        _silentRound();
        _silentRound();
        vm.expectEmit(address(federation));
        emit IFederation.Left(CYD, 2, address(0), true);
        federation.retire(CYD);
        _assertMembers(_list(ADA, BOB));
    }

    function test_AllWhoAreSilentMayBeRetiredTogether() public {
        _silentRound();
        _silentRound();
        federation.retire(ADA);
        federation.retire(CYD);
        assertEq(federation.memberCount(), 1);
    }

    // --------------------------------------------------------------------------------------------------- idleness

    function test_AnUpdateIsNoSilence() public {
        _silentRound();
        _open();
        _submit(BOB, 1000);
        _endTraining();
        _refuses(BOB, 2);
        _finalize();
        _silentRound();
        _refuses(BOB, 2);
        _silentRound();
        federation.retire(BOB);
        assertEq(_owed(BOB), WAGE);
    }

    function test_ADeclineIsNoSilence() public {
        _silentRound();
        _open();
        _decline(BOB);
        _endTraining();
        _refuses(BOB, 2);
        federation.retire(CYD);
        _silentRound();
        _refuses(BOB, 2);
        _silentRound();
        federation.retire(BOB);
    }

    function test_SilenceCountsFromTheRegistration() public {
        _silentRound();
        _silentRound();
        _register(DOT); // in the pause after round 2
        _silentRound();
        _refuses(DOT, 2);
        _silentRound();
        federation.retire(DOT);
    }

    function test_WhoWasNotSelectedIsNotSilent() public {
        _silentRound();
        _silentRound();
        _openFor(1);
        _endTraining();
        address[3] memory clients = [ADA, BOB, CYD];
        uint256 retired;
        for (uint256 i; i < clients.length; ++i) {
            if (!_view(clients[i]).selected) {
                _refuses(clients[i], 0);
                continue;
            }
            federation.retire(clients[i]);
            ++retired;
        }
        assertEq(retired, 1);
    }

    function test_WhoMovedIsAskedWhereItStoodAtTheOpening() public {
        _silentRound();
        _openFor(1);
        _endTraining();
        assertTrue(_view(CYD).selected);
        assertFalse(_view(ADA).selected);
        _leave(ADA);
        assertEq(_view(CYD).index, 0, "where nobody was selected");
        federation.retire(CYD);
    }

    function test_NobodyElseIsRetired() public {
        _silentRound();
        _silentRound();
        _refuses(STRANGER, 0);
        _leave(ADA);
        _refuses(ADA, 0);
        federation.retire(BOB);
        _refuses(BOB, 0);
        _register(DOT);
        _refuses(DOT, 2);
    }

    function test_WhereTheTermsSayNeverNobodyIsRetired() public {
        terms.idleRounds = 0;
        _create();
        _registerThree();
        for (uint256 i; i < 5; ++i) {
            _silentRound();
        }
        _refuses(ADA, 0);
    }

    function test_OneRoundOfSilenceMayBeEnough() public {
        terms.idleRounds = 1;
        _create();
        _registerThree();
        _silentRound();
        federation.retire(ADA);
        assertEq(federation.memberCount(), 2);
    }

    // ------------------------------------------------------------------------------------------------------- phases

    function test_NobodyIsRetiredBeforeTheFirstRound() public {
        vm.expectRevert(_wrongPhase(IFederation.Phase.None, 0));
        federation.retire(ADA);
    }

    function test_NobodyIsRetiredInTraining() public {
        _silentRound();
        _silentRound();
        _open();
        vm.expectRevert(_wrongPhase(IFederation.Phase.Training, 3));
        federation.retire(ADA);
        vm.warp(_view().trainingDeadline - 1);
        vm.expectRevert(_wrongPhase(IFederation.Phase.Training, 3));
        federation.retire(ADA);
        vm.warp(_view().trainingDeadline);
        federation.retire(ADA);
    }

    function test_TheSilentAreRetiredWhileTheOrganizationAggregates() public {
        _silentRound();
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 1000);
        _endTraining();
        _assertPhase(IFederation.Phase.Aggregating);
        federation.retire(CYD);
        _assertPhase(IFederation.Phase.Aggregating);
        assertEq(_updates().length, 2);
        _finalize();
        assertEq(_owed(ADA), WAGE);
        _assertMembers(_list(ADA, BOB));
    }

    function test_TheSilentAreRetiredOnceTheRoundIsFinalized() public {
        _silentRound();
        _open();
        _submit(ADA, 1000);
        _finalize();
        federation.retire(BOB);
        assertEq(_updates().length, 1);
        _assertMembers(_list(ADA, CYD));
    }

    function test_TheSilentAreRetiredOfAClosedFederation() public {
        _silentRound();
        _silentRound();
        _close();
        federation.retire(BOB);
        assertEq(federation.memberCount(), 2);
    }

    /// @dev Leavers of the live round stand behind the members: the place between closes.
    function test_RetiringKeepsTheListsOfLeaversWhole() public {
        _register(DOT);
        _silentRound();
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _leave(ADA); // Dot, Bob, Cyd | Ada
        _leave(BOB); // Dot, Cyd | Bob, Ada
        _endTraining();
        federation.retire(DOT); // Cyd | Ada, Bob
        _assertMembers(_list(CYD));
        assertEq(federation.seatCount(), 3);
        assertEq(_updates().length, 2);
        federation.retire(CYD);
        _assertMembers(new address[](0));
        assertEq(federation.seatCount(), 2);
        assertEq(_updates().length, 2);
        _finalize();
        assertEq(_leave(ADA), WAGE);
        assertEq(_leave(BOB), 2 * WAGE);
    }

    // ----------------------------------------------------------------------------------------------- what stays theirs

    function test_WhatTheRetiredAreOwedStaysTheirs() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _silentRound();
        _silentRound();
        federation.retire(ADA);
        assertEq(_owed(ADA), WAGE);
        assertEq(_claim(ADA), WAGE);
        assertEq(_leave(ADA), 0, "and nothing else is held");
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotRegistered.selector, ADA));
        _leave(ADA);
    }

    function test_TheRetiredAreReturnedTheirStake() public {
        (terms.stake, terms.maxSlashRate) = (100, 10_000);
        _create();
        _registerThree();
        _silentRound();
        _silentRound();
        federation.retire(BOB);
        assertEq(_stakeOf(BOB), 100);
        vm.deal(BOB, 100);
        vm.expectRevert(abi.encodeWithSelector(IFederation.StakeNotReturned.selector, BOB, 100));
        vm.prank(BOB);
        federation.register{value: 100}();

        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Paid(BOB, PURSE, 0, 100);
        vm.prank(BOB);
        assertEq(federation.leave(payable(PURSE)), 100);
        assertEq(_emitted(), 1, "the membership had ended before");
        assertEq(_stakeOf(BOB), 0);
        _register(BOB);
    }

    function test_TheRetiredAreSlashedForTheirLastUpdateOnly() public {
        (terms.stake, terms.maxSlashRate) = (1000, 5000);
        _create();
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 1000);
        _finalize(_adjustment(ADA, 0, 5000));
        _silentRound();
        _silentRound();
        federation.retire(ADA);
        assertEq(_stakeOf(ADA), 500);
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, 500);
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, ADA, 0, 500);
        assertEq(_leave(ADA), 500);
    }

    function test_TheRetiredMayRegisterAgain() public {
        _silentRound();
        _silentRound();
        federation.retire(ADA);
        assertEq(_register(ADA), 2);
        assertFalse(_view(ADA).selected, "not in the round that retired it");
        _silentRound();
        _refuses(ADA, 2);
        _silentRound();
        federation.retire(ADA);
    }

    function test_WhatTheRetiredSignedForTheRoundIsSpent() public {
        _silentRound();
        _silentRound();
        uint40 deadline = uint40(block.timestamp + 1000);
        IFederation.Signature memory signature = _signCompact(ADA_KEY, _registrationHash(2, deadline));
        federation.retire(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.SignatureSpent.selector, ADA, 2));
        federation.registerSigned(ADA, deadline, signature, _noVoucher());
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _silentRound() private {
        _open();
        _abandon();
    }

    function _refuses(address client, uint24 last) private {
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotIdle.selector, client, last));
        federation.retire(client);
    }
}
