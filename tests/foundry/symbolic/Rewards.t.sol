// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Rewards} from "../../../contracts/libraries/Rewards.sol";

/// @title What holds of the money of a round, for every pool, rate and time there can be.
/// @notice For halmos, which also proves that nothing overflows, as no panic is allowed. A refutable claim is one that
/// halmos has to find false: it would pass if the questions that halmos asks were answered wrongly. The inputs are of
/// the contract's own types: pool and rate of 112 bits, a client's time of 32, a total of 48. Sums and products that
/// are compared here cannot wrap around.
contract RewardsSymbolic is Test {
    /// @dev Rates are in 10^-9 units per second, times in milliseconds.
    uint256 private constant SCALE = 10 ** 9 * 1000;

    function check_APoolIsPayableOrSurplusOrForfeited(
        uint112 pool,
        uint112 rateCap,
        uint48 claimedMs,
        uint48 creditedMs
    ) external pure {
        vm.assume(creditedMs <= claimedMs);
        uint256 amount = Rewards.payable_(pool, rateCap, creditedMs);
        uint256 surplus = Rewards.surplus(pool, rateCap, claimedMs);
        uint256 forfeited = Rewards.forfeited(pool, rateCap, claimedMs, creditedMs);
        assert(amount + surplus + forfeited == pool);
    }

    function check_AdjustmentsNeverRaiseTheSurplus(uint112 pool, uint112 rateCap, uint48 claimedMs, uint48 creditedMs)
        external
        pure
    {
        vm.assume(creditedMs <= claimedMs);
        uint256 asClaimed = Rewards.payable_(pool, rateCap, claimedMs);
        uint256 asCredited = Rewards.payable_(pool, rateCap, creditedMs);
        assert(asCredited <= asClaimed && asClaimed <= pool);
        assert(Rewards.surplus(pool, rateCap, claimedMs) == pool - asClaimed);
    }

    function check_ThreeClientsShareAllButLessThanAUnitEach(uint112 amount, uint32 one, uint32 two, uint32 three)
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

    /// @notice The step of an induction over the clients of a round, however many. Of clients with `before` of the
    /// total time, who are paid `paid`, assume amount * before / total - count < paid <= amount * before / total. It
    /// holds of nobody: 0 of 0. With one client more it holds again; and of all, with before = total, it says that they
    /// are paid at most the amount, and less than a unit short of it each.
    function check_OneMoreClientIsPaidLessThanAUnitShort(
        uint112 amount,
        uint112 paid,
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

    function check_NobodyEarnsMoreThanTheWage(uint112 pool, uint112 rateCap, uint32 creditedMs, uint48 total)
        external
        pure
    {
        vm.assume(creditedMs <= total);
        uint256 share = Rewards.share(Rewards.payable_(pool, rateCap, total), creditedMs, total);
        unchecked {
            assert(share <= uint256(rateCap) * creditedMs / SCALE);
        }
    }

    function check_NobodyIsPaidForNothing(uint112 amount, uint48 total) external pure {
        assert(Rewards.share(amount, 0, total) == 0);
    }

    /// @notice k of the selected may claim maxComputeMs each, and together no more: whatever they do, every one of them
    /// earns the floor.
    function check_EverybodyEarnsTheGuaranteedRate(
        uint112 pool,
        uint112 rateCap,
        uint16 selected,
        uint32 maxComputeMs,
        uint48 total,
        uint32 creditedMs
    ) external pure {
        unchecked {
            vm.assume(total <= uint256(selected) * maxComputeMs);
        }
        vm.assume(creditedMs <= total && total != 0);
        uint256 rate = Rewards.guaranteedRate(pool, rateCap, selected, maxComputeMs);
        uint256 share = Rewards.share(Rewards.payable_(pool, rateCap, total), creditedMs, total);
        unchecked {
            assert(rate <= rateCap);
            assert(share + 1 >= rate * creditedMs / SCALE);
        }
    }

    // ------------------------------------------------------------------------------------------------ maxSpread

    /// @notice With a spread of 1 the pool never binds: it pays the whole wage of all that the selected may claim.
    function check_WithASpreadOfOneThePoolNeverBinds(
        uint112 pool,
        uint112 rateCap,
        uint16 selected,
        uint32 maxComputeMs,
        uint48 total
    ) external pure {
        vm.assume(pool >= Rewards.leastPool(rateCap, selected, maxComputeMs, 1));
        unchecked {
            vm.assume(total <= uint256(selected) * maxComputeMs);
            assert(Rewards.payable_(pool, rateCap, total) == uint256(rateCap) * total / SCALE);
        }
    }

    /// @notice So nobody's pay depends on what becomes of others, but for the rounding of P(T').
    function check_WithASpreadOfOneRejectingOthersRaisesNobodysPay(
        uint112 pool,
        uint112 rateCap,
        uint16 selected,
        uint32 maxComputeMs,
        uint48 total,
        uint32 creditedMs
    ) external pure {
        vm.assume(pool >= Rewards.leastPool(rateCap, selected, maxComputeMs, 1));
        unchecked {
            vm.assume(total <= uint256(selected) * maxComputeMs);
        }
        vm.assume(creditedMs <= total && total != 0);
        uint256 share = Rewards.share(Rewards.payable_(pool, rateCap, total), creditedMs, total);
        unchecked {
            uint256 wage = uint256(rateCap) * creditedMs / SCALE; // the most that anything can make it
            assert(share <= wage && wage <= share + 1);
        }
    }

    /// @notice With a spread of s a second can always count on the s-th part of the wage, which nothing exceeds:
    /// whatever becomes of others, pay rises at most s-fold.
    function check_TheSpreadBoundsTheGuaranteedRate(
        uint112 pool,
        uint112 rateCap,
        uint16 selected,
        uint32 maxComputeMs,
        uint16 maxSpread
    ) external pure {
        vm.assume(maxSpread != 0 && selected != 0 && maxComputeMs != 0);
        vm.assume(pool >= Rewards.leastPool(rateCap, selected, maxComputeMs, maxSpread));
        uint256 rate = Rewards.guaranteedRate(pool, rateCap, selected, maxComputeMs);
        unchecked {
            assert(rate <= rateCap);
            assert(rateCap < (rate + 1) * maxSpread);
        }
    }

    /// @notice The same of the pay itself: what a client gets among all that was claimed, and two units, s times over,
    /// is more than any wage; and nobody is paid more than that.
    function check_RejectingOthersRaisesPayAtMostSpreadFold(
        uint112 pool,
        uint112 rateCap,
        uint48 most,
        uint16 maxSpread,
        uint48 total,
        uint32 creditedMs
    ) external pure {
        vm.assume(maxSpread != 0);
        unchecked {
            vm.assume(uint256(rateCap) * most <= uint256(maxSpread) * pool * SCALE);
        }
        vm.assume(creditedMs <= total && total <= most && total != 0);
        uint256 share = Rewards.share(Rewards.payable_(pool, rateCap, total), creditedMs, total);
        unchecked {
            assert(uint256(rateCap) * creditedMs < (share + 2) * maxSpread * SCALE);
        }
    }

    /// @notice `openRound` compares with leastPool; that says exactly what the terms say.
    function check_TheLeastPoolIsTheLeast(
        uint112 rateCap,
        uint16 selected,
        uint32 maxComputeMs,
        uint16 maxSpread,
        uint112 pool
    ) external pure {
        vm.assume(maxSpread != 0);
        uint256 least = Rewards.leastPool(rateCap, selected, maxComputeMs, maxSpread);
        unchecked {
            uint256 claims = uint256(rateCap) * selected * maxComputeMs;
            if (pool >= least) assert(claims <= uint256(pool) * maxSpread * SCALE);
            else assert(claims > uint256(pool) * maxSpread * SCALE);
        }
    }

    // ----------------------------------------------------------------------------------------------- refutable

    function refute_NothingIsForfeited(uint112 pool, uint112 rateCap, uint48 claimedMs, uint48 creditedMs)
        external
        pure
    {
        vm.assume(creditedMs <= claimedMs);
        assert(Rewards.forfeited(pool, rateCap, claimedMs, creditedMs) == 0);
    }

    function refute_SharesLeaveNothing(uint112 amount, uint32 one, uint32 two) external pure {
        uint256 total = uint256(one) + two;
        vm.assume(total != 0);
        assert(Rewards.share(amount, one, total) + Rewards.share(amount, two, total) == amount);
    }

    function refute_NobodyEarnsTheWage(uint112 pool, uint112 rateCap, uint32 creditedMs, uint48 total) external pure {
        vm.assume(creditedMs != 0 && creditedMs <= total && rateCap > SCALE);
        uint256 share = Rewards.share(Rewards.payable_(pool, rateCap, total), creditedMs, total);
        unchecked {
            assert(share < uint256(rateCap) * creditedMs / SCALE);
        }
    }

    function refute_NoProductOverflows(uint256 amount, uint256 creditedMs, uint48 total) external pure {
        Rewards.share(amount, creditedMs, total);
    }

    function refute_WithASpreadThePoolNeverBinds(
        uint112 pool,
        uint112 rateCap,
        uint16 selected,
        uint32 maxComputeMs,
        uint48 total
    ) external pure {
        vm.assume(pool >= Rewards.leastPool(rateCap, selected, maxComputeMs, 2));
        unchecked {
            vm.assume(total <= uint256(selected) * maxComputeMs);
            assert(Rewards.payable_(pool, rateCap, total) == uint256(rateCap) * total / SCALE);
        }
    }
}
