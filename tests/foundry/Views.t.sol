// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title What anybody can read of the latest round, of clients, and of what they hold.
contract ViewsTest is Base {
    uint128 private constant STAKE = 1000;

    function setUp() public override {
        (terms.stake, terms.maxSlashRate, terms.maxSpread) = (STAKE, 10_000, 3);
        super.setUp();
        _registerThree();
    }

    // ------------------------------------------------------------------------------------------------------ rounds

    function test_BeforeTheFirstRoundThereIsNothingToSee() public {
        _create();
        IFederation.RoundView memory expected;
        expected.client.client = STRANGER;
        assertEq(abi.encode(federation.roundView(STRANGER)), abi.encode(expected));
        assertEq(federation.roundCount(), 0);
        assertEq(federation.record(), 0);
        assertEq(federation.latestRelease().modelCid, INITIAL_MODEL, "what the first round will start from");
    }

    function test_AFinalizedRoundTellsWhatBecameOfItsMoney() public {
        IFederation.RoundView memory expected = _openSmallPool();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _submit(CYD, 500);
        expected.digest = _view().digest;
        _finalize(_adjustment(BOB, 700, 2500));

        expected.phase = IFederation.Phase.Finalized;
        delete expected.base;
        expected.released = IFederation.Release(_modelOf(1), _reportOf(1));
        expected.secret = _secretOf(1);
        expected.updateCount = 3;
        expected.claimedMs = 3500;
        expected.creditedMs = 2200;
        expected.payable_ = 220; // 100 a second for 2.2 s
        expected.surplus = 10_000 - 350;
        expected.forfeited = 130;
        expected.client = IFederation.ClientView({
            client: BOB,
            member: true,
            index: 1,
            selected: true,
            last: 1,
            declined: false,
            updateCid: _cidOf(1, BOB),
            computeMs: 700,
            adjusted: true,
            slashRate: 2500,
            owed: 70,
            stake: 750
        });
        assertEq(abi.encode(federation.roundView(BOB)), abi.encode(expected));

        _claim(BOB);
        expected.client.owed = 0;
        assertEq(abi.encode(federation.roundView(BOB)), abi.encode(expected));
    }

    function test_TheLastSecretStaysInViewWhileTheNextRoundIsLive() public {
        _openSmallPool();
        assertEq(federation.secret(), 0);
        _submit(ADA, 1000);
        _finalize();
        assertEq(federation.secret(), _secretOf(1));
        _open();
        assertEq(federation.secret(), _secretOf(1));
        assertEq(_view().secret, 0, "its own is not published");
    }

    function test_AnAbandonedRoundPaysWhatWasClaimed() public {
        IFederation.RoundView memory expected = _openSmallPool();
        _submit(CYD, 500);
        expected.digest = _view().digest;
        expected.updateCount = 1;
        expected.claimedMs = 500;
        expected.creditedMs = 500;
        expected.client = IFederation.ClientView({
            client: CYD,
            member: true,
            index: 2,
            selected: true,
            last: 1,
            declined: false,
            updateCid: _cidOf(1, CYD),
            computeMs: 500,
            adjusted: false,
            slashRate: 0,
            owed: 0,
            stake: STAKE
        });
        assertEq(abi.encode(federation.roundView(CYD)), abi.encode(expected), "training");

        _endTraining();
        expected.phase = IFederation.Phase.Aggregating;
        assertEq(abi.encode(federation.roundView(CYD)), abi.encode(expected), "aggregating");

        _abandon();
        expected.phase = IFederation.Phase.Abandoned;
        expected.payable_ = 50;
        expected.surplus = 9950;
        expected.client.owed = 50;
        assertEq(abi.encode(federation.roundView(CYD)), abi.encode(expected), "abandoned");
    }

    function test_OnlyTheLatestRoundIsInTheView() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        assertEq(_view().round, 2);
        assertEq(_view(ADA).last, 1);
        assertEq(_view(ADA).updateCid, 0);
        assertEq(_view(ADA).computeMs, 0);
        assertFalse(_view(ADA).declined, "its last update is of another round");
        assertTrue(_view(ADA).selected);
        assertEq(_view(ADA).owed, WAGE);
    }

    function testFuzz_AViewNeverReverts(address client, uint256 from, uint256 limit, uint40 time) public {
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        vm.warp(uint256(time) + START);
        IFederation.RoundView memory view_ = federation.roundView(client);
        assertEq(view_.round, 1);
        assertEq(view_.client.client, client);
        assertEq(uint8(view_.phase), uint8(federation.phase()));
        federation.members(from, limit);
        federation.updates(from, limit);
        federation.balanceOf(client);
        federation.carried();
        federation.results(uint24(from));
    }

    /// @dev Whatever others claim.
    function test_EveryCreditedSecondIsPaidTheGuaranteedRateAtLeast() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.maxComputeMs, roundTerms.rewardRateCap, roundTerms.reward) = (10_000, 60e9, 600);
        _open(roundTerms);
        assertEq(_view().guaranteedRate, 20e9); // 600 for 3 * 10 s
        skip(100);
        _submit(ADA, 10_000);
        _submit(BOB, 10_000);
        _submit(CYD, 10_000);
        _finalize();
        assertEq(_owed(ADA), 200);
    }

    function test_TheGuaranteedRateIsTheWageAtMost() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.maxComputeMs, roundTerms.rewardRateCap, roundTerms.reward) = (10_000, 19e9, 600);
        _open(roundTerms);
        assertEq(_view().guaranteedRate, 19e9);
    }

    /// @dev Of those who are selected, not of as many as might be.
    function test_TheGuaranteedRateGoesByTheSelected() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.maxComputeMs, roundTerms.rewardRateCap, roundTerms.reward) = (10_000, 60e9, 600);
        roundTerms.selectionRate = 5000; // two of three
        _open(roundTerms);
        assertEq(_view().guaranteedRate, 30e9);
    }

    // ------------------------------------------------------------------------------------------------------ client

    function test_AMemberSeesWhetherItIsSelected() public {
        _openFor(2);
        uint256 selected;
        address[3] memory clients = [ADA, BOB, CYD];
        for (uint256 i; i < clients.length; ++i) {
            // 2^31 - 1 leaves 1 modulo 3.
            bool expected = (i + 2) % 3 < 2;
            assertEq(_view(clients[i]).selected, expected);
            if (expected) ++selected;
        }
        assertEq(_view().selectionOffset, 2);
        assertEq(selected, 2);
    }

    function test_NobodyIsSelectedBeyondTheMembersOfTheOpening() public {
        _open();
        _register(DOT);
        assertFalse(_view(DOT).selected);
        assertEq(_view(DOT).index, 3);
        assertTrue(_view(DOT).member);
        assertEq(_view(DOT).last, 1);
        assertFalse(_view(DOT).declined, "a registration is no decline");
    }

    function test_WhoLeftWithoutAnUpdateIsOut() public {
        _open();
        _leave(ADA);
        IFederation.ClientView memory expected;
        expected.client = ADA;
        assertEq(abi.encode(_view(ADA)), abi.encode(expected));
    }

    function test_WhoLeftWithAnUpdateStaysInTheRound() public {
        _open();
        _submit(BOB, 1000);
        _leave(BOB);
        IFederation.ClientView memory expected;
        expected.client = BOB;
        expected.selected = true;
        expected.last = 1;
        expected.updateCid = _cidOf(1, BOB);
        expected.computeMs = 1000;
        expected.stake = STAKE;
        assertEq(abi.encode(_view(BOB)), abi.encode(expected));
        _finalize();
        expected.owed = WAGE;
        assertEq(abi.encode(_view(BOB)), abi.encode(expected));
        _open();
        assertFalse(_view(BOB).selected);
        assertEq(_view(BOB).owed, WAGE);
        assertEq(_view(BOB).stake, STAKE);
    }

    function test_ARejectedUpdateIsStillOne() public {
        _open();
        _submit(BOB, 1000);
        _finalize(_adjustment(BOB, 0, 0));
        assertTrue(_view(BOB).selected);
        assertTrue(_view(BOB).adjusted);
        assertFalse(_view(BOB).declined);
        assertEq(_view(BOB).computeMs, 0);
        assertEq(_view(BOB).updateCid, _cidOf(1, BOB));
    }

    function test_ABalanceIsWhatIsBookedAndWhatIsNot() public {
        (uint256 owed, uint256 stake) = federation.balanceOf(ADA);
        assertEq(owed, 0);
        assertEq(stake, STAKE);
        (owed, stake) = federation.balanceOf(STRANGER);
        assertEq(owed, 0);
        assertEq(stake, 0);
        _open();
        _submit(ADA, 1000);
        _finalize(_adjustment(ADA, 500, 1000));
        (owed, stake) = federation.balanceOf(ADA);
        assertEq(owed, WAGE / 2);
        assertEq(stake, 900);
        _open();
        _submit(ADA, 2000);
        (owed, stake) = federation.balanceOf(ADA);
        assertEq(owed, WAGE / 2);
        assertEq(stake, 900);
        _finalize(_adjustment(ADA, 1000, 1000));
        (owed, stake) = federation.balanceOf(ADA);
        assertEq(owed, WAGE / 2 + WAGE);
        assertEq(stake, 810);
        assertEq(_leave(ADA), uint256(WAGE) / 2 + WAGE + 810);
        (owed, stake) = federation.balanceOf(ADA);
        assertEq(owed, 0);
        assertEq(stake, 0);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    /// @dev 10,000 for a wage of 100 a second, and 100 s of waiting; returns what is known of it.
    function _openSmallPool() private returns (IFederation.RoundView memory expected) {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.rewardRateCap, roundTerms.reward) = (100e9, 10_000);
        _open(roundTerms);
        skip(100);
        expected.round = 1;
        expected.phase = IFederation.Phase.Training;
        expected.openedAt = uint40(START);
        expected.trainingDeadline = uint40(START + PERIOD);
        expected.aggregationDeadline = uint40(START + 2 * PERIOD);
        expected.planCid = _planOf(1);
        expected.sealingKey = _keyOf(1);
        expected.base.modelCid = INITIAL_MODEL;
        expected.memberCount = 3;
        expected.selectedCount = 3;
        expected.maxUpdates = 10;
        expected.maxComputeMs = 100_000;
        expected.rewardRateCap = 100e9;
        expected.pool = 10_000;
        expected.guaranteedRate = 33_333_333_333; // 10,000 for 3 * 100 s
    }
}
