// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {Federation} from "./Federation.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {Assets} from "./libraries/Assets.sol";
import {Terms} from "./libraries/Terms.sol";

/// @title Makes federations, and keeps nothing: an address proves its code, its constructor, its owner and its terms.
/// @notice A federation is a clone of one implementation with its terms as immutable arguments, at the CREATE2 address
/// over both. Comparing code would not do: whoever deploys the same code by a constructor of their own may have written
/// storage first. The implementation is at a CREATE2 address too, which no other code can ever have had: not even a
/// factory that was another one before, made, used and destroyed in one transaction, can have written into a federation.
contract FederationFactory {
    /// @notice The code that every federation of this factory runs.
    address public immutable IMPLEMENTATION = address(new Federation{salt: 0}());

    uint256 private constant BASIS_POINTS = 10_000;

    /// @notice A federation was made.
    /// @param federation Its address.
    /// @param owner Its first owner.
    /// @param terms Its terms.
    /// @param salt What tells it from others of the same owner and terms.
    event FederationCreated(
        address indexed federation, address indexed owner, IFederation.FederationTerms terms, uint64 salt
    );

    /// @notice The asset is neither the native coin nor a contract.
    /// @param asset The asset.
    error AssetIsNotAContract(address asset);
    /// @notice With at least 1 the pool pays what the selected may claim.
    error ZeroSpread();

    /// @notice Makes a federation that belongs to the caller, with terms that never change. Reverts where it exists.
    /// @param terms What is fixed for good.
    /// @param salt What tells it from others of the same owner and terms.
    /// @return federation Its address.
    function createFederation(IFederation.FederationTerms calldata terms, uint64 salt)
        external
        returns (address federation)
    {
        if (terms.asset != Assets.NATIVE && terms.asset.code.length == 0) {
            revert AssetIsNotAContract(terms.asset);
        }
        uint256 maximum = terms.stake == 0 ? 0 : BASIS_POINTS;
        if (terms.maxSlashRate > maximum) revert IFederation.SlashRateTooHigh(maximum, terms.maxSlashRate);
        if (terms.maxSpread == 0) revert ZeroSpread();

        federation = Clones.cloneDeterministicWithImmutableArgs(IMPLEMENTATION, Terms.pack(msg.sender, terms, salt), 0);
        emit FederationCreated(federation, msg.sender, terms, salt);
    }

    /// @notice Where `createFederation` makes, or made, a federation.
    /// @param owner Who calls it.
    /// @param terms With these terms.
    /// @param salt And this salt.
    /// @return The address.
    function addressOf(address owner, IFederation.FederationTerms calldata terms, uint64 salt)
        external
        view
        returns (address)
    {
        return Clones.predictDeterministicAddressWithImmutableArgs(IMPLEMENTATION, Terms.pack(owner, terms, salt), 0);
    }

    /// @notice Whether this factory made the federation.
    /// @param federation Any address.
    /// @return Whether.
    function isFederation(address federation) external view returns (bool) {
        if (federation.code.length != Terms.CODE_LENGTH) return false;
        bytes memory packed = Clones.fetchCloneArgs(federation);
        return Clones.predictDeterministicAddressWithImmutableArgs(IMPLEMENTATION, packed, 0) == federation;
    }
}
