// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IFederation} from "./interfaces/IFederation.sol";
import {Assets} from "./libraries/Assets.sol";

/// @title Who belongs to a federation, and what they stake.
/// @notice Every registration appends an index that is never given to anybody else: a round can name its members by
/// their number, and an index keeps telling whose update it was after its client has left.
abstract contract Registry is IFederation, Ownable2Step, EIP712, ReentrancyGuardTransient {
    using Assets for address;

    struct Member {
        /// @dev The current index plus one; 0 for who is no member.
        uint32 position;
        /// @dev Outlives the membership until it is returned: a live round may still slash it.
        uint128 stake;
    }

    uint256 internal constant BASIS_POINTS = 10_000;
    bytes32 private constant VOUCHER_TYPEHASH = keccak256("Voucher(address client,uint256 id,uint40 expiry)");

    address internal immutable ASSET;
    uint128 internal immutable STAKE;
    uint16 internal immutable MAX_SLASH_RATE;
    Admission internal immutable ADMISSION;
    AuditPolicy internal immutable AUDIT_POLICY;

    /// @inheritdoc IFederation
    mapping(uint256 id => bool) public voucherSpent;
    /// @dev By index: whoever was given it, a member still or not.
    address[] private _clients;
    mapping(address client => Member) private _members;

    constructor(address owner, FederationTerms memory terms_) Ownable(owner) EIP712("Koinon", "1") {
        if (terms_.asset != Assets.NATIVE && terms_.asset.code.length == 0) revert AssetIsNotAContract(terms_.asset);
        uint256 maximum = terms_.stake == 0 ? 0 : BASIS_POINTS;
        if (terms_.maxSlashRate > maximum) revert SlashRateTooHigh(maximum, terms_.maxSlashRate);

        ASSET = terms_.asset;
        STAKE = terms_.stake;
        MAX_SLASH_RATE = terms_.maxSlashRate;
        ADMISSION = terms_.admission;
        AUDIT_POLICY = terms_.auditPolicy;
    }

    // -------------------------------------------------------------------------------------------------- clients

    /// @inheritdoc IFederation
    function register() external payable nonReentrant returns (uint32 index) {
        _requireAdmission(Admission.Open);

        return _register();
    }

    /// @inheritdoc IFederation
    function registerWithVoucher(uint256 id, uint40 expiry, bytes calldata signature)
        external
        payable
        nonReentrant
        returns (uint32 index)
    {
        _requireAdmission(Admission.Voucher);
        if (block.timestamp >= expiry) revert VoucherExpired(expiry, block.timestamp);
        if (voucherSpent[id]) revert VoucherSpent(id);
        bytes32 digest = voucherDigest(msg.sender, id, expiry);
        if (!SignatureChecker.isValidSignatureNow(owner(), digest, signature)) {
            revert InvalidVoucher(owner(), msg.sender);
        }

        voucherSpent[id] = true;
        return _register();
    }

    /// @inheritdoc IFederation
    function leave(address payable to) external nonReentrant returns (uint256 returned) {
        if (to == address(0)) revert ZeroValue("to");
        Member storage member = _members[msg.sender];
        (uint32 position, uint128 stake) = (member.position, member.stake);
        if (position == 0 && stake == 0) revert NotRegistered(msg.sender);
        (bool live, uint32 round) = _liveUpdate(msg.sender);
        if (position == 0 && live) revert StakeIsLocked(round);

        if (position != 0) {
            member.position = 0;
            emit Left(msg.sender, position - 1);
        }
        if (stake != 0 && !live) {
            member.stake = 0;
            returned = stake;
            emit StakeReturned(msg.sender, to, stake);
            ASSET.push(to, stake);
        }
    }

    // --------------------------------------------------------------------------------------------- organization

    /// @inheritdoc IFederation
    function revokeVoucher(uint256 id) external onlyOwner {
        voucherSpent[id] = true;
        emit VoucherRevoked(id);
    }

    // ----------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IFederation
    function terms() external view returns (FederationTerms memory) {
        return FederationTerms(ASSET, STAKE, MAX_SLASH_RATE, ADMISSION, AUDIT_POLICY);
    }

    /// @inheritdoc IFederation
    function members(uint32 from, uint32 limit) external view returns (address[] memory page) {
        uint256 end = _pageEnd(from, limit);
        page = new address[](end - from);
        for (uint256 i = from; i < end; ++i) {
            address client = _clients[i];
            if (_members[client].position == i + 1) page[i - from] = client;
        }
    }

    /// @inheritdoc IFederation
    function voucherDigest(address client, uint256 id, uint40 expiry) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(VOUCHER_TYPEHASH, client, id, expiry)));
    }

    /// @inheritdoc IFederation
    function memberCount() public view returns (uint32) {
        return uint32(_clients.length);
    }

    // -------------------------------------------------------------------------------------------------- internal

    /// @dev Reverts once the federation is closed.
    function _requireOpen() internal view virtual;

    /// @dev Whether the client has an update in the live round, and which round that is.
    function _liveUpdate(address client) internal view virtual returns (bool live, uint32 round);

    /// @dev Takes a part of what is left of a client's stake. It stays in the contract, and nobody can withdraw it.
    function _slash(uint32 round, address client, uint16 rate) internal {
        if (rate > MAX_SLASH_RATE) revert SlashRateTooHigh(MAX_SLASH_RATE, rate);

        Member storage member = _members[client];
        uint128 stake = member.stake;
        uint128 amount = uint128(uint256(stake) * rate / BASIS_POINTS);
        member.stake = stake - amount;
        emit Slashed(round, client, amount);
    }

    function _requireMember(address client) internal view returns (uint32 index) {
        uint32 position = _members[client].position;
        if (position == 0) revert NotRegistered(client);
        return position - 1;
    }

    function _membership(address client) internal view returns (bool member, uint32 index, uint128 stake) {
        Member storage self = _members[client];
        stake = self.stake;
        if (self.position != 0) (member, index) = (true, self.position - 1);
    }

    function _clientAt(uint256 index) internal view returns (address) {
        return _clients[index];
    }

    /// @dev Where a page of indices ends: at most at the member count, and never before it begins.
    function _pageEnd(uint256 from, uint256 limit) internal view returns (uint256) {
        return Math.max(from, Math.min(from + limit, _clients.length));
    }

    function _register() private returns (uint32 index) {
        _requireOpen();
        Member storage member = _members[msg.sender];
        (uint32 position, uint128 stake) = (member.position, member.stake);
        if (position != 0) revert AlreadyRegistered(msg.sender, position - 1);
        if (stake != 0) revert StakeNotReturned(msg.sender, stake);

        index = memberCount();
        _clients.push(msg.sender);
        (member.position, member.stake) = (index + 1, STAKE);
        emit Registered(msg.sender, index);
        ASSET.pull(STAKE);
    }

    function _requireAdmission(Admission admission) private view {
        if (ADMISSION != admission) revert WrongAdmission(ADMISSION, admission);
    }
}
