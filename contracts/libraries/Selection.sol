// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Which members take part in a round: pure arithmetic.
/// @notice With n members of whom k are selected, position i takes part if (P * i + b) mod n < k. P is a prime above n, so
/// i -> (P * i + b) mod n is a permutation of the members and exactly k of them are selected. b moves on by the k of each
/// round: while n and the positions stay, nobody is drawn again before all others were. It shares load; whoever leaves
/// and registers again between rounds can bend it, so it is no defence.
library Selection {
    /// @dev A Mersenne prime, 2^31 - 1: more members than that can never be paid for.
    uint256 internal constant P = 2_147_483_647;
    uint256 internal constant BASIS_POINTS = 10_000;

    /// @notice k = min(ceil(rate * n / 10,000), maxUpdates).
    function count(uint256 rate, uint256 n, uint256 maxUpdates) internal pure returns (uint256) {
        return Math.min(Math.ceilDiv(rate * n, BASIS_POINTS), maxUpdates);
    }

    /// @notice b of a round of n > 0 members of whom k are selected, from b of the round before.
    function offset(uint256 before, uint256 k, uint256 n) internal pure returns (uint256) {
        return (before + k) % n;
    }

    /// @notice Whether position i is one of the k selected of n members, with offset b.
    function includes(uint256 i, uint256 n, uint256 k, uint256 b) internal pure returns (bool) {
        return i < n && (P * i + b) % n < k;
    }
}
