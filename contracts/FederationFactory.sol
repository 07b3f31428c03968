// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Federation} from "./Federation.sol";
import {IFederation} from "./interfaces/IFederation.sol";

/// @title Makes federations and remembers them.
/// @notice A stranger can tell genuine code by asking whether the factory made it.
contract FederationFactory {
    /// @notice Whether this factory made the federation.
    mapping(address federation => bool) public isFederation;
    address[] private _federations;

    event FederationCreated(address indexed federation, address indexed owner);

    /// @notice Makes a federation that belongs to the caller, with terms that never change.
    function createFederation(IFederation.FederationTerms calldata terms) external returns (address federation) {
        federation = address(new Federation(msg.sender, terms));
        isFederation[federation] = true;
        _federations.push(federation);
        emit FederationCreated(federation, msg.sender);
    }

    /// @notice How many federations this factory made.
    function federationCount() external view returns (uint256) {
        return _federations.length;
    }

    /// @notice The federations `from` to `from + limit - 1` in the order in which they were made.
    function federations(uint256 from, uint256 limit) external view returns (address[] memory page) {
        uint256 end = Math.max(from, Math.min(Math.saturatingAdd(from, limit), _federations.length));
        page = new address[](end - from);
        for (uint256 i = from; i < end; ++i) {
            page[i - from] = _federations[i];
        }
    }
}
