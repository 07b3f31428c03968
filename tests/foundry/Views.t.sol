// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title What anybody can read of rounds, members and updates.
contract ViewsTest is Base {
    uint128 private constant STAKE = 1000;

    function setUp() public override {
        (terms.stake, terms.maxSlashRate) = (STAKE, 10_000);
        super.setUp();
        vm.setBlockhash(block.number - 1, keccak256("block"));
        _registerThree();
    }

    // ------------------------------------------------------------------------------------------------------ rounds

    function test_AFinalizedRoundTellsWhatBecameOfItsMoney() public {
        IFederation.RoundView memory expected = _openSmallPool();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _submit(CYD, 500);
        _finalize(_adjustment(BOB, 700, 2500));

        expected.phase = IFederation.Phase.Finalized;
        expected.released = IFederation.Release(MODEL, REPORT);
        expected.secret = SECRET;
        expected.updateCount = 3;
        expected.claimedMs = 3500;
        expected.creditedMs = 2200;
        expected.payable_ = 220; // 100 a second for 2.2 s
        expected.surplus = 10_000 - 350;
        expected.forfeited = 130;
        expected.client = IFederation.ClientView({
            client: BOB,
            member: true,
            stake: 750,
            index: 1,
            selected: true,
            updateCid: _cidOf(BOB),
            samples: SAMPLES,
            computeMs: 2000,
            creditedMs: 700,
            slashRate: 2500,
            reward: 70,
            claimed: false
        });
        assertEq(abi.encode(federation.roundView(1, BOB)), abi.encode(expected));

        _claim(BOB, 1);
        expected.client.claimed = true;
        assertEq(abi.encode(federation.roundView(1, BOB)), abi.encode(expected));
    }

    function test_AnAbandonedRoundPaysWhatWasClaimed() public {
        IFederation.RoundView memory expected = _openSmallPool();
        _submit(CYD, 500);
        expected.updateCount = 1;
        expected.claimedMs = 500;
        expected.creditedMs = 500;
        expected.client = IFederation.ClientView({
            client: CYD,
            member: true,
            stake: STAKE,
            index: 2,
            selected: true,
            updateCid: _cidOf(CYD),
            samples: SAMPLES,
            computeMs: 500,
            creditedMs: 500,
            slashRate: 0,
            reward: 0,
            claimed: false
        });
        assertEq(abi.encode(federation.roundView(1, CYD)), abi.encode(expected), "training");

        _endTraining();
        expected.phase = IFederation.Phase.Aggregating;
        assertEq(abi.encode(federation.roundView(1, CYD)), abi.encode(expected), "aggregating");

        _abandon();
        expected.phase = IFederation.Phase.Abandoned;
        expected.payable_ = 50;
        expected.surplus = 9950;
        expected.client.reward = 50;
        assertEq(abi.encode(federation.roundView(1, CYD)), abi.encode(expected), "abandoned");
    }

    function test_WhatWasNeverOpenedIsEmpty() public view {
        IFederation.RoundView memory expected;
        expected.round = 9;
        expected.client.client = STRANGER;
        assertEq(abi.encode(federation.roundView(9, STRANGER)), abi.encode(expected));
    }

    function testFuzz_AViewNeverReverts(uint32 round, address client) public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        IFederation.RoundView memory view_ = federation.roundView(round, client);
        assertEq(view_.round, round);
        assertEq(view_.client.client, client);
        assertEq(uint8(view_.phase), uint8(federation.phase(round)));
        assertEq(federation.roundView(type(uint32).max, client).pool, 0);
    }

    /// @dev Whatever others claim.
    function test_EveryCreditedSecondIsPaidTheGuaranteedRateAtLeast() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.maxUpdates, roundTerms.maxComputeMs, roundTerms.reward) = (3, 10_000, 600);
        _open(roundTerms);
        assertEq(_view().guaranteedRate, 20); // 600 for 3 * 10 s
        skip(100);
        _submit(ADA, 10_000);
        _submit(BOB, 10_000);
        _submit(CYD, 10_000);
        _finalize();
        assertEq(_view(1, ADA).reward, 200);
    }

    function test_TheGuaranteedRateIsTheWageAtMost() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.maxUpdates, roundTerms.maxComputeMs, roundTerms.rewardRateCap) = (3, 10_000, 19);
        roundTerms.reward = 600;
        _open(roundTerms);
        assertEq(_view().guaranteedRate, 19);
    }

    // ------------------------------------------------------------------------------------------------------ client

    function test_AMemberSeesWhetherItIsSelected() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.maxUpdates = 2;
        _open(roundTerms);
        uint256 selected;
        address[3] memory clients = [ADA, BOB, CYD];
        for (uint32 i; i < clients.length; ++i) {
            // 2^31 - 1 leaves 1 modulo 3.
            bool expected = (i + _view().selectionOffset) % 3 < 2;
            assertEq(federation.isSelected(1, i), expected);
            assertEq(_view(1, clients[i]).selected, expected);
            if (expected) ++selected;
        }
        assertEq(selected, 2);
    }

    function test_NobodyIsSelectedBeyondTheMembersOfTheOpening() public {
        _open();
        _register(DOT);
        assertTrue(federation.isSelected(1, 2));
        assertFalse(federation.isSelected(1, 3));
        assertFalse(federation.isSelected(1, type(uint32).max));
        assertFalse(federation.isSelected(2, 0), "not opened");
        assertFalse(_view(1, DOT).selected);
        assertEq(_view(1, DOT).index, 3);
        assertTrue(_view(1, DOT).member);
    }

    function test_WhoLeftWithoutAnUpdateIsOut() public {
        _open();
        _leave(ADA);
        IFederation.ClientView memory expected;
        expected.client = ADA;
        assertEq(abi.encode(_view(1, ADA)), abi.encode(expected));
    }

    function test_WhoLeftWithAnUpdateStaysInTheRound() public {
        _open();
        _submit(BOB, 1000);
        _leave(BOB);
        assertFalse(_view(1, BOB).member);
        assertTrue(_view(1, BOB).selected);
        assertEq(_view(1, BOB).index, 1);
        assertEq(_view(1, BOB).stake, STAKE);
        assertEq(_view(2, BOB).index, 0);
        assertFalse(_view(2, BOB).selected);
    }

    function test_AnUpdateKeepsTheIndexThatItWasSubmittedWith() public {
        _open();
        _submit(BOB, 1000);
        _finalize();
        _leave(BOB);
        _register(BOB);
        assertEq(_view(1, BOB).index, 1);
        assertTrue(_view(1, BOB).selected);
        assertEq(_view(2, BOB).index, 3);
        assertFalse(_view(2, BOB).selected);
    }

    // ----------------------------------------------------------------------------------------------------- updates

    function test_UpdatesAreListedByIndex() public {
        _open();
        _submit(CYD, 300);
        _submit(ADA, 100);
        IFederation.ClientView[] memory page = federation.updates(1, 0, 100);
        assertEq(page.length, 2);
        assertEq(abi.encode(page[0]), abi.encode(_view(1, ADA)));
        assertEq(abi.encode(page[1]), abi.encode(_view(1, CYD)));
        assertEq(page[0].computeMs, 100);
        assertEq(page[1].index, 2);
    }

    function test_APageHoldsTheUpdatesOfItsIndices() public {
        _open();
        _submit(ADA, 100);
        _submit(CYD, 300);
        _assertPage(0, 1, ADA);
        _assertPage(0, 2, ADA);
        _assertPage(1, 2, CYD);
        _assertPage(2, 1, CYD);
        _assertPage(2, type(uint32).max, CYD);
        assertEq(federation.updates(1, 0, 0).length, 0);
        assertEq(federation.updates(1, 1, 1).length, 0, "Bob did not submit");
        assertEq(federation.updates(1, 3, 1).length, 0);
        assertEq(federation.updates(1, type(uint32).max, type(uint32).max).length, 0);
    }

    function test_ARoundListsItsOwnUpdates() public {
        _open();
        _submit(ADA, 100);
        _finalize();
        _open();
        _submit(BOB, 200);
        assertEq(federation.updates(1, 0, 100).length, 1);
        assertEq(federation.updates(2, 0, 100)[0].client, BOB);
        assertEq(federation.updates(0, 0, 100).length, 0);
        assertEq(federation.updates(3, 0, 100).length, 0);
    }

    /// @dev Dot's update of round 1 was submitted with index 3, that of round 2 with index 4.
    function test_WhoRegisteredAgainIsListedOnceInEveryRound() public {
        _register(DOT);
        _open();
        _submit(DOT, 100);
        _finalize();
        _leave(DOT);
        _register(DOT);
        _open();
        _submit(DOT, 200);

        assertEq(federation.updates(1, 0, 100).length, 1);
        assertEq(federation.updates(1, 3, 1).length, 1);
        assertEq(federation.updates(1, 3, 1)[0].index, 3);
        assertEq(federation.updates(1, 4, 1).length, 0);
        assertEq(federation.updates(2, 0, 100).length, 1);
        assertEq(federation.updates(2, 3, 1).length, 0);
        assertEq(federation.updates(2, 4, 1)[0].index, 4);
    }

    /// @dev An update with index 0 does not stand for every index of its client.
    function test_TheFirstClientIsListedOnceToo() public {
        _open();
        _submit(ADA, 100);
        _finalize();
        _leave(ADA);
        _register(ADA);
        assertEq(federation.updates(1, 0, 100).length, 1);
        assertEq(federation.updates(1, 3, 1).length, 0);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _assertPage(uint32 from, uint32 limit, address client) private view {
        IFederation.ClientView[] memory page = federation.updates(1, from, limit);
        assertEq(page.length, 1);
        assertEq(page[0].client, client);
    }

    /// @dev 10,000 for a wage of 100 a second, and 100 s of waiting; returns what is known of it.
    function _openSmallPool() private returns (IFederation.RoundView memory expected) {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.rewardRateCap, roundTerms.reward) = (100, 10_000);
        _open(roundTerms);
        skip(100);
        expected.round = 1;
        expected.phase = IFederation.Phase.Training;
        expected.openedAt = uint40(START);
        expected.trainingDeadline = uint40(START + PERIOD);
        expected.aggregationDeadline = uint40(START + 2 * PERIOD);
        expected.planCid = PLAN;
        expected.sealingKey = SEALING_KEY;
        expected.base.modelCid = INITIAL_MODEL;
        expected.memberCount = 3;
        expected.selectionOffset = uint32(uint256(keccak256(abi.encode(keccak256("block"), 1))) % 3);
        expected.selectedCount = 3;
        expected.maxUpdates = 10;
        expected.maxComputeMs = 100_000;
        expected.rewardRateCap = 100;
        expected.pool = 10_000;
        expected.guaranteedRate = 10; // 10,000 for 10 * 100 s
    }
}
