// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title Registering and leaving by signature, for clients without coins: each signature counts once, for one round.
contract SignedTest is Base {
    uint40 private constant DEADLINE = uint40(START + 10_000);

    function test_ASignatureRegistersItsClient() public {
        vm.expectEmit(address(federation));
        emit IFederation.Registered(ADA, 0);
        assertEq(_registerSigned(ADA_KEY), 0);
        _registerSigned(BOB_KEY);
        _assertMembers(_list(ADA, BOB));
        assertEq(ADA.balance, 0);
    }

    function test_ASignatureAndAVoucherRegisterWhereAVoucherIsNeeded() public {
        terms.admission = IFederation.Admission.Voucher;
        _create();
        IFederation.Voucher memory voucher = _voucher(OWNER_KEY, ADA, 5, DEADLINE);
        vm.prank(STRANGER);
        assertEq(federation.registerSigned(ADA, DEADLINE, _registration(ADA_KEY), voucher), 0);
        assertTrue(federation.voucherSpent(5));
        assertTrue(_view(ADA).member);
    }

    function test_AVoucherForAnotherAdmitsNoSigner() public {
        terms.admission = IFederation.Admission.Voucher;
        _create();
        IFederation.Voucher memory voucher = _voucher(OWNER_KEY, BOB, 5, DEADLINE);
        IFederation.Signature memory signature = _registration(ADA_KEY);
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidVoucher.selector, OWNER, ADA));
        federation.registerSigned(ADA, DEADLINE, signature, voucher);
    }

    function test_WithoutAVoucherNobodyRegistersWhereOneIsNeeded() public {
        terms.admission = IFederation.Admission.Voucher;
        _create();
        _refusesToRegister(
            ADA_KEY,
            abi.encodeWithSelector(
                IFederation.WrongAdmission.selector, IFederation.Admission.Voucher, IFederation.Admission.Open
            )
        );
    }

    function test_WhereAdmissionIsOpenAVoucherIsWrong() public {
        IFederation.Voucher memory voucher = _voucher(OWNER_KEY, ADA, 5, DEADLINE);
        IFederation.Signature memory signature = _registration(ADA_KEY);
        vm.expectRevert(
            abi.encodeWithSelector(
                IFederation.WrongAdmission.selector, IFederation.Admission.Open, IFederation.Admission.Voucher
            )
        );
        federation.registerSigned(ADA, DEADLINE, signature, voucher);
    }

    function test_NobodyStakesForAnother() public {
        (terms.stake, terms.maxSlashRate) = (100, 10_000);
        _create();
        _refusesToRegister(ADA_KEY, abi.encodeWithSelector(IFederation.StakeNeedsItsOwner.selector, 100));
    }

    function test_NobodyIsAMemberTwice() public {
        _register(ADA);
        _refusesToRegister(ADA_KEY, abi.encodeWithSelector(IFederation.AlreadyRegistered.selector, ADA, 0));
    }

    function test_NoSignatureOpensAClosedFederation() public {
        _close();
        _refusesToRegister(ADA_KEY, abi.encodeWithSelector(IFederation.FederationIsClosed.selector));
    }

    function test_ASignatureIsGoodBeforeItsDeadline() public {
        IFederation.Signature memory registration = _registration(ADA_KEY);
        vm.warp(DEADLINE - 1);
        uint256 state = vm.snapshotState();
        federation.registerSigned(ADA, DEADLINE, registration, _noVoucher());
        vm.revertToState(state);
        vm.warp(DEADLINE);
        vm.expectRevert(abi.encodeWithSelector(IFederation.SignatureExpired.selector, DEADLINE, DEADLINE));
        federation.registerSigned(ADA, DEADLINE, registration, _noVoucher());
    }

    function test_OnlyWhatTheClientSignedRegistersIt() public {
        IFederation.Signature memory ada = _registration(ADA_KEY);
        bytes memory error = abi.encodeWithSelector(IFederation.InvalidSignature.selector, BOB, 0);
        vm.expectRevert(error);
        federation.registerSigned(BOB, DEADLINE, ada, _noVoucher());
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidSignature.selector, ADA, 0));
        federation.registerSigned(ADA, DEADLINE + 1, ada, _noVoucher());
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidSignature.selector, address(0), 0));
        federation.registerSigned(address(0), DEADLINE, IFederation.Signature(0, 0), _noVoucher());
    }

    function test_ASignatureIsGoodInNoOtherFederationAndOnNoOtherChain() public {
        IFederation.Signature memory signature = _registration(ADA_KEY);
        uint256 state = vm.snapshotState();
        _create();
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidSignature.selector, ADA, 0));
        federation.registerSigned(ADA, DEADLINE, signature, _noVoucher());
        vm.revertToState(state);
        vm.chainId(block.chainid + 1);
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidSignature.selector, ADA, 0));
        federation.registerSigned(ADA, DEADLINE, signature, _noVoucher());
    }

    /// @dev A signature to register is none to leave, and the other way round.
    function test_EachSignatureIsForItsOwnCall() public {
        IFederation.Signature memory registration = _registration(ADA_KEY);
        IFederation.Signature memory leaving = _leaving(BOB_KEY, BOB);
        _register(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidSignature.selector, ADA, 0));
        federation.leaveSigned(ADA, payable(ADA), DEADLINE, registration);
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidSignature.selector, BOB, 0));
        federation.registerSigned(BOB, DEADLINE, leaving, _noVoucher());
    }

    function test_ASignatureIsGoodUntilTheNextRoundOpens() public {
        _register(BOB);
        IFederation.Signature memory before = _registration(ADA_KEY);
        _open();
        IFederation.Signature memory within = _registration(ADA_KEY);
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidSignature.selector, ADA, 1));
        federation.registerSigned(ADA, DEADLINE, before, _noVoucher());
        _abandon();
        assertEq(federation.registerSigned(ADA, DEADLINE, within, _noVoucher()), 1);
    }

    // ------------------------------------------------------------------------------------------------------ leaving

    function test_ASignatureEndsItsClientsMembership() public {
        _register(ADA);
        _register(BOB);
        _open();
        _submit(ADA, 1000);
        _finalize();
        vm.expectEmit(address(federation));
        emit IFederation.Left(ADA, 0, BOB, false);
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, PURSE, WAGE, 0);
        assertEq(_leaveSigned(ADA_KEY, PURSE), WAGE);
        assertEq(PURSE.balance, WAGE);
        _assertMembers(_list(BOB));
    }

    function test_AStakeIsReturnedToWhereTheClientSigned() public {
        (terms.stake, terms.maxSlashRate) = (100, 10_000);
        _create();
        _register(ADA);
        IFederation.Signature memory signature = _leaving(ADA_KEY, PURSE);
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidSignature.selector, ADA, 0));
        vm.prank(STRANGER);
        federation.leaveSigned(ADA, payable(STRANGER), DEADLINE, signature);

        vm.prank(STRANGER);
        assertEq(federation.leaveSigned(ADA, payable(PURSE), DEADLINE, signature), 100);
        assertEq(PURSE.balance, 100);
        assertEq(_stakeOf(ADA), 0);
    }

    function test_NobodyLeavesToNowhereBySignature() public {
        _register(ADA);
        IFederation.Signature memory signature = _leaving(ADA_KEY, address(0));
        vm.expectRevert(_zeroValue("to"));
        federation.leaveSigned(ADA, payable(0), DEADLINE, signature);
    }

    function test_WhoIsNoMemberCannotLeaveBySignature() public {
        IFederation.Signature memory signature = _leaving(ADA_KEY, ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotRegistered.selector, ADA));
        federation.leaveSigned(ADA, payable(ADA), DEADLINE, signature);
    }

    function test_ALeavingIsGoodBeforeItsDeadline() public {
        _register(ADA);
        IFederation.Signature memory signature = _leaving(ADA_KEY, ADA);
        vm.warp(DEADLINE);
        vm.expectRevert(abi.encodeWithSelector(IFederation.SignatureExpired.selector, DEADLINE, DEADLINE));
        federation.leaveSigned(ADA, payable(ADA), DEADLINE, signature);
        vm.warp(DEADLINE - 1);
        federation.leaveSigned(ADA, payable(ADA), DEADLINE, signature);
        assertEq(federation.memberCount(), 0);
    }

    function test_OnlyWhatTheClientSignedEndsItsMembership() public {
        _register(ADA);
        _register(BOB);
        IFederation.Signature memory signature = _leaving(BOB_KEY, BOB);
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidSignature.selector, ADA, 0));
        federation.leaveSigned(ADA, payable(BOB), DEADLINE, signature);
        assertEq(federation.memberCount(), 2);
    }

    function test_LeavingByASignatureWithAnUpdateInTheLiveRoundPaysLater() public {
        _register(ADA);
        _register(BOB);
        _open();
        _submit(ADA, 1000);
        IFederation.Signature memory signature = _leaving(ADA_KEY, PURSE);
        assertEq(federation.leaveSigned(ADA, payable(PURSE), DEADLINE, signature), 0);
        vm.expectRevert(abi.encodeWithSelector(IFederation.UpdateIsLive.selector, 1));
        federation.leaveSigned(ADA, payable(PURSE), DEADLINE, signature);
        _finalize();
        assertEq(federation.leaveSigned(ADA, payable(PURSE), DEADLINE, signature), WAGE, "the same wish, fulfilled");
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotRegistered.selector, ADA));
        federation.leaveSigned(ADA, payable(PURSE), DEADLINE, signature);
    }

    // ------------------------------------------------------------------------------------------------------ replays

    function test_WhoLeftIsNotRegisteredAgainByWhatItSignedBefore() public {
        IFederation.Signature memory registration = _registration(ADA_KEY);
        federation.registerSigned(ADA, DEADLINE, registration, _noVoucher());
        _leave(ADA);
        _refusesAsSpent(registration, 0);
    }

    function test_WhoLeftBySignatureIsNotRegisteredAgainByWhatItSignedBefore() public {
        IFederation.Signature memory registration = _registration(ADA_KEY);
        federation.registerSigned(ADA, DEADLINE, registration, _noVoucher());
        _leaveSigned(ADA_KEY, ADA);
        _refusesAsSpent(registration, 0);
    }

    function test_WhoLeftIsNotRegisteredByWhatItNeverUsed() public {
        _register(BOB);
        _open();
        _register(ADA);
        IFederation.Signature memory registration = _registration(ADA_KEY);
        _leave(ADA);
        _refusesAsSpent(registration, 1);
        _register(ADA);
        _refusesAsSpent(registration, 1);
        _leave(ADA);
        _refusesAsSpent(registration, 1);
    }

    function test_WhoRegisteredAgainIsNotMadeToLeaveByWhatItSignedBefore() public {
        _register(ADA);
        _register(BOB);
        _open();
        IFederation.Signature memory leaving = _leaving(ADA_KEY, ADA);
        federation.leaveSigned(ADA, payable(ADA), DEADLINE, leaving);
        _register(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.SignatureSpent.selector, ADA, 1));
        federation.leaveSigned(ADA, payable(ADA), DEADLINE, leaving);
        assertTrue(_view(ADA).member);
    }

    /// @dev Where there is a stake the slot is kept after a signed leaving only; that is what has a signature to spend.
    function test_WithAStakeToo() public {
        (terms.stake, terms.maxSlashRate) = (100, 10_000);
        _create();
        _register(ADA);
        _register(BOB);
        _open();
        IFederation.Signature memory leaving = _leaving(ADA_KEY, ADA);
        assertEq(federation.leaveSigned(ADA, payable(ADA), DEADLINE, leaving), 100);
        _register(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.SignatureSpent.selector, ADA, 1));
        federation.leaveSigned(ADA, payable(ADA), DEADLINE, leaving);
        assertEq(_stakeOf(ADA), 100);
    }

    function test_WhoLeftWithAnUpdateIsNotRegisteredAgainByASignatureOfThatRound() public {
        _register(ADA);
        _register(BOB);
        _open();
        IFederation.Signature memory registration = _registration(ADA_KEY);
        _submit(ADA, 1000);
        _leave(ADA);
        _refusesAsSpent(registration, 1);
        _finalize();
        _refusesAsSpent(registration, 1);
        _register(ADA);
        _refusesAsSpent(registration, 1);
        assertEq(_owed(ADA), WAGE);
    }

    /// @dev From the next round on a new signature counts again.
    function test_InTheNextRoundSignaturesCountAgain() public {
        _register(ADA);
        _register(BOB);
        _open();
        _leave(ADA);
        _abandon();
        _open();
        vm.expectEmit(address(federation));
        emit IFederation.Registered(ADA, 1);
        assertEq(_registerSigned(ADA_KEY), 1);
        _leaveSigned(ADA_KEY, ADA);
        assertEq(federation.memberCount(), 1);
    }

    function test_WhoRegisteredAgainLeavesBySignatureFromTheNextRoundOn() public {
        _register(ADA);
        _register(BOB);
        _open();
        _leave(ADA);
        _register(ADA);
        _abandon();
        _open();
        assertEq(_leaveSigned(ADA_KEY, ADA), 0);
        assertFalse(_view(ADA).member);
    }

    /// @dev Another's departure spends nobody's signatures: it only moves who stands last.
    function test_BeingMovedSpendsNoSignature() public {
        _registerThree();
        _open();
        _leave(CYD);
        _register(CYD); // again, in round 1
        _abandon();
        _open();
        _leave(ADA); // Cyd moves, in round 2
        assertEq(_view(CYD).index, 0);
        vm.expectEmit(address(federation));
        emit IFederation.Left(CYD, 0, BOB, false);
        _leaveSigned(CYD_KEY, CYD);
    }

    function test_NothingThatWasSignedForARoundIsTakenFromWhoCameBackInIt() public {
        _register(ADA);
        _register(BOB);
        _open();
        IFederation.SignedUpdate[] memory signed = _batch(_signedUpdate(ADA_KEY, 1000));
        _leave(ADA);
        _register(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NothingAccepted.selector, 1, 1));
        federation.submitUpdates(1, _keyOf(1), signed);
    }

    /// @dev Before the first round the round is 0, and all of this holds for it too.
    function test_ANewcomersSignatureIsNotSpentBeforeTheFirstRound() public {
        _registerSigned(ADA_KEY);
        _leaveSigned(ADA_KEY, ADA);
        _refusesAsSpent(_registration(ADA_KEY), 0);
        assertEq(_registerSigned(BOB_KEY), 0);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _registration(uint256 key) private view returns (IFederation.Signature memory) {
        return _signCompact(key, _registrationHash(federation.roundCount(), DEADLINE));
    }

    function _leaving(uint256 key, address to) private view returns (IFederation.Signature memory) {
        return _signCompact(key, _leavingHash(federation.roundCount(), to, DEADLINE));
    }

    function _registerSigned(uint256 key) private returns (uint24) {
        IFederation.Signature memory signature = _registration(key);
        vm.prank(STRANGER);
        return federation.registerSigned(vm.addr(key), DEADLINE, signature, _noVoucher());
    }

    function _leaveSigned(uint256 key, address to) private returns (uint256) {
        IFederation.Signature memory signature = _leaving(key, to);
        vm.prank(STRANGER);
        return federation.leaveSigned(vm.addr(key), payable(to), DEADLINE, signature);
    }

    function _refusesToRegister(uint256 key, bytes memory error) private {
        IFederation.Signature memory signature = _registration(key);
        vm.expectRevert(error);
        federation.registerSigned(vm.addr(key), DEADLINE, signature, _noVoucher());
    }

    function _refusesAsSpent(IFederation.Signature memory registration, uint24 round) private {
        vm.expectRevert(abi.encodeWithSelector(IFederation.SignatureSpent.selector, ADA, round));
        federation.registerSigned(ADA, DEADLINE, registration, _noVoucher());
    }
}
