// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Delegate} from "../../contracts/mocks/Delegate.sol";
import {Receiver} from "../../contracts/mocks/Receiver.sol";
import {Wallet} from "../../contracts/mocks/Wallet.sol";
import {Base} from "./Base.sol";

/// @title Admission by voucher: signed by the owner, for one client, one federation and one registration.
/// @notice Whatever the owner is: the tests below run for an owner with a key, one with a key whose account runs code
/// (EIP-7702), and a contract that answers for its signer (ERC-1271).
abstract contract VouchersTest is Base {
    uint256 private constant ID = 7;
    uint40 private constant EXPIRY = uint40(START + 1000);
    uint256 internal constant SIGNER_KEY = 0x51;

    /// @dev Who owns the federation, and signs with SIGNER_KEY.
    address internal _signer;

    function setUp() public override {
        terms.admission = IFederation.Admission.Voucher;
        super.setUp();
        _signer = _prepareOwner();
        _appoint(_signer);
    }

    /// @dev An owner whose signatures are those of SIGNER_KEY.
    function _prepareOwner() internal virtual returns (address);

    function test_AVoucherAdmitsItsClient() public {
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        vm.expectEmit(address(federation));
        emit IFederation.Registered(ADA, 0);
        vm.prank(ADA);
        assertEq(federation.registerWithVoucher(voucher), 0);

        assertTrue(_view(ADA).member);
        assertTrue(federation.voucherSpent(ID));
        assertFalse(federation.voucherSpent(ID + 1));
        assertFalse(federation.voucherSpent(ID - 1));
    }

    function test_EveryVoucherGivesItsOwnPosition() public {
        assertEq(_admit(ADA, 1), 0);
        assertEq(_admit(BOB, 2), 1);
    }

    function test_TheStakeIsTakenWithAVoucherToo() public {
        terms.stake = 5;
        _create();
        _appoint(_signer);
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        vm.deal(ADA, 6);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, 5, 6));
        vm.prank(ADA);
        federation.registerWithVoucher{value: 6}(voucher);

        vm.prank(ADA);
        federation.registerWithVoucher{value: 5}(voucher);
        assertEq(_stakeOf(ADA), 5);
    }

    // ------------------------------------------------------------------------------------------------------ time

    function test_AVoucherIsGoodBeforeItsExpiry() public {
        vm.warp(EXPIRY - 1);
        _admit(ADA, ID);
        assertTrue(_view(ADA).member);
    }

    function test_AVoucherExpires() public {
        uint40[2] memory times = [EXPIRY, EXPIRY + 1000];
        for (uint256 i; i < times.length; ++i) {
            vm.warp(times[i]);
            bytes memory error = abi.encodeWithSelector(IFederation.VoucherExpired.selector, EXPIRY, times[i]);
            _refusesWith(ADA, _voucherFor(ADA), error);
        }
    }

    // ------------------------------------------------------------------------------------------------ single use

    function test_AVoucherIsSpentOnce() public {
        _admit(ADA, ID);
        _leave(ADA);
        _refusesAsSpent(ADA, ID);
    }

    function test_AnIdIsSpentForEveryClient() public {
        _admit(ADA, ID);
        _refusesAsSpent(BOB, ID);
    }

    function test_AMemberKeepsItsSecondVoucher() public {
        _admit(ADA, 1);
        IFederation.Voucher memory second = _voucherFor(ADA, 2, EXPIRY);
        _refusesWith(ADA, second, abi.encodeWithSelector(IFederation.AlreadyRegistered.selector, ADA, 0));
        assertFalse(federation.voucherSpent(2));

        _leave(ADA);
        vm.prank(ADA);
        assertEq(federation.registerWithVoucher(second), 0);
        assertTrue(federation.voucherSpent(2));
    }

    /// @dev 256 neighbours share a slot: spending one spends no other.
    function testFuzz_EveryIdIsItsOwn(uint256 id, uint8 bit) public {
        uint256 neighbour = id ^ (1 << (bit % 8));
        _admit(ADA, id);
        assertTrue(federation.voucherSpent(id));
        assertFalse(federation.voucherSpent(neighbour));
        assertFalse(federation.voucherSpent(id ^ (1 << bit | 1 << 255)));
        _admit(BOB, neighbour);
        assertTrue(federation.voucherSpent(id));
        assertTrue(federation.voucherSpent(neighbour));
    }

    function test_ARevokedVoucherAdmitsNobody() public {
        vm.expectEmit(address(federation));
        emit IFederation.VoucherRevoked(ID);
        vm.prank(_signer);
        federation.revokeVoucher(ID);
        assertTrue(federation.voucherSpent(ID));
        assertFalse(federation.voucherSpent(ID + 1));
        _refusesAsSpent(ADA, ID);
        _admit(ADA, ID + 1);
    }

    function test_AnIdMayBeRevokedAgain() public {
        _admit(ADA, ID);
        vm.prank(_signer);
        federation.revokeVoucher(ID);
        assertTrue(federation.voucherSpent(ID));
        assertTrue(_view(ADA).member);
    }

    function test_OnlyTheOwnerRevokes() public {
        vm.prank(_signer);
        federation.setOperator(OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotTheOwner.selector, _signer, OPERATOR));
        vm.prank(OPERATOR);
        federation.revokeVoucher(ID);
    }

    function test_NoVoucherOpensAClosedFederation() public {
        vm.prank(_signer);
        federation.close();
        _refusesWith(ADA, _voucherFor(ADA), abi.encodeWithSelector(IFederation.FederationIsClosed.selector));
        assertFalse(federation.voucherSpent(ID));
    }

    function test_AVoucherIsSpentBySignedRegistrationToo() public {
        uint40 deadline = uint40(block.timestamp + 100);
        IFederation.Signature memory signature = _signCompact(ADA_KEY, _registrationHash(0, deadline));
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        vm.prank(STRANGER);
        federation.registerSigned(ADA, deadline, signature, voucher);
        assertTrue(_view(ADA).member);
        assertTrue(federation.voucherSpent(ID));
        _refusesAsSpent(BOB, ID);
    }

    function test_ASpentOrExpiredVoucherHelpsNoSignedRegistration() public {
        uint40 deadline = type(uint40).max;
        IFederation.Signature memory signature = _signCompact(ADA_KEY, _registrationHash(0, deadline));
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        vm.warp(EXPIRY);
        vm.expectRevert(abi.encodeWithSelector(IFederation.VoucherExpired.selector, EXPIRY, EXPIRY));
        federation.registerSigned(ADA, deadline, signature, voucher);
        vm.warp(START);
        _admit(BOB, ID);
        vm.expectRevert(abi.encodeWithSelector(IFederation.VoucherSpent.selector, ID));
        federation.registerSigned(ADA, deadline, signature, voucher);
    }

    // ------------------------------------------------------------------------------------------------- signature

    /// @dev From the words of EIP-712 alone.
    function testFuzz_TheDigestIsThatOfTheStandard(address client, uint256 id, uint40 expiry) public view {
        bytes32 type_ = keccak256("Voucher(address client,uint256 id,uint40 expiry,uint32 ownerNonce)");
        bytes32 voucher = keccak256(abi.encode(type_, client, id, expiry, federation.ownerNonce()));
        assertEq(federation.voucherDigest(client, id, expiry), _typedHash(voucher));
    }

    function test_AVoucherIsGoodForNobodyElse() public {
        _refuses(BOB, _voucherFor(ADA));
    }

    function test_AVoucherIsGoodUnderNoOtherId() public {
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        voucher.id = ID + 1;
        _refuses(ADA, voucher);
    }

    function test_AVoucherIsGoodForNoLongerThanSigned() public {
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        voucher.expiry = EXPIRY + 1;
        _refuses(ADA, voucher);
    }

    function test_AVoucherIsGoodInNoOtherFederation() public {
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        _create();
        _appoint(_signer);
        _refuses(ADA, voucher);
    }

    function test_AVoucherIsGoodOnNoOtherChain() public {
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        vm.chainId(block.chainid + 1);
        _refuses(ADA, voucher);
    }

    function test_OnlyTheOwnersSignatureCounts() public {
        _refuses(ADA, _voucher(SIGNER_KEY + 1, ADA, ID, EXPIRY));
        _refuses(ADA, _voucher(ADA_KEY, ADA, ID, EXPIRY));
    }

    function testFuzz_NoOtherBytesAreASignature(bytes calldata signature) public {
        _refuses(ADA, IFederation.Voucher(ID, EXPIRY, signature));
    }

    function test_AMalleatedSignatureIsNone() public {
        bytes32 digest = federation.voucherDigest(ADA, ID, EXPIRY);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, digest);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes memory other = abi.encodePacked(r, order - uint256(s), v == 27 ? uint8(28) : uint8(27));
        _refuses(ADA, IFederation.Voucher(ID, EXPIRY, other));
    }

    // ----------------------------------------------------------------------------------------------- former owners

    function test_ANewOwnerDoesNotHonourTheOldOnesVouchers() public {
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        _handOver(_signer, STRANGER);
        _refusesWith(ADA, voucher, abi.encodeWithSelector(IFederation.InvalidVoucher.selector, STRANGER, ADA));
    }

    /// @dev Even when it owns the federation again, what it signed before is dead; what it signs now counts.
    function test_AFormerOwnersVouchersAreDeadForGood() public {
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        _handOver(_signer, STRANGER);
        _handOver(STRANGER, _signer);
        assertEq(federation.owner(), _signer);
        _refuses(ADA, voucher);
        _admit(ADA, ID);
        assertTrue(_view(ADA).member);
    }

    function test_WhatWasSignedForALaterOwnershipIsNotGoodBefore() public {
        uint32 nonce = federation.ownerNonce() + 2;
        bytes32 type_ = keccak256("Voucher(address client,uint256 id,uint40 expiry,uint32 ownerNonce)");
        bytes memory signature = _sign(SIGNER_KEY, _typedHash(keccak256(abi.encode(type_, ADA, ID, EXPIRY, nonce))));
        _refuses(ADA, IFederation.Voucher(ID, EXPIRY, signature));
    }

    function test_WhatWasSpentStaysSpentUnderANewOwner() public {
        _admit(ADA, ID);
        _handOver(_signer, STRANGER);
        assertTrue(federation.voucherSpent(ID));
        _handOver(STRANGER, _signer);
        _refusesAsSpent(BOB, ID);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _appoint(address owner) internal {
        if (federation.owner() != owner) _handOver(OWNER, owner);
    }

    function _refuses(address client, IFederation.Voucher memory voucher) internal {
        _refusesWith(client, voucher, abi.encodeWithSelector(IFederation.InvalidVoucher.selector, _signer, client));
    }

    function _refusesAsSpent(address client, uint256 id) private {
        _refusesWith(
            client, _voucherFor(client, id, EXPIRY), abi.encodeWithSelector(IFederation.VoucherSpent.selector, id)
        );
    }

    function _refusesWith(address client, IFederation.Voucher memory voucher, bytes memory error) private {
        vm.expectRevert(error);
        vm.prank(client);
        federation.registerWithVoucher(voucher);
    }

    function _admit(address client, uint256 id) internal returns (uint24 index) {
        IFederation.Voucher memory voucher = _voucherFor(client, id, EXPIRY);
        vm.prank(client);
        return federation.registerWithVoucher(voucher);
    }

    function _voucherFor(address client) internal view returns (IFederation.Voucher memory) {
        return _voucherFor(client, ID, EXPIRY);
    }

    function _voucherFor(address client, uint256 id, uint40 expiry) internal view returns (IFederation.Voucher memory) {
        return _voucher(SIGNER_KEY, client, id, expiry);
    }
}

