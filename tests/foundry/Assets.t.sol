// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {OddToken} from "../../contracts/mocks/OddToken.sol";
import {Receiver} from "../../contracts/mocks/Receiver.sol";
import {Base} from "./Base.sol";

/// @title A federation that pays in a token, whatever the token is like.
contract AssetsTest is Base {
    uint128 private constant STAKE = 100;

    OddToken private _odd;

    function setUp() public override {
        _odd = new OddToken();
        (terms.asset, terms.stake, terms.maxSlashRate) = (address(_odd), STAKE, 10_000);
        super.setUp();
    }

    // --------------------------------------------------------------------------------------------- a plain token

    function test_EveryAmountMovesInTheToken() public {
        _registerThree();
        assertEq(_odd.balanceOf(address(federation)), 3 * STAKE);
        _open();
        assertEq(_odd.balanceOf(address(federation)), 3 * STAKE + REWARD);
        _fund(5);
        assertEq(federation.carried(), 5);

        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _finalize();
        assertEq(_claim(ADA), WAGE);
        assertEq(_odd.balanceOf(ADA), WAGE);
        assertEq(federation.claimFor(payable(BOB)), 2 * WAGE);
        assertEq(_odd.balanceOf(BOB), 2 * WAGE);
        vm.prank(ADA);
        assertEq(federation.leave(payable(PURSE)), STAKE);
        assertEq(_odd.balanceOf(PURSE), STAKE);

        _close();
        assertEq(_withdraw(OWNER), REWARD - 3 * WAGE + 5);
        assertEq(_odd.balanceOf(OWNER), REWARD - 3 * WAGE + 5);
        assertEq(_odd.balanceOf(address(federation)), 2 * STAKE, "Bob's and Cyd's stakes");
    }

    function test_StakeAndRewardsMoveTogether() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _finalize();
        vm.expectCall(address(_odd), abi.encodeCall(IERC20.transfer, (ADA, STAKE + WAGE)), 1);
        assertEq(_leave(ADA), STAKE + WAGE);
        assertEq(_odd.balanceOf(ADA), STAKE + WAGE);
    }

    function test_NoCoinsAreTakenWhereTheAssetIsAToken() public {
        _endow(ADA, STAKE);
        vm.deal(ADA, STAKE);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, 0, STAKE));
        vm.prank(ADA);
        federation.register{value: STAKE}();
        _register(BOB);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        vm.deal(OWNER, REWARD);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, 0, REWARD));
        vm.prank(OWNER);
        federation.openRound{value: REWARD}(roundTerms, 0);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, 0, 1));
        federation.fund{value: 1}(1);
    }

    function test_WithoutAnApprovalNothingIsTaken() public {
        _odd.mint(ADA, STAKE);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(federation), 0, STAKE)
        );
        vm.prank(ADA);
        federation.register();
    }

    function test_ANothingIsNotMoved() public {
        (terms.stake, terms.maxSlashRate) = (0, 0);
        _create();
        vm.expectCall(address(_odd), abi.encodeWithSelector(IERC20.transferFrom.selector), 0);
        vm.expectCall(address(_odd), abi.encodeWithSelector(IERC20.transfer.selector), 0);
        vm.prank(ADA);
        federation.register();
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 0;
        vm.prank(OWNER);
        federation.openRound(roundTerms, 0);
        _submit(ADA, 1000);
        _finalize();
        _leave(ADA);
        _close();
        _withdraw(OWNER);
    }

    // --------------------------------------------------------------------------------------------- an odd token

    function test_ATokenThatTakesAFeeIsRefused() public {
        _endow(ADA, STAKE);
        _odd.setArriving(9900);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotReceivedInFull.selector, 100, 99));
        vm.prank(ADA);
        federation.register();
    }

    function test_ATokenThatGivesAPresentIsRefused() public {
        _endow(ADA, STAKE);
        _odd.setArriving(10_100);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotReceivedInFull.selector, 100, 101));
        vm.prank(ADA);
        federation.register();
    }

    function test_WhatTheFederationHeldBeforeDoesNotCount() public {
        _odd.mint(address(federation), 1000);
        _endow(ADA, STAKE);
        _odd.setArriving(0);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotReceivedInFull.selector, 100, 0));
        vm.prank(ADA);
        federation.register();
    }

    function test_ATokenMayAnswerNothing() public {
        _endow(ADA, STAKE);
        _odd.setAnswer(OddToken.Answer.Nothing);
        vm.prank(ADA);
        federation.register();
        assertEq(_odd.balanceOf(address(federation)), STAKE);
        assertEq(_leave(ADA), STAKE);
        assertEq(_odd.balanceOf(ADA), STAKE);
    }

    function test_ATokenThatSaysNoIsBelieved() public {
        _register(ADA);
        _endow(BOB, STAKE);
        _odd.setAnswer(OddToken.Answer.False);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(_odd)));
        vm.prank(BOB);
        federation.register();
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(_odd)));
        _leave(ADA);
        assertEq(_stakeOf(ADA), STAKE);
        assertTrue(_view(ADA).member);
    }

    function test_WhomTheTokenRefusesHurtsNobodyElse() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 1000);
        _finalize();
        _odd.blacklist(ADA);
        vm.expectRevert(abi.encodeWithSelector(OddToken.Blacklisted.selector, ADA));
        _claim(ADA);
        vm.expectRevert(abi.encodeWithSelector(OddToken.Blacklisted.selector, ADA));
        _leave(ADA);

        assertEq(_claim(BOB), WAGE);
        assertEq(_leave(BOB), STAKE);
        vm.startPrank(ADA);
        assertEq(federation.claim(payable(PURSE)), WAGE);
        assertEq(federation.leave(payable(PURSE)), STAKE);
        assertEq(_odd.balanceOf(PURSE), WAGE + STAKE);
    }

    function test_TokensSentByMistakeAreNobodys() public {
        _register(ADA);
        _odd.mint(address(federation), 1 ether);
        assertEq(federation.carried(), 0);
        _close();
        assertEq(_withdraw(OWNER), 0);
        assertEq(_odd.balanceOf(address(federation)), STAKE + 1 ether);
    }

    // -------------------------------------------------------------------------------------------------- coins

    function test_CoinsAreNotTakenWithoutACall() public {
        (bool success,) = address(federation).call{value: 1}("");
        assertFalse(success);
        terms.asset = address(0);
        _create();
        (success,) = address(federation).call{value: 1}("");
        assertFalse(success);
    }

    function test_ARecipientSaysWhyItRefusesCoins() public {
        terms.asset = address(0);
        _create();
        _register(ADA);
        Receiver receiver = new Receiver();
        receiver.refuse(true);
        vm.expectRevert(Receiver.Refused.selector);
        vm.prank(ADA);
        federation.leave(payable(address(receiver)));
        assertEq(_leave(ADA), STAKE);
    }
}
