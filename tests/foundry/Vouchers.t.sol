// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Wallet} from "../../contracts/mocks/Wallet.sol";
import {Base} from "./Base.sol";

/// @title Admission by voucher: signed by the owner, for one client, one federation and one registration.
contract VouchersTest is Base {
    uint256 private constant ID = 7;
    uint40 private constant EXPIRY = uint40(START + 1000);

    function setUp() public override {
        terms.admission = IFederation.Admission.Voucher;
        super.setUp();
    }

    function test_AVoucherAdmitsItsClient() public {
        bytes memory signature = _voucher(ADA);
        vm.expectEmit(address(federation));
        emit IFederation.Registered(ADA, 0);
        vm.prank(ADA);
        assertEq(federation.registerWithVoucher(ID, EXPIRY, signature), 0);

        assertTrue(_view(0, ADA).member);
        assertTrue(federation.voucherSpent(ID));
        assertFalse(federation.voucherSpent(ID + 1));
    }

    function test_EveryVoucherGivesItsOwnIndex() public {
        _admit(ADA, 1);
        assertEq(_admit(BOB, 2), 1);
    }

    function test_TheStakeIsTakenWithAVoucherToo() public {
        terms.stake = 5;
        _create();
        bytes memory signature = _voucher(ADA);
        vm.deal(ADA, 6);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, 5, 6));
        vm.prank(ADA);
        federation.registerWithVoucher{value: 6}(ID, EXPIRY, signature);

        vm.prank(ADA);
        federation.registerWithVoucher{value: 5}(ID, EXPIRY, signature);
        assertEq(_view(0, ADA).stake, 5);
    }

    // ------------------------------------------------------------------------------------------------------ time

    function test_AVoucherIsGoodBeforeItsExpiry() public {
        vm.warp(EXPIRY - 1);
        _admit(ADA, ID);
        assertTrue(_view(0, ADA).member);
    }

    function test_AVoucherExpires() public {
        vm.warp(EXPIRY);
        bytes memory signature = _voucher(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.VoucherExpired.selector, EXPIRY, EXPIRY));
        vm.prank(ADA);
        federation.registerWithVoucher(ID, EXPIRY, signature);
    }

    // ------------------------------------------------------------------------------------------------ single use

    function test_AVoucherIsSpentOnce() public {
        _admit(ADA, ID);
        _leave(ADA);
        bytes memory signature = _voucher(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.VoucherSpent.selector, ID));
        vm.prank(ADA);
        federation.registerWithVoucher(ID, EXPIRY, signature);
    }

    function test_AnIdIsSpentForEveryClient() public {
        _admit(ADA, ID);
        bytes memory signature = _voucher(BOB);
        vm.expectRevert(abi.encodeWithSelector(IFederation.VoucherSpent.selector, ID));
        vm.prank(BOB);
        federation.registerWithVoucher(ID, EXPIRY, signature);
    }

    function test_AMemberKeepsItsSecondVoucher() public {
        _admit(ADA, 1);
        bytes memory signature = _voucher(ADA, 2, EXPIRY);
        vm.expectRevert(abi.encodeWithSelector(IFederation.AlreadyRegistered.selector, ADA, 0));
        vm.prank(ADA);
        federation.registerWithVoucher(2, EXPIRY, signature);
        assertFalse(federation.voucherSpent(2));

        _leave(ADA);
        vm.prank(ADA);
        assertEq(federation.registerWithVoucher(2, EXPIRY, signature), 1);
    }

    function test_ARevokedVoucherAdmitsNobody() public {
        vm.expectEmit(address(federation));
        emit IFederation.VoucherRevoked(ID);
        vm.prank(OWNER);
        federation.revokeVoucher(ID);
        assertTrue(federation.voucherSpent(ID));

        bytes memory signature = _voucher(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.VoucherSpent.selector, ID));
        vm.prank(ADA);
        federation.registerWithVoucher(ID, EXPIRY, signature);
    }

    function test_AnIdMayBeRevokedAgain() public {
        _admit(ADA, ID);
        vm.prank(OWNER);
        federation.revokeVoucher(ID);
        assertTrue(federation.voucherSpent(ID));
        assertTrue(_view(0, ADA).member);
    }

    function test_OnlyTheOwnerRevokes() public {
        vm.prank(OWNER);
        federation.setOperator(OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, OPERATOR));
        vm.prank(OPERATOR);
        federation.revokeVoucher(ID);
    }

    function test_NoVoucherOpensAClosedFederation() public {
        vm.prank(OWNER);
        federation.close();
        bytes memory signature = _voucher(ADA);
        vm.expectRevert(IFederation.FederationIsClosed.selector);
        vm.prank(ADA);
        federation.registerWithVoucher(ID, EXPIRY, signature);
    }

    // ------------------------------------------------------------------------------------------------- signature

    /// @dev From the words of EIP-712 alone.
    function testFuzz_TheDigestIsThatOfTheStandard(address client, uint256 id, uint40 expiry) public view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Koinon"),
                keccak256("1"),
                block.chainid,
                address(federation)
            )
        );
        bytes32 voucher =
            keccak256(abi.encode(keccak256("Voucher(address client,uint256 id,uint40 expiry)"), client, id, expiry));
        assertEq(federation.voucherDigest(client, id, expiry), keccak256(abi.encodePacked("\x19\x01", domain, voucher)));
    }

    function test_TheDomainIsThatOfTheFederation() public view {
        (bytes1 fields, string memory name, string memory version, uint256 chain, address verifier, bytes32 salt,) =
            federation.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "Koinon");
        assertEq(version, "1");
        assertEq(chain, block.chainid);
        assertEq(verifier, address(federation));
        assertEq(salt, 0);
    }

    function test_AVoucherIsGoodForNobodyElse() public {
        _refuses(BOB, ID, EXPIRY, _voucher(ADA));
    }

    function test_AVoucherIsGoodUnderNoOtherId() public {
        _refuses(ADA, ID + 1, EXPIRY, _voucher(ADA));
    }

    function test_AVoucherIsGoodForNoLongerThanSigned() public {
        _refuses(ADA, ID, EXPIRY + 1, _voucher(ADA));
    }

    function test_AVoucherIsGoodInNoOtherFederation() public {
        bytes memory signature = _voucher(ADA);
        _create();
        _refuses(ADA, ID, EXPIRY, signature);
    }

    function test_AVoucherIsGoodOnNoOtherChain() public {
        bytes memory signature = _voucher(ADA);
        vm.chainId(block.chainid + 1);
        _refuses(ADA, ID, EXPIRY, signature);
    }

    function test_OnlyTheOwnersSignatureCounts() public {
        bytes32 digest = federation.voucherDigest(ADA, ID, EXPIRY);
        _refuses(ADA, ID, EXPIRY, _sign(OWNER_KEY + 1, digest));
    }

    function test_ANewOwnerDoesNotHonourTheOldOnesVouchers() public {
        bytes memory signature = _voucher(ADA);
        vm.prank(OWNER);
        federation.transferOwnership(STRANGER);
        vm.prank(STRANGER);
        federation.acceptOwnership();
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidVoucher.selector, STRANGER, ADA));
        vm.prank(ADA);
        federation.registerWithVoucher(ID, EXPIRY, signature);
    }

    function testFuzz_NoOtherBytesAreASignature(bytes calldata signature) public {
        _refuses(ADA, ID, EXPIRY, signature);
    }

    function test_AMalleatedSignatureIsNone() public {
        bytes32 digest = federation.voucherDigest(ADA, ID, EXPIRY);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(OWNER_KEY, digest);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        _refuses(ADA, ID, EXPIRY, abi.encodePacked(r, order - uint256(s), v == 27 ? uint8(28) : uint8(27)));
    }

    function test_AContractWalletSignsByItsOwnRule() public {
        Wallet wallet = new Wallet(vm.addr(0xA));
        _handOver(wallet);
        bytes32 digest = federation.voucherDigest(ADA, ID, EXPIRY);
        vm.prank(ADA);
        federation.registerWithVoucher(ID, EXPIRY, _sign(0xA, digest));
        assertTrue(_view(0, ADA).member);
    }

    function test_AContractWalletRefusesWhatItsSignerDidNotSign() public {
        Wallet wallet = new Wallet(vm.addr(0xA));
        _handOver(wallet);
        bytes memory signature = _sign(0xB, federation.voucherDigest(ADA, ID, EXPIRY));
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidVoucher.selector, address(wallet), ADA));
        vm.prank(ADA);
        federation.registerWithVoucher(ID, EXPIRY, signature);
    }

    function _handOver(Wallet wallet) private {
        vm.prank(OWNER);
        federation.transferOwnership(address(wallet));
        wallet.perform(address(federation), abi.encodeCall(federation.acceptOwnership, ()));
    }

    function _refuses(address client, uint256 id, uint40 expiry, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidVoucher.selector, OWNER, client));
        vm.prank(client);
        federation.registerWithVoucher(id, expiry, signature);
    }

    function _admit(address client, uint256 id) private returns (uint32 index) {
        bytes memory signature = _voucher(client, id, EXPIRY);
        vm.prank(client);
        return federation.registerWithVoucher(id, EXPIRY, signature);
    }

    function _voucher(address client) private view returns (bytes memory) {
        return _voucher(client, ID, EXPIRY);
    }

    function _voucher(address client, uint256 id, uint40 expiry) private view returns (bytes memory) {
        return _sign(OWNER_KEY, federation.voucherDigest(client, id, expiry));
    }

    function _sign(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }
}
