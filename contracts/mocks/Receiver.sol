// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";

/// @title A contract that stands where a person usually stands: client, owner or recipient.
/// @notice It does what it is told, and when coins arrive it first makes one prepared call, or refuses them.
contract Receiver {
    error Refused();

    bool public refusing;
    /// @notice The answer to the prepared call: whether it succeeded, and with what.
    bool public succeeded;
    bytes public returned;
    address private _target;
    bytes private _call;

    receive() external payable {
        if (refusing) revert Refused();
        bytes memory prepared = _call;
        delete _call;
        if (prepared.length != 0) (succeeded, returned) = _target.call(prepared);
    }

    function refuse(bool refusing_) external {
        refusing = refusing_;
    }

    function prepare(address target, bytes calldata call_) external {
        _target = target;
        _call = call_;
    }

    function perform(address target, bytes calldata call_) external payable returns (bytes memory) {
        return Address.functionCallWithValue(target, call_, msg.value);
    }
}
