// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../interfaces/IFederation.sol";

/// @title What a federation's own code says of it: first owner, terms and salt, the immutable arguments of a clone.
/// @notice Packed: owner 20 bytes, asset 20, stake 16, maxSlashRate 2, admission 1, auditPolicy 1, maxSpread 2,
/// idleRounds 2, salt 8.
library Terms {
    /// @dev Bytes of a federation's code: a minimal proxy (ERC-1167), and the packed arguments.
    uint256 internal constant CODE_LENGTH = 45 + 72;
    uint256 private constant PROXY_LENGTH = 45;
    uint256 private constant ARGUMENTS_LENGTH = 72;

    function pack(address owner, IFederation.FederationTerms memory terms, uint64 salt)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(
            owner,
            terms.asset,
            terms.stake,
            terms.maxSlashRate,
            terms.admission,
            terms.auditPolicy,
            terms.maxSpread,
            terms.idleRounds,
            salt
        );
    }

    /// @notice The terms of the federation that runs this.
    function own() internal view returns (IFederation.FederationTerms memory terms) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let packed := mload(64) // not kept: whoever allocates next writes over it
            extcodecopy(address(), packed, PROXY_LENGTH, ARGUMENTS_LENGTH)
            mstore(terms, shr(96, mload(add(packed, 20))))
            mstore(add(terms, 32), shr(128, mload(add(packed, 40))))
            mstore(add(terms, 64), shr(240, mload(add(packed, 56))))
            mstore(add(terms, 96), shr(248, mload(add(packed, 58))))
            mstore(add(terms, 128), shr(248, mload(add(packed, 59))))
            mstore(add(terms, 160), shr(240, mload(add(packed, 60))))
            mstore(add(terms, 192), shr(240, mload(add(packed, 62))))
        }
    }

    /// @notice Who made the federation that runs this, and owned it first.
    function firstOwner() internal view returns (address owner) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            extcodecopy(address(), 0, PROXY_LENGTH, 20)
            owner := shr(96, mload(0))
        }
    }
}
