// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The money of a round: pure arithmetic.
/// @notice Amounts are in the asset's smallest unit below 2^112, times in milliseconds below 2^48, rates in 10^-9 of that
/// unit per second of compute below 2^112: no product overflows. Every division rounds down, so that what is paid never
/// exceeds what was escrowed.
library Rewards {
    /// @dev 10^9 parts of a unit, times milliseconds per second.
    uint256 internal constant SCALE = 1e12;

    /// @notice P(t) = min(pool, rate cap * t): what t milliseconds of compute time earn together.
    function payable_(uint256 pool, uint256 rateCap, uint256 ms) internal pure returns (uint256) {
        return Math.min(pool, rateCap * ms / SCALE);
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

    /// @notice What every second of compute can count on, in the unit of the cap, even where all of the k selected claim
    /// the most.
    function guaranteedRate(uint256 pool, uint256 rateCap, uint256 selected, uint256 maxComputeMs)
        internal
        pure
        returns (uint256)
    {
        uint256 mostMs = selected * maxComputeMs;
        return mostMs == 0 ? 0 : Math.min(rateCap, pool * SCALE / mostMs);
    }

    /// @notice The least pool, besides 0, under which the k selected can claim at most `maxSpread` times what it pays.
    function leastPool(uint256 rateCap, uint256 selected, uint256 maxComputeMs, uint256 maxSpread)
        internal
        pure
        returns (uint256)
    {
        return Math.ceilDiv(rateCap * selected * maxComputeMs, maxSpread * SCALE);
    }
}
