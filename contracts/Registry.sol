// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IFederation} from "./interfaces/IFederation.sol";

/// @title Who belongs to a federation.
/// @notice Every registration appends an index that is never given to anybody else: a round can name its members by
/// their number, and an index keeps telling whose update it was after its client has left.
abstract contract Registry is IFederation {
    address[] private _members;
    /// @dev The current index of a member plus one; 0 for anybody else.
    mapping(address client => uint256) private _positions;

    /// @inheritdoc IFederation
    function register() external returns (uint32 index) {
        _requireOpen();
        uint256 position = _positions[msg.sender];
        if (position != 0) revert AlreadyRegistered(msg.sender, uint32(position - 1));

        index = memberCount();
        _members.push(msg.sender);
        _positions[msg.sender] = uint256(index) + 1;
        emit Registered(msg.sender, index);
    }

    /// @inheritdoc IFederation
    function leave() external {
        uint32 index = _requireMember(msg.sender);

        delete _positions[msg.sender];
        emit Left(msg.sender, index);
    }

    /// @inheritdoc IFederation
    function members(uint32 from, uint32 limit) external view returns (address[] memory page) {
        uint256 end = _pageEnd(from, limit);
        page = new address[](end - from);
        for (uint256 i = from; i < end; ++i) {
            address client = _members[i];
            if (_positions[client] == i + 1) page[i - from] = client;
        }
    }

    /// @inheritdoc IFederation
    function memberCount() public view returns (uint32) {
        return uint32(_members.length);
    }

    /// @dev Reverts once the federation is closed.
    function _requireOpen() internal view virtual;

    function _requireMember(address client) internal view returns (uint32 index) {
        bool member;
        (member, index) = _membership(client);
        if (!member) revert NotRegistered(client);
    }

    function _membership(address client) internal view returns (bool member, uint32 index) {
        uint256 position = _positions[client];
        if (position != 0) (member, index) = (true, uint32(position - 1));
    }

    /// @dev Whoever was given the index, a member still or not.
    function _clientAt(uint256 index) internal view returns (address) {
        return _members[index];
    }

    /// @dev Where a page of indices ends: at most at the member count, and never before it begins.
    function _pageEnd(uint256 from, uint256 limit) internal view returns (uint256) {
        return Math.max(from, Math.min(from + limit, _members.length));
    }
}
