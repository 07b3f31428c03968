// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Rewards} from "../../../contracts/libraries/Rewards.sol";

/// @title What holds of the money of a round, for every pool, rate and time there can be.
/// @notice For halmos, which also proves that nothing overflows, as no panic is allowed. A refutable claim is one that
/// halmos has to find false: it would pass if the questions that halmos asks were answered wrongly.
/// The inputs are of the contract's own types: pool and rate of 128 bits, a client's time of 32, a total of 48. Sums and
/// products that are compared here cannot wrap around.
contract RewardsSymbolic is Test {
    uint256 private constant MS_PER_SECOND = 1000;

    function check_APoolIsPayableOrSurplusOrForfeited(
        uint128 pool,
        uint128 rateCap,
        uint48 claimedMs,
        uint48 creditedMs
    ) external pure {
        vm.assume(creditedMs <= claimedMs);
        uint256 amount = Rewards.payable_(pool, rateCap, creditedMs);
        uint256 surplus = Rewards.surplus(pool, rateCap, claimedMs);
        uint256 forfeited = Rewards.forfeited(pool, rateCap, claimedMs, creditedMs);
        assert(amount + surplus + forfeited == pool);
    }

    function check_AdjustmentsNeverRaiseTheSurplus(uint128 pool, uint128 rateCap, uint48 claimedMs, uint48 creditedMs)
        external
        pure
    {
        vm.assume(creditedMs <= claimedMs);
        uint256 asClaimed = Rewards.payable_(pool, rateCap, claimedMs);
        uint256 asCredited = Rewards.payable_(pool, rateCap, creditedMs);
        assert(asCredited <= asClaimed && asClaimed <= pool);
        assert(Rewards.surplus(pool, rateCap, claimedMs) == pool - asClaimed);
    }

    function check_ThreeClientsShareAllButLessThanAUnitEach(uint128 amount, uint32 one, uint32 two, uint32 three)
        external
        pure
    {
        uint256 total = uint256(one) + two + three;
        vm.assume(total != 0);
        uint256 paid =
            Rewards.share(amount, one, total) + Rewards.share(amount, two, total) + Rewards.share(amount, three, total);
        assert(paid <= amount);
        assert(amount - paid < 3);
    }

    /// @notice The step of an induction over the clients of a round, however many. Of clients with `before` of the total
    /// time, who are paid `paid`, assume amount * before / total - count < paid <= amount * before / total. It holds of
    /// nobody: 0 of 0. With one client more it holds again; and of all, with before = total, it says that they are paid at
    /// most the amount, and less than a unit short of it each.
    function check_OneMoreClientIsPaidLessThanAUnitShort(
        uint128 amount,
        uint128 paid,
        uint48 total,
        uint48 before,
        uint32 creditedMs,
        uint16 count
    ) external pure {
        uint256 after_ = uint256(before) + creditedMs;
        vm.assume(after_ <= total && total != 0);
        unchecked {
            vm.assume(uint256(paid) * total <= uint256(amount) * before);
            vm.assume(uint256(amount) * before <= (uint256(paid) + count) * total);
        }

        uint256 share = Rewards.share(amount, creditedMs, total);
        unchecked {
            assert((uint256(paid) + share) * total <= uint256(amount) * after_);
            assert(uint256(amount) * after_ < (uint256(paid) + share + count + 1) * total);
        }
    }

    function check_NobodyEarnsMoreThanTheWage(uint128 pool, uint128 rateCap, uint32 creditedMs, uint48 total)
        external
        pure
    {
        vm.assume(creditedMs <= total);
        uint256 share = Rewards.share(Rewards.payable_(pool, rateCap, total), creditedMs, total);
        unchecked {
            assert(share <= uint256(rateCap) * creditedMs / MS_PER_SECOND);
        }
    }

    function check_NobodyIsPaidForNothing(uint128 amount, uint48 total) external pure {
        assert(Rewards.share(amount, 0, total) == 0);
    }

    function check_EverybodyEarnsTheGuaranteedRate(
        uint128 pool,
        uint128 rateCap,
        uint16 maxUpdates,
        uint32 maxComputeMs,
        uint48 total,
        uint32 creditedMs
    ) external pure {
        unchecked {
            vm.assume(total <= uint256(maxUpdates) * maxComputeMs);
        }
        vm.assume(creditedMs <= total && total != 0);
        uint256 rate = Rewards.guaranteedRate(pool, rateCap, maxUpdates, maxComputeMs);
        uint256 share = Rewards.share(Rewards.payable_(pool, rateCap, total), creditedMs, total);
        unchecked {
            assert(rate <= rateCap);
            assert(share + 1 >= rate * creditedMs / MS_PER_SECOND);
        }
    }

    // ----------------------------------------------------------------------------------------------- refutable

    function refute_NothingIsForfeited(uint128 pool, uint128 rateCap, uint48 claimedMs, uint48 creditedMs)
        external
        pure
    {
        vm.assume(creditedMs <= claimedMs);
        assert(Rewards.forfeited(pool, rateCap, claimedMs, creditedMs) == 0);
    }

    function refute_SharesLeaveNothing(uint128 amount, uint32 one, uint32 two) external pure {
        uint256 total = uint256(one) + two;
        vm.assume(total != 0);
        assert(Rewards.share(amount, one, total) + Rewards.share(amount, two, total) == amount);
    }

    function refute_NobodyEarnsTheWage(uint128 pool, uint128 rateCap, uint32 creditedMs, uint48 total) external pure {
        vm.assume(creditedMs != 0 && creditedMs <= total && rateCap > MS_PER_SECOND);
        uint256 share = Rewards.share(Rewards.payable_(pool, rateCap, total), creditedMs, total);
        unchecked {
            assert(share < uint256(rateCap) * creditedMs / MS_PER_SECOND);
        }
    }

    function refute_NoProductOverflows(uint256 amount, uint256 creditedMs, uint48 total) external pure {
        Rewards.share(amount, creditedMs, total);
    }
}
