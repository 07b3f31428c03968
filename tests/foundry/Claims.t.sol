// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Receiver} from "../../contracts/mocks/Receiver.sol";
import {Base} from "./Base.sol";

/// @title Being paid: of rounds that are over, once, on whatever path that is booked, to wherever the client says.
contract ClaimsTest is Base {
    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    function test_AClientIsPaidItsWage() public {
        _finalizedRound();
        assertEq(_view(BOB).owed, 2 * WAGE);
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Paid(BOB, PURSE, 2 * WAGE, 0);
        vm.prank(BOB);
        assertEq(federation.claim(payable(PURSE)), 2 * WAGE);

        assertEq(_emitted(), 1);
        assertEq(PURSE.balance, 2 * WAGE);
        assertEq(BOB.balance, 0);
        assertEq(address(federation).balance, REWARD - 2 * WAGE);
        assertEq(_owed(BOB), 0);
        assertEq(_owed(ADA), WAGE);
    }

    function test_EverythingIsPaidTogether() public {
        _finalizedRound();
        _abandonedRound();
        _finalizedRound();
        assertEq(_owed(ADA), 7 * WAGE);
        assertEq(_claim(ADA), 7 * WAGE);
        assertEq(ADA.balance, 7 * WAGE);
    }

    function test_NothingIsPaidTwice() public {
        _finalizedRound();
        _claim(ADA);
        _refuses(ADA);
        _open();
        _refuses(ADA);
        _submit(ADA, 3000);
        assertEq(_owed(ADA), 0, "round 1 is not booked again");
        _finalize();
        assertEq(_claim(ADA), 3 * WAGE);
        _refuses(ADA);
    }

    /// @dev Between the end of one round and the next submission any time may pass, and any rounds.
    function test_ARoundIsBookedWheneverItsClientComesBack() public {
        _finalizedRound();
        for (uint256 i; i < 3; ++i) {
            _open();
            _submit(BOB, 9000);
            _finalize();
            assertEq(_owed(ADA), WAGE);
        }
        _open();
        _submit(ADA, 4000);
        assertEq(_owed(ADA), WAGE);
        _finalize();
        assertEq(_claim(ADA), 5 * WAGE);
    }

    function test_ALiveRoundPaysNothing() public {
        _open();
        _submit(ADA, 1000);
        _refuses(ADA);
        _endTraining();
        _refuses(ADA);
        vm.warp(_view().aggregationDeadline - 1);
        _refuses(ADA);
        _abandon();
        assertEq(_claim(ADA), WAGE);
    }

    function test_BesideAnUpdateInTheLiveRoundWhatIsBookedIsPaid() public {
        _finalizedRound();
        _open();
        _submit(ADA, 2000);
        assertEq(_claim(ADA), WAGE);
        _refuses(ADA);
        _finalize(_adjustment(ADA, 500, 0));
        assertEq(_claim(ADA), WAGE / 2, "the live round was not taken for settled");
    }

    function test_BesideALiveRoundWithoutAnUpdateTheLastIsPaid() public {
        _finalizedRound();
        _open();
        assertEq(_claim(ADA), WAGE);
        _submit(ADA, 2000);
        _finalize();
        assertEq(_claim(ADA), 2 * WAGE);
    }

    function test_AnAbandonedRoundPaysWhatWasClaimed() public {
        _abandonedRound();
        assertEq(_owed(ADA), 5 * WAGE);
        uint256 state = vm.snapshotState();
        assertEq(_claim(ADA), 5 * WAGE, "before the next opening");
        vm.revertToState(state);
        _open();
        assertEq(_claim(ADA), 5 * WAGE, "after it");
    }

    function test_WhoDidNotSubmitIsOwedNothing() public {
        _finalizedRound();
        _refuses(CYD);
        _refuses(STRANGER);
    }

    function test_NothingIsPaidToNowhere() public {
        _finalizedRound();
        vm.expectRevert(_zeroValue("to"));
        vm.prank(ADA);
        federation.claim(payable(0));
    }

    function test_ARejectedClientIsOwedNothing() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _finalize(_adjustment(ADA, 0, 0));
        _refuses(ADA);
        assertEq(_claim(BOB), 2 * WAGE);
        _open();
        _submit(ADA, 3000);
        assertEq(_owed(ADA), 0);
        _finalize();
        assertEq(_claim(ADA), 3 * WAGE);
    }

    function test_WhereAllAreRejectedNobodyIsOwedAnything() public {
        _open();
        _submit(ADA, 1000);
        _finalize(_adjustment(ADA, 0, 0));
        _refuses(ADA);
        assertEq(federation.carried(), REWARD - WAGE);
    }

    function test_RewardsNeverExpire() public {
        _finalizedRound();
        vm.prank(OWNER);
        federation.pause();
        _close();
        _withdraw(OWNER);
        skip(36_500 days);
        assertEq(_claim(ADA), WAGE);
        assertEq(_claim(BOB), 2 * WAGE);
        assertEq(address(federation).balance, 0);
    }

    function test_AScarcePoolIsSharedByComputeTime() public {
        terms.maxSpread = type(uint16).max;
        _create();
        _registerThree();
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.rewardRateCap, roundTerms.reward) = (10e9, 10);
        _open(roundTerms);
        skip(100);
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _finalize();
        assertEq(_owed(ADA), 3);
        assertEq(_owed(BOB), 6);
        assertEq(_claim(BOB), 6);
        assertEq(_claim(ADA), 3);
        assertEq(address(federation).balance, 1, "the rounding stays");
        assertEq(federation.carried(), 0);
    }

    /// @dev A wage of 0.3 units a second: a whole unit every four seconds, exactly.
    function test_WagesBelowAUnitAreExact() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.rewardRateCap, roundTerms.reward) = (300_000_000, 100);
        _open(roundTerms);
        skip(100);
        _submit(ADA, 10_000);
        _submit(BOB, 20_000);
        _finalize();
        assertEq(_owed(ADA), 3);
        assertEq(_owed(BOB), 6);
        assertEq(federation.carried(), 91);
    }

    /// @dev However a client's rounds are booked, it is paid the same: at the next submission, a decline, a claim, a
    /// leave, or registering again.
    function testFuzz_EveryPathBooksTheSame(uint256 seed) public {
        uint256 earned;
        uint256 paid;
        for (uint256 i; i < 6; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            _open();
            bool selected = _view(ADA).selected;
            if (seed % 2 == 0 && selected) _decline(ADA);
            _submit(BOB, 1000);
            uint32 computeMs = uint32(1000 * (1 + (seed >> 8) % 50));
            if (seed % 2 == 1 && selected) _submit(ADA, computeMs);
            if ((seed >> 16) % 4 == 0 && _owed(ADA) != 0) paid += _claim(ADA);
            if ((seed >> 24) % 4 == 0 && _view(ADA).member) paid += _leave(ADA);
            if ((seed >> 32) % 2 == 0) _finalize();
            else _abandon();
            if (seed % 2 == 1 && selected) earned += uint256(computeMs) * WAGE / 1000;
            assertEq(_owed(ADA) + paid, earned);
            if ((seed >> 40) % 3 == 0 && _owed(ADA) != 0) paid += _claim(ADA);
            if ((seed >> 48) % 3 == 0 && _view(ADA).member) paid += _leave(ADA);
            if (!_view(ADA).member) _register(ADA);
            assertEq(_owed(ADA) + paid, earned);
        }
        if (_owed(ADA) != 0) paid += _claim(ADA);
        assertEq(paid, earned);
        assertEq(ADA.balance, earned);
    }

    // ------------------------------------------------------------------------------------------------- for others

    function test_AnybodyMayHaveAClientPaid() public {
        _finalizedRound();
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, ADA, WAGE, 0);
        vm.prank(STRANGER);
        assertEq(federation.claimFor(payable(ADA)), WAGE);
        assertEq(ADA.balance, WAGE);
        assertEq(STRANGER.balance, 0);
        assertEq(_owed(ADA), 0);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NothingOwed.selector, ADA));
        federation.claimFor(payable(ADA));
    }

    function test_NobodyIsPaidForNobody() public {
        vm.expectRevert(_zeroValue("to"));
        federation.claimFor(payable(0));
    }

    function test_NobodyIsPaidForWhoIsOwedNothing() public {
        _finalizedRound();
        vm.expectRevert(abi.encodeWithSelector(IFederation.NothingOwed.selector, STRANGER));
        federation.claimFor(payable(STRANGER));
    }

    // ------------------------------------------------------------------------------------------------- recipients

    function test_ARecipientThatRefusesIsItsClientsOwnConcern() public {
        Receiver receiver = new Receiver();
        receiver.refuse(true);
        _finalizedRound();
        vm.expectRevert(Receiver.Refused.selector);
        vm.prank(ADA);
        federation.claim(payable(address(receiver)));

        assertEq(_claim(BOB), 2 * WAGE);
        assertEq(_claim(ADA), WAGE);
    }

    // --------------------------------------------------------------------------------------------------- the most

    /// @dev Months of the highest wage there is: what is owed no longer fits a seat, so a claim comes first.
    function test_WhereMoreWouldBeOwedThanFitsAClaimComesFirst() public {
        _almostTooMuch();
        uint256 owed = _owed(ADA);
        assertGt(owed, type(uint112).max);
        _openRich();
        _refusesUpdate(ADA, 1000, IFederation.Refusal.ClaimFirst);
        _refusesDecline(ADA, IFederation.Refusal.ClaimFirst);
        IFederation.SignedUpdate[] memory batch = _batch(_signedUpdate(ADA_KEY, 1000), _signedUpdate(BOB_KEY, 1000));
        assertEq(_relay(batch), 1, "in a batch it is skipped");

        assertEq(_claim(ADA), owed);
        assertEq(ADA.balance, owed);
        _submit(ADA, 1000);
        assertEq(_view(ADA).computeMs, 1000);
        assertEq(_owed(ADA), 0);
    }

    function test_LeavingPaysMoreThanFitsASeat() public {
        _almostTooMuch();
        uint256 owed = _owed(ADA);
        assertGt(owed, type(uint112).max);
        assertEq(_leave(ADA), owed);
        assertEq(ADA.balance, owed);
        assertEq(_register(ADA), 2);
        assertEq(_owed(ADA), 0);
    }

    function test_WhoseHeldSeatIsOwedMoreThanFitsClaimsBeforeItRegistersAgain() public {
        _almostTooMuchLive();
        _leave(ADA);
        _finalize();
        uint256 owed = _owed(ADA);
        assertGt(owed, type(uint112).max);
        uint24 round = federation.roundCount();
        vm.expectRevert(
            abi.encodeWithSelector(IFederation.UpdateRefused.selector, round, ADA, IFederation.Refusal.ClaimFirst)
        );
        vm.prank(ADA);
        federation.register();
        assertEq(_claim(ADA), owed);
        _register(ADA);
        assertEq(_owed(ADA), 0);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    /// @dev One second by Ada and two by Bob: paid one wage and two.
    function _finalizedRound() private {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _finalize();
    }

    /// @dev Five seconds by Ada: paid five wages.
    function _abandonedRound() private {
        _open();
        _submit(ADA, 5000);
        _abandon();
    }

    /// @dev A month at the highest wage: a 386th of what fits a seat.
    function _openRich() private {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.trainingPeriod, roundTerms.maxComputeMs) = (30 days, 30 days * 1000);
        roundTerms.rewardRateCap = type(uint112).max;
        roundTerms.reward = type(uint112).max - uint112(federation.carried());
        _open(roundTerms);
        vm.warp(_view().trainingDeadline - 1);
    }

    function _almostTooMuchLive() private {
        uint256 each = uint256(type(uint112).max) * 30 days * 1000 / 1e12;
        uint256 rounds = type(uint112).max / each;
        for (uint256 i; i < rounds; ++i) {
            _openRich();
            _submit(ADA, 30 days * 1000);
            _finalize();
        }
        _openRich();
        _submit(ADA, 30 days * 1000);
    }

    /// @dev So many rounds that what is booked fits, and what is not booked yet does not.
    function _almostTooMuch() private {
        _almostTooMuchLive();
        _finalize();
    }

    function _refuses(address client) private {
        vm.expectRevert(abi.encodeWithSelector(IFederation.NothingOwed.selector, client));
        _claim(client);
    }
}
