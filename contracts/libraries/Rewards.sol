// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The money of a round: pure arithmetic.
/// @notice Amounts are in wei below 2^128, times in milliseconds below 2^48, rates in wei per second of compute below
/// 2^128: no product overflows. Every division rounds down, so that what is paid never exceeds what was escrowed.
library Rewards {
    uint256 internal constant MS_PER_SECOND = 1000;

    /// @notice P(t) = min(pool, rate cap * t): what t milliseconds of compute time earn together.
    function payable_(uint256 pool, uint256 rateCap, uint256 ms) internal pure returns (uint256) {
        return Math.min(pool, rateCap * ms / MS_PER_SECOND);
    }

    /// @notice What one client gets of `amount` = P(T') for its part of the credited total T'.
    function share(uint256 amount, uint256 creditedMs, uint256 totalMs) internal pure returns (uint256) {
        return totalMs == 0 ? 0 : amount * creditedMs / totalMs;
    }

    /// @notice pool - P(T): what carries to the next round. Depends on what was claimed, not on what was credited.
    function surplus(uint256 pool, uint256 rateCap, uint256 claimedMs) internal pure returns (uint256) {
        return pool - payable_(pool, rateCap, claimedMs);
    }

    /// @notice P(T) - P(T'): what rejected and lowered updates would have earned. Nobody can withdraw it.
    function forfeited(uint256 pool, uint256 rateCap, uint256 claimedMs, uint256 creditedMs)
        internal
        pure
        returns (uint256)
    {
        return payable_(pool, rateCap, claimedMs) - payable_(pool, rateCap, creditedMs);
    }

    /// @notice Wei per second of compute that every client can count on, even where all of `maxUpdates` claim the most.
    function guaranteedRate(uint256 pool, uint256 rateCap, uint256 maxUpdates, uint256 maxComputeMs)
        internal
        pure
        returns (uint256)
    {
        uint256 mostMs = maxUpdates * maxComputeMs;
        return mostMs == 0 ? 0 : Math.min(rateCap, pool * MS_PER_SECOND / mostMs);
    }
}
