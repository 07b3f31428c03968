// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Rewards} from "../libraries/Rewards.sol";
import {Selection} from "../libraries/Selection.sol";

/// @title Shows the pure libraries to the tests.
contract Arithmetic {
    function selectedCount(uint256 rate, uint256 n, uint256 maxUpdates) external pure returns (uint256) {
        return Selection.count(rate, n, maxUpdates);
    }

    /// @notice The indices below `end` that are selected.
    function selection(uint256 end, uint256 n, uint256 k, uint256 b) external pure returns (bool[] memory selected) {
        selected = new bool[](end);
        for (uint256 i; i < end; ++i) {
            selected[i] = Selection.includes(i, n, k, b);
        }
    }

    function offset(uint256 before, uint256 k, uint256 n) external pure returns (uint256) {
        return Selection.offset(before, k, n);
    }

    function payable_(uint256 pool, uint256 rateCap, uint256 ms) external pure returns (uint256) {
        return Rewards.payable_(pool, rateCap, ms);
    }

    function share(uint256 amount, uint256 creditedMs, uint256 totalMs) external pure returns (uint256) {
        return Rewards.share(amount, creditedMs, totalMs);
    }

    function surplus(uint256 pool, uint256 rateCap, uint256 claimedMs) external pure returns (uint256) {
        return Rewards.surplus(pool, rateCap, claimedMs);
    }

    function forfeited(uint256 pool, uint256 rateCap, uint256 claimedMs, uint256 creditedMs)
        external
        pure
        returns (uint256)
    {
        return Rewards.forfeited(pool, rateCap, claimedMs, creditedMs);
    }

    function guaranteedRate(uint256 pool, uint256 rateCap, uint256 selected, uint256 maxComputeMs)
        external
        pure
        returns (uint256)
    {
        return Rewards.guaranteedRate(pool, rateCap, selected, maxComputeMs);
    }

    function leastPool(uint256 rateCap, uint256 selected, uint256 maxComputeMs, uint256 maxSpread)
        external
        pure
        returns (uint256)
    {
        return Rewards.leastPool(rateCap, selected, maxComputeMs, maxSpread);
    }
}
