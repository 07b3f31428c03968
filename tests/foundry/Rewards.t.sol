// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Rewards} from "../../contracts/libraries/Rewards.sol";

/// @title The money of a round: what is shared, carried and forfeited.
contract RewardsTest is Test {
    uint256 private constant MAX_MS = 1000 * 30 days * 1000; // a thousand clients, a month each

    function test_TimeEarnsItsWage() public pure {
        assertEq(Rewards.payable_(1000, 100, 0), 0);
        assertEq(Rewards.payable_(1000, 100, 1), 0);
        assertEq(Rewards.payable_(1000, 100, 10), 1);
        assertEq(Rewards.payable_(1000, 100, 19), 1);
        assertEq(Rewards.payable_(1000, 100, 9999), 999);
    }

    function test_TimeEarnsThePoolAtMost() public pure {
        assertEq(Rewards.payable_(1000, 100, 10_000), 1000);
        assertEq(Rewards.payable_(1000, 100, 10_010), 1000);
        assertEq(Rewards.payable_(0, 100, 10_000), 0);
    }

    function test_AShareIsByTimeRoundedDown() public pure {
        assertEq(Rewards.share(10, 1, 3), 3);
        assertEq(Rewards.share(10, 2, 3), 6);
        assertEq(Rewards.share(10, 3, 3), 10);
        assertEq(Rewards.share(10, 0, 3), 0);
        assertEq(Rewards.share(10, 0, 0), 0, "all were rejected");
    }

    function test_WhatNobodyClaimedCarries() public pure {
        assertEq(Rewards.surplus(1000, 100, 0), 1000);
        assertEq(Rewards.surplus(1000, 100, 4000), 600);
        assertEq(Rewards.surplus(1000, 100, 4009), 600);
        assertEq(Rewards.surplus(1000, 100, 10_000), 0);
        assertEq(Rewards.surplus(1000, 100, 20_000), 0);
    }

    function test_WhatRejectedTimeWouldHaveEarnedIsForfeited() public pure {
        assertEq(Rewards.forfeited(1000, 100, 4000, 4000), 0);
        assertEq(Rewards.forfeited(1000, 100, 4000, 1000), 300);
        assertEq(Rewards.forfeited(1000, 100, 4000, 0), 400);
        assertEq(Rewards.forfeited(1000, 100, 20_000, 10_000), 0, "the pool is paid all the same");
        assertEq(Rewards.forfeited(1000, 100, 20_000, 9000), 100);
    }

    function test_TheGuaranteedRateIsThePoolOverTheMostThatMayBeClaimed() public pure {
        assertEq(Rewards.guaranteedRate(1000, 100, 2, 10_000), 50);
        assertEq(Rewards.guaranteedRate(1019, 100, 2, 10_000), 50);
        assertEq(Rewards.guaranteedRate(1020, 100, 2, 10_000), 51);
        assertEq(Rewards.guaranteedRate(1000, 49, 2, 10_000), 49, "a wage is a wage");
        assertEq(Rewards.guaranteedRate(1000, 100, 1, 1), 100);
        assertEq(Rewards.guaranteedRate(0, 100, 2, 10_000), 0);
        assertEq(Rewards.guaranteedRate(1000, 100, 0, 0), 0, "never opened");
    }

    function testFuzz_APoolIsPaidCarriedOrForfeited(uint128 pool, uint128 rateCap, uint256 claimed, uint256 credited)
        public
        pure
    {
        (claimed, credited) = _times(claimed, credited);
        uint256 paid = Rewards.payable_(pool, rateCap, credited);
        uint256 carried = Rewards.surplus(pool, rateCap, claimed);
        uint256 lost = Rewards.forfeited(pool, rateCap, claimed, credited);
        assertEq(paid + carried + lost, pool);
    }

    function testFuzz_SharesAreWhatIsPayableButForLessThanAUnitEach(uint128 amount, uint32[8] memory credited)
        public
        pure
    {
        uint256 total;
        for (uint256 i; i < credited.length; ++i) {
            total += credited[i];
        }
        uint256 shared;
        for (uint256 i; i < credited.length; ++i) {
            shared += Rewards.share(amount, credited[i], total);
        }
        assertLe(shared, amount);
        if (total != 0) assertLt(amount - shared, credited.length);
    }

    function testFuzz_NobodyEarnsMoreThanTheWage(uint128 pool, uint128 rateCap, uint256 total, uint256 credited)
        public
        pure
    {
        (total, credited) = _times(total, credited);
        uint256 reward = Rewards.share(Rewards.payable_(pool, rateCap, total), credited, total);
        assertLe(reward, uint256(rateCap) * credited / 1000);
    }

    function testFuzz_RejectingNeverLowersWhatOthersGet(uint128 pool, uint128 rateCap, uint256 total, uint256 credited)
        public
        pure
    {
        (total, credited) = _times(total, credited);
        uint256 all = Rewards.share(Rewards.payable_(pool, rateCap, total), credited, total);
        uint256 alone = Rewards.share(Rewards.payable_(pool, rateCap, credited), credited, credited);
        assertGe(alone, all);
    }

    function testFuzz_TheGuaranteedRateIsKept(uint128 pool, uint128 rateCap, uint16 maxUpdates, uint32 maxMs)
        public
        pure
    {
        maxUpdates = uint16(bound(maxUpdates, 1, 1000));
        maxMs = uint32(bound(maxMs, 1, 30 days * 1000));
        uint256 rate = Rewards.guaranteedRate(pool, rateCap, maxUpdates, maxMs);
        uint256 total = uint256(maxUpdates) * maxMs;
        uint256 reward = Rewards.share(Rewards.payable_(pool, rateCap, total), maxMs, total);
        assertGe(reward, rate * maxMs / 1000);
    }

    /// @dev A claimed total within its bound, and a credited one within that.
    function _times(uint256 claimed, uint256 credited) private pure returns (uint256, uint256) {
        claimed = bound(claimed, 0, MAX_MS);
        return (claimed, bound(credited, 0, claimed));
    }
}
