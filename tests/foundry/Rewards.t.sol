// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Rewards} from "../../contracts/libraries/Rewards.sol";

/// @title The money of a round: what is shared, carried and forfeited.
contract RewardsTest is Test {
    uint256 private constant MAX_MS = 1000 * 30 days * 1000; // a thousand clients, a month each
    uint256 private constant WAGE = 100e9; // 100 units a second

    function test_TimeEarnsItsWage() public pure {
        assertEq(Rewards.payable_(1000, WAGE, 0), 0);
        assertEq(Rewards.payable_(1000, WAGE, 1), 0);
        assertEq(Rewards.payable_(1000, WAGE, 10), 1);
        assertEq(Rewards.payable_(1000, WAGE, 19), 1);
        assertEq(Rewards.payable_(1000, WAGE, 9999), 999);
    }

    /// @dev A token of few decimals: a wage of less than a unit a second is a wage.
    function test_AWageMayBeAPartOfAUnit() public pure {
        assertEq(Rewards.payable_(1000, 1, 1e12 - 1), 0);
        assertEq(Rewards.payable_(1000, 1, 1e12), 1, "10^-9 of a unit for 10^9 seconds");
        assertEq(Rewards.payable_(1000, 500_000_000, 3000), 1, "half a unit for three seconds");
        assertEq(Rewards.payable_(1000, 500_000_000, 4000), 2);
    }

    function test_TimeEarnsThePoolAtMost() public pure {
        assertEq(Rewards.payable_(1000, WAGE, 10_000), 1000);
        assertEq(Rewards.payable_(1000, WAGE, 10_010), 1000);
        assertEq(Rewards.payable_(0, WAGE, 10_000), 0);
    }

    function test_AShareIsByTimeRoundedDown() public pure {
        assertEq(Rewards.share(10, 1, 3), 3);
        assertEq(Rewards.share(10, 2, 3), 6);
        assertEq(Rewards.share(10, 3, 3), 10);
        assertEq(Rewards.share(10, 0, 3), 0);
        assertEq(Rewards.share(10, 0, 0), 0, "all were rejected");
    }

    function test_WhatNobodyClaimedCarries() public pure {
        assertEq(Rewards.surplus(1000, WAGE, 0), 1000);
        assertEq(Rewards.surplus(1000, WAGE, 4000), 600);
        assertEq(Rewards.surplus(1000, WAGE, 4009), 600);
        assertEq(Rewards.surplus(1000, WAGE, 10_000), 0);
        assertEq(Rewards.surplus(1000, WAGE, 20_000), 0);
    }

    function test_WhatRejectedTimeWouldHaveEarnedIsForfeited() public pure {
        assertEq(Rewards.forfeited(1000, WAGE, 4000, 4000), 0);
        assertEq(Rewards.forfeited(1000, WAGE, 4000, 1000), 300);
        assertEq(Rewards.forfeited(1000, WAGE, 4000, 0), 400);
        assertEq(Rewards.forfeited(1000, WAGE, 20_000, 10_000), 0, "the pool is paid all the same");
        assertEq(Rewards.forfeited(1000, WAGE, 20_000, 9000), 100);
    }

    function test_TheGuaranteedRateIsThePoolOverTheMostThatMayBeClaimed() public pure {
        assertEq(Rewards.guaranteedRate(1000, WAGE, 2, 10_000), 50e9);
        assertEq(Rewards.guaranteedRate(1001, WAGE, 2, 10_000), 50.05e9);
        assertEq(Rewards.guaranteedRate(1000, 49e9, 2, 10_000), 49e9, "a wage is a wage");
        assertEq(Rewards.guaranteedRate(1000, WAGE, 1, 1), WAGE);
        assertEq(Rewards.guaranteedRate(0, WAGE, 2, 10_000), 0);
        assertEq(Rewards.guaranteedRate(1000, WAGE, 0, 0), 0, "never opened");
    }

    function test_TheLeastPoolPaysTheSelectedAndRoundsUp() public pure {
        assertEq(Rewards.leastPool(WAGE, 2, 10_000, 1), 2000);
        assertEq(Rewards.leastPool(WAGE + 1, 2, 10_000, 1), 2001);
        assertEq(Rewards.leastPool(WAGE, 2, 10_000, 3), 667);
        assertEq(Rewards.leastPool(WAGE, 2, 10_000, type(uint16).max), 1);
        assertEq(Rewards.leastPool(1, 1, 1, 1), 1);
    }

    function testFuzz_APoolIsPaidCarriedOrForfeited(uint112 pool, uint112 rateCap, uint256 claimed, uint256 credited)
        public
        pure
    {
        (claimed, credited) = _times(claimed, credited);
        uint256 paid = Rewards.payable_(pool, rateCap, credited);
        uint256 carried = Rewards.surplus(pool, rateCap, claimed);
        uint256 lost = Rewards.forfeited(pool, rateCap, claimed, credited);
        assertEq(paid + carried + lost, pool);
    }

    function testFuzz_SharesAreWhatIsPayableButForLessThanAUnitEach(uint112 amount, uint32[8] memory credited)
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

    function testFuzz_NobodyEarnsMoreThanTheWage(uint112 pool, uint112 rateCap, uint256 total, uint256 credited)
        public
        pure
    {
        (total, credited) = _times(total, credited);
        uint256 reward = Rewards.share(Rewards.payable_(pool, rateCap, total), credited, total);
        assertLe(reward, uint256(rateCap) * credited / 1e12);
    }

    function testFuzz_RejectingNeverLowersWhatOthersGet(uint112 pool, uint112 rateCap, uint256 total, uint256 credited)
        public
        pure
    {
        (total, credited) = _times(total, credited);
        uint256 all = Rewards.share(Rewards.payable_(pool, rateCap, total), credited, total);
        uint256 alone = Rewards.share(Rewards.payable_(pool, rateCap, credited), credited, credited);
        assertGe(alone, all);
    }

    /// @dev With the least pool of a spread of s, whoever is left when all others are rejected gets at most s times
    /// what it would have got with them, but for the two roundings of that.
    function testFuzz_RejectingRaisesPayAtMostSoManyFold(
        uint112 rateCap,
        uint16 selected,
        uint32 mostMs,
        uint16 spread,
        uint256 total,
        uint256 own
    ) public pure {
        selected = uint16(bound(selected, 1, 1000));
        mostMs = uint32(bound(mostMs, 1, 30 days * 1000));
        spread = uint16(bound(spread, 1, type(uint16).max));
        total = bound(total, 1, uint256(selected) * mostMs);
        own = bound(own, 0, total);
        uint256 pool = Rewards.leastPool(rateCap, selected, mostMs, spread);
        uint256 among = Rewards.share(Rewards.payable_(pool, rateCap, total), own, total);
        uint256 alone = Rewards.share(Rewards.payable_(pool, rateCap, own), own, own);
        assertLe(alone, spread * (among + 2));
    }

    function testFuzz_WithASpreadOfOneThePoolNeverBinds(
        uint112 rateCap,
        uint16 selected,
        uint32 mostMs,
        uint112 more,
        uint256 total
    ) public pure {
        selected = uint16(bound(selected, 1, 1000));
        mostMs = uint32(bound(mostMs, 1, 30 days * 1000));
        total = bound(total, 0, uint256(selected) * mostMs);
        uint256 pool = Rewards.leastPool(rateCap, selected, mostMs, 1) + more;
        assertEq(Rewards.payable_(pool, rateCap, total), uint256(rateCap) * total / 1e12);
    }

    function testFuzz_TheGuaranteedRateIsKept(uint112 pool, uint112 rateCap, uint16 selected, uint32 maxMs)
        public
        pure
    {
        selected = uint16(bound(selected, 1, 1000));
        maxMs = uint32(bound(maxMs, 1, 30 days * 1000));
        uint256 rate = Rewards.guaranteedRate(pool, rateCap, selected, maxMs);
        uint256 total = uint256(selected) * maxMs;
        uint256 reward = Rewards.share(Rewards.payable_(pool, rateCap, total), maxMs, total);
        assertGe(reward, rate * maxMs / 1e12);
    }

    /// @dev A claimed total within its bound, and a credited one within that.
    function _times(uint256 claimed, uint256 credited) private pure returns (uint256, uint256) {
        claimed = bound(claimed, 0, MAX_MS);
        return (claimed, bound(credited, 0, claimed));
    }
}
