// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "./interfaces/IFederation.sol";
import {Terms} from "./libraries/Terms.sol";

/// @title Who decides in a federation: owner, operator, and whether new rounds are stopped.
/// @notice The first owner is an immutable argument. Ownership is handed on in two steps and never given up: without an
/// owner what is carried could never be withdrawn.
abstract contract Ownership is IFederation {
    /// @dev One slot, which every call reads anyway.
    struct Header {
        address operator;
        uint24 memberCount;
        uint24 leavers; // who left with an update in the live round
        bool closed;
        bool paused;
        uint32 ownerNonce;
    }

    /// @notice Who made this code: part of what proves that a federation is genuine.
    address public immutable FACTORY = msg.sender;
    address private immutable SELF = address(this);

    Header internal _header;
    /// @dev Once the ownership has changed hands.
    address private _owner;
    /// @inheritdoc IFederation
    address public pendingOwner;

    /// @dev The code that all federations share has no terms: it is none itself.
    modifier onlyFederation() {
        _requireFederation();
        _;
    }

    modifier onlyOwner() {
        _requireOwner();
        _;
    }

    modifier onlyOrganization() {
        _requireOrganization();
        _;
    }

    /// @inheritdoc IFederation
    function transferOwnership(address newOwner) external onlyOwner {
        pendingOwner = newOwner;
        emit OwnershipOffered(msg.sender, newOwner);
    }

    /// @inheritdoc IFederation
    function acceptOwnership() external onlyFederation {
        if (msg.sender != pendingOwner) revert NotThePendingOwner(pendingOwner, msg.sender);
        address former = owner();

        _owner = msg.sender;
        delete pendingOwner;
        uint32 nonce = ++_header.ownerNonce;
        emit OwnershipTransferred(former, msg.sender, nonce);
        if (_header.operator != address(0)) _setOperator(address(0));
    }

    /// @inheritdoc IFederation
    function setOperator(address operator_) external onlyOwner {
        _setOperator(operator_);
    }

    /// @inheritdoc IFederation
    function pause() external onlyOwner {
        _setPause(true);
    }

    /// @inheritdoc IFederation
    function unpause() external onlyOwner {
        _setPause(false);
    }

    /// @inheritdoc IFederation
    function owner() public view returns (address) {
        return _header.ownerNonce == 0 ? Terms.firstOwner() : _owner;
    }

    /// @inheritdoc IFederation
    function ownerNonce() external view returns (uint32) {
        return _header.ownerNonce;
    }

    /// @inheritdoc IFederation
    function operator() external view returns (address) {
        return _header.operator;
    }

    /// @inheritdoc IFederation
    function paused() external view returns (bool) {
        return _header.paused;
    }

    /// @inheritdoc IFederation
    function closed() external view returns (bool) {
        return _header.closed;
    }

    function _isOrganization(address account) internal view returns (bool) {
        return account == _header.operator || account == owner();
    }

    function _requireOpen() internal view {
        if (_header.closed) revert FederationIsClosed();
    }

    function _requireFederation() private view {
        if (address(this) == SELF) revert NotAFederation();
    }

    function _requireOrganization() private view onlyFederation {
        if (!_isOrganization(msg.sender)) revert NeitherOwnerNorOperator(msg.sender);
    }

    function _requireOwner() private view onlyFederation {
        address owner_ = owner();
        if (msg.sender != owner_) revert NotTheOwner(owner_, msg.sender);
    }

    function _setOperator(address operator_) private {
        _header.operator = operator_;
        emit OperatorSet(operator_);
    }

    function _setPause(bool paused_) private {
        if (_header.paused == paused_) revert PauseIsAlready(paused_);

        _header.paused = paused_;
        emit PauseSet(paused_);
    }
}