/// @title An owner with a key.
contract KeyVouchersTest is VouchersTest {
    function _prepareOwner() internal pure override returns (address) {
        return vm.addr(SIGNER_KEY);
    }
}

/// @title An owner with a key whose account runs code that knows no ERC-1271: the key still signs.
contract DelegatedVouchersTest is VouchersTest {
    function _prepareOwner() internal override returns (address account) {
        account = vm.addr(SIGNER_KEY);
        vm.etch(account, abi.encodePacked(hex"ef0100", address(new Delegate())));
    }

    function test_TheAccountRunsItsCode() public {
        Receiver(payable(_signer)).perform(address(federation), abi.encodeCall(federation.pause, ()));
        assertTrue(federation.paused());
    }

    /// @dev ... and where the code does know ERC-1271, what it answers counts too.
    function test_TheCodeMaySignAsWell() public {
        address wallet = address(new Wallet(BOB));
        vm.etch(_signer, abi.encodePacked(hex"ef0100", wallet));
        Wallet(payable(_signer)).setSigner(BOB);
        IFederation.Voucher memory voucher = _voucher(BOB_KEY, ADA, 1, type(uint40).max);
        vm.prank(ADA);
        federation.registerWithVoucher(voucher);
        _admit(BOB, 2);
        _assertMembers(_list(ADA, BOB));
    }
}

/// @title An owner that is a contract, which answers for its signer.
contract WalletVouchersTest is VouchersTest {
    function _prepareOwner() internal override returns (address) {
        return address(new Wallet(vm.addr(SIGNER_KEY)));
    }

    function test_TheContractDecidesWhoseSignatureItIs() public {
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        Wallet(payable(_signer)).setSigner(BOB);
        _refuses(ADA, voucher);
        voucher = _voucher(BOB_KEY, ADA, 1, type(uint40).max);
        vm.prank(ADA);
        federation.registerWithVoucher(voucher);
        assertTrue(_view(ADA).member);
    }

    function test_AContractWithoutAnAnswerSignsNothing() public {
        IFederation.Voucher memory voucher = _voucherFor(ADA);
        vm.etch(_signer, address(new Receiver()).code);
        _refuses(ADA, voucher);
    }
}
