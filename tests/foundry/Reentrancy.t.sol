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
        assertTrue(_view(0, BOB).member);
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
        assertTrue(_view(0, BOB).member);
    }

    function test_WhileAClientLeaves() public {
        _isLocked(ADA, abi.encodeCall(federation.leave, (payable(ADA))));
        assertEq(_odd.balanceOf(ADA), STAKE);
    }

    function test_WhileARoundOpens() public {
        _endow(OWNER, REWARD);
        _isLocked(OWNER, abi.encodeCall(federation.openRound, (_roundTerms())));
        assertEq(federation.roundCount(), 1);
    }

    function test_WhileSomebodyFunds() public {
        _endow(STRANGER, 5);
        _isLocked(STRANGER, abi.encodeCall(federation.fund, (5)));
        assertEq(federation.carried(), 5);
    }

    function test_WhileAClientClaims() public {
        _finalizedRound();
        _isLocked(ADA, abi.encodeCall(federation.claim, (_list(1), payable(ADA))));
        assertEq(_odd.balanceOf(ADA), 1 gwei);
    }

    function test_WhileAClientIsPaid() public {
        _finalizedRound();
        _isLocked(STRANGER, abi.encodeCall(federation.claimFor, (payable(ADA), _list(1))));
        assertEq(_odd.balanceOf(ADA), 1 gwei);
    }

    function test_WhileTheOwnerWithdraws() public {
        _finalizedRound();
        vm.prank(OWNER);
        federation.close();
        _isLocked(OWNER, abi.encodeCall(federation.withdraw, (payable(OWNER))));
        assertEq(_odd.balanceOf(OWNER), REWARD - 1 gwei);
    }

    function test_WhileCoinsArrive() public {
        (terms.asset, terms.stake, terms.maxSlashRate) = (address(0), 0, 0);
        _create();
        Receiver receiver = new Receiver();
        _register(address(receiver));
        _finalizedRound(address(receiver));
        _finalizedRound(address(receiver));

        bytes memory second = abi.encodeCall(federation.claim, (_list(2), payable(PURSE)));
        receiver.prepare(address(federation), second);
        receiver.perform(address(federation), abi.encodeCall(federation.claim, (_list(1), payable(address(receiver)))));
        assertEq(receiver.returned(), _lockedError());
        assertEq(address(receiver).balance, 1 gwei);
        receiver.perform(address(federation), second);
        assertEq(PURSE.balance, 1 gwei, "on its own it succeeds");
    }

    /// @dev The token tries to leave while the call is under way: in vain, though afterwards it may.
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

    function _finalizedRound() private {
        _finalizedRound(ADA);
    }

    /// @dev Paid 1 gwei.
    function _finalizedRound(address client) private {
        _open();
        _submit(client, 1000);
        _finalize();
    }

    function _registration(address client) private view returns (bytes memory) {
        uint256 id = uint160(client);
        uint40 expiry = type(uint40).max;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(OWNER_KEY, federation.voucherDigest(client, id, expiry));
        return abi.encodeCall(federation.registerWithVoucher, (id, expiry, abi.encodePacked(r, s, v)));
    }
}
