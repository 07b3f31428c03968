// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {OddToken} from "../../contracts/mocks/OddToken.sol";
import {Receiver} from "../../contracts/mocks/Receiver.sol";
import {Base} from "./Base.sol";

/// @title Whoever is called while money moves can call nothing that moves money.
/// @notice The token is a member of the federation that it serves, with a stake that `leave` returns, but for the lock.
contract ReentrancyTest is Base {
    uint128 private constant STAKE = 100;

    OddToken private _odd;

    function setUp() public override {
        _odd = new OddToken();
        (terms.asset, terms.stake, terms.maxSlashRate) = (address(_odd), STAKE, 10_000);
        super.setUp();
        _register(address(_odd));
        _register(ADA);
    }

    function test_WhileAClientRegisters() public {
        _endow(BOB, STAKE);
        _isLocked(BOB, abi.encodeCall(federation.register, ()));
        assertTrue(_view(BOB).member);
    }

    function test_WhileAClientRegistersWithAVoucher() public {
        terms.admission = IFederation.Admission.Voucher;
        _create();
        _endow(address(_odd), STAKE);
        _endow(BOB, STAKE);
        bytes memory call = _registration(address(_odd));
        vm.prank(address(_odd));
        (bool success,) = address(federation).call(call);
        assertTrue(success);

        _isLocked(BOB, _registration(BOB));
        assertTrue(_view(BOB).member);
    }

    function test_WhileAClientLeaves() public {
        _isLocked(ADA, abi.encodeCall(federation.leave, (payable(ADA))));
        assertEq(_odd.balanceOf(ADA), STAKE);
    }

    function test_WhileARoundOpens() public {
        _endow(OWNER, REWARD);
        _isLocked(OWNER, abi.encodeCall(federation.openRound, (_roundTerms(), bytes20(0))));
        assertEq(federation.roundCount(), 1);
    }

    function test_WhileSomebodyFunds() public {
        _endow(STRANGER, 5);
        _isLocked(STRANGER, abi.encodeCall(federation.fund, (5)));
        assertEq(federation.carried(), 5);
    }

    function test_WhileAClientClaims() public {
        _finalizedRound();
        _isLocked(ADA, abi.encodeCall(federation.claim, (payable(ADA))));
        assertEq(_odd.balanceOf(ADA), WAGE);
    }

    function test_WhileAClientIsPaid() public {
        _finalizedRound();
        _isLocked(STRANGER, abi.encodeCall(federation.claimFor, (payable(ADA))));
        assertEq(_odd.balanceOf(ADA), WAGE);
    }

    function test_WhileTheOwnerWithdraws() public {
        _finalizedRound();
        _close();
        _isLocked(OWNER, abi.encodeCall(federation.withdraw, (payable(OWNER))));
        assertEq(_odd.balanceOf(OWNER), REWARD - WAGE);
    }

    function test_WhileAClientLeavesBySignature() public {
        _register(BOB);
        uint40 deadline = uint40(block.timestamp + 100);
        IFederation.Signature memory signature = _signCompact(BOB_KEY, _leavingHash(0, BOB, deadline));
        _isLocked(STRANGER, abi.encodeCall(federation.leaveSigned, (BOB, payable(BOB), deadline, signature)));
        assertEq(_odd.balanceOf(BOB), STAKE);
    }

    /// @dev While coins arrive at one client, nothing that moves money can be called: neither for it nor for another.
    function test_WhileCoinsArrive() public {
        (terms.asset, terms.stake, terms.maxSlashRate) = (address(0), 0, 0);
        _create();
        Receiver receiver = new Receiver();
        _register(address(receiver));
        _register(ADA);
        _open();
        _submit(address(receiver), 1000);
        _submit(ADA, 1000);
        _finalize();

        bytes memory second = abi.encodeCall(federation.claimFor, (payable(ADA)));
        receiver.prepare(address(federation), second);
        receiver.perform(address(federation), abi.encodeCall(federation.claim, (payable(address(receiver)))));
        assertEq(receiver.returned(), _lockedError());
        assertEq(address(receiver).balance, WAGE);
        assertEq(ADA.balance, 0);
        receiver.perform(address(federation), second);
        assertEq(ADA.balance, WAGE, "on its own it succeeds");
    }

    /// @dev Registering by signature moves nothing, and is locked all the same.
    function test_RegisteringBySignatureIsLockedToo() public {
        (terms.asset, terms.stake, terms.maxSlashRate) = (address(0), 0, 0);
        _create();
        Receiver receiver = new Receiver();
        _register(address(receiver));
        _open();
        _submit(address(receiver), 1000);
        _finalize();
        uint40 deadline = uint40(block.timestamp + 100);
        IFederation.Signature memory signature = _signCompact(BOB_KEY, _registrationHash(1, deadline));
        bytes memory call = abi.encodeCall(federation.registerSigned, (BOB, deadline, signature, _noVoucher()));
        receiver.prepare(address(federation), call);
        federation.claimFor(payable(address(receiver)));
        assertEq(receiver.returned(), _lockedError());
        receiver.perform(address(federation), call);
        assertTrue(_view(BOB).member);
    }

    /// @dev The token tries to leave while the call is under way and cannot; afterwards it may.
    function _isLocked(address caller, bytes memory call) private {
        bytes memory leave = abi.encodeCall(federation.leave, (payable(PURSE)));
        _odd.prepare(address(federation), leave, false);
        vm.expectCall(address(federation), leave, 2);
        vm.prank(caller);
        (bool success,) = address(federation).call(call);
        assertTrue(success, "the call itself");
        assertEq(_odd.returned(), _lockedError());
        assertEq(_odd.balanceOf(PURSE), 0);

        vm.prank(address(_odd));
        assertEq(federation.leave(payable(PURSE)), STAKE, "on its own it succeeds");
    }

    function _lockedError() private pure returns (bytes memory) {
        return abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
    }

    /// @dev Ada is paid a wage.
    function _finalizedRound() private {
        _open();
        _submit(ADA, 1000);
        _finalize();
    }

    function _registration(address client) private view returns (bytes memory) {
        IFederation.Voucher memory voucher = _voucher(OWNER_KEY, client, uint160(client), type(uint40).max);
        return abi.encodeCall(federation.registerWithVoucher, (voucher));
    }
}
