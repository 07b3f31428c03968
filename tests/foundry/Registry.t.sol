// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title Who belongs to a federation where admission is open and nothing is staked.
contract RegistryTest is Base {
    // ------------------------------------------------------------------------------------------------ registering

    function test_WhoRegistersStandsBehindAllOthers() public {
        vm.expectEmit(address(federation));
        emit IFederation.Registered(ADA, 0);
        vm.prank(ADA);
        assertEq(federation.register(), 0);

        vm.expectEmit(address(federation));
        emit IFederation.Registered(BOB, 1);
        vm.prank(BOB);
        assertEq(federation.register(), 1);
        _assertMembers(_list(ADA, BOB));
    }

    function test_AMemberSeesItself() public {
        _register(ADA);
        _register(BOB);
        IFederation.ClientView memory expected;
        expected.client = BOB;
        expected.member = true;
        expected.index = 1;
        assertEq(abi.encode(_view(BOB)), abi.encode(expected));
    }

    function test_TheRegistrationNamesItsRound() public {
        _register(ADA);
        assertEq(_view(ADA).last, 0);
        _open();
        _register(BOB);
        assertEq(_view(BOB).last, 1);
        _abandon();
        _open();
        _register(CYD);
        assertEq(_view(CYD).last, 2);
        assertEq(_view(BOB).last, 1);
    }

    function test_NobodyIsAMemberTwice() public {
        _register(ADA);
        _register(BOB);
        vm.expectRevert(abi.encodeWithSelector(IFederation.AlreadyRegistered.selector, BOB, 1));
        vm.prank(BOB);
        federation.register();
        vm.expectRevert(abi.encodeWithSelector(IFederation.AlreadyRegistered.selector, ADA, 0));
        vm.prank(ADA);
        federation.register();
        assertEq(federation.memberCount(), 2);
    }

    function test_RegisteringWithoutAStakeCostsNothing() public {
        vm.deal(ADA, 1);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, 0, 1));
        vm.prank(ADA);
        federation.register{value: 1}();
    }

    function test_WhereAdmissionIsOpenAVoucherIsWrong() public {
        IFederation.Voucher memory voucher = _voucher(OWNER_KEY, ADA, 1, type(uint40).max);
        vm.expectRevert(
            abi.encodeWithSelector(
                IFederation.WrongAdmission.selector, IFederation.Admission.Open, IFederation.Admission.Voucher
            )
        );
        vm.prank(ADA);
        federation.registerWithVoucher(voucher);
    }

    function test_WhereAVoucherIsNeededNobodyRegistersWithout() public {
        terms.admission = IFederation.Admission.Voucher;
        _create();
        vm.expectRevert(
            abi.encodeWithSelector(
                IFederation.WrongAdmission.selector, IFederation.Admission.Voucher, IFederation.Admission.Open
            )
        );
        vm.prank(ADA);
        federation.register();
    }

    function test_NobodyRegistersOnceTheFederationIsClosed() public {
        _close();
        vm.expectRevert(IFederation.FederationIsClosed.selector);
        vm.prank(ADA);
        federation.register();
    }

    // ---------------------------------------------------------------------------------------------------- leaving

    function test_TheLastMemberLeavesAFreePosition() public {
        _register(ADA);
        _register(BOB);
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Left(BOB, 1, address(0), false);
        vm.expectEmit(address(federation));
        emit IFederation.Paid(BOB, BOB, 0, 0);
        assertEq(_leave(BOB), 0);

        assertEq(_emitted(), 2);
        _assertMembers(_list(ADA));
        IFederation.ClientView memory expected;
        expected.client = BOB;
        assertEq(abi.encode(_view(BOB)), abi.encode(expected), "nothing of Bob is left");
    }

    function test_TheLastMemberTakesThePlaceOfWhoLeaves() public {
        _registerThree();
        vm.expectEmit(address(federation));
        emit IFederation.Left(ADA, 0, CYD, false);
        _leave(ADA);
        _assertMembers(_list(CYD, BOB));
        _leave(BOB);
        _assertMembers(_list(CYD));
        _leave(CYD);
        _assertMembers(new address[](0));
    }

    function test_WhoIsNoMemberCannotLeave() public {
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotRegistered.selector, ADA));
        _leave(ADA);
    }

    function test_NobodyLeavesTwice() public {
        _register(ADA);
        _leave(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotRegistered.selector, ADA));
        _leave(ADA);
        _openWith(BOB);
        _leave(BOB);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotRegistered.selector, BOB));
        _leave(BOB);
    }

    function test_NobodyLeavesToNowhere() public {
        _register(ADA);
        vm.expectRevert(_zeroValue("to"));
        vm.prank(ADA);
        federation.leave(payable(0));
    }

    function test_WhoLeavesIsPaidWhatItIsOwed() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _finalize();
        vm.expectEmit(address(federation));
        emit IFederation.Left(ADA, 0, CYD, false);
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, PURSE, WAGE, 0);
        vm.prank(ADA);
        assertEq(federation.leave(payable(PURSE)), WAGE);
        assertEq(PURSE.balance, WAGE);
        assertEq(_owed(ADA), 0);
    }

    function test_WhoLeavesIsPaidWhatIsBookedAndWhatIsNot() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        _submit(ADA, 2000);
        _abandon();
        assertEq(_leave(ADA), 3 * WAGE);
        assertEq(ADA.balance, 3 * WAGE);
    }

    /// @dev Before the round's own reward is known, and the reward of the round before stays with it.
    function test_WithAnUpdateInTheLiveRoundLeavingPaysLater() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        _submit(ADA, 2000);
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Left(ADA, 0, CYD, false);
        assertEq(_leave(ADA), 0);
        assertEq(_emitted(), 1, "nobody was paid");
        assertFalse(_view(ADA).member);
        assertTrue(_view(ADA).selected);
        _assertMembers(_list(CYD, BOB));

        vm.expectRevert(abi.encodeWithSelector(IFederation.UpdateIsLive.selector, 2));
        _leave(ADA);
        _endTraining();
        vm.expectRevert(abi.encodeWithSelector(IFederation.UpdateIsLive.selector, 2));
        _leave(ADA);
        _finalize();
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, ADA, 3 * WAGE, 0);
        assertEq(_leave(ADA), 3 * WAGE);
        assertEq(_emitted(), 1, "the membership had ended before");
        assertEq(ADA.balance, 3 * WAGE);
    }

    function test_WhoLeftALiveRoundIsPaidAsLateAsItLikes() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        _finalize();
        for (uint256 i; i < 3; ++i) {
            _open();
            _submit(BOB, 500);
            _finalize();
        }
        assertEq(_leave(ADA), WAGE);
    }

    function test_WhoLeftALiveRoundMayClaimAndLeaveAgain() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        _finalize();
        assertEq(_claim(ADA), WAGE);
        assertEq(_leave(ADA), 0);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotRegistered.selector, ADA));
        _leave(ADA);
    }

    // ------------------------------------------------------------------------------------------- registering again

    function test_WhoRegistersAgainStandsBehindAllOthers() public {
        _registerThree();
        _leave(ADA);
        _assertMembers(_list(CYD, BOB));
        assertEq(_register(DOT), 2);
        assertEq(_register(ADA), 3);
        _assertMembers(_list(CYD, BOB, DOT, ADA));
    }

    function test_NobodyRegistersAgainBesideItsUpdateInALiveRound() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.UpdateIsLive.selector, 1));
        vm.prank(ADA);
        federation.register();
        _endTraining();
        vm.expectRevert(abi.encodeWithSelector(IFederation.UpdateIsLive.selector, 1));
        vm.prank(ADA);
        federation.register();
        _abandon();
        assertEq(_register(ADA), 2);
    }

    /// @dev Without a stake nothing has to be returned first: what it earned is booked.
    function test_RegisteringAgainBooksWhatTheLastUpdateEarned() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        _finalize();
        assertEq(_owed(ADA), WAGE);
        assertEq(_register(ADA), 2);
        assertEq(_owed(ADA), WAGE);
        assertEq(_view(ADA).updateCid, 0, "its line is gone");

        _open();
        _submit(ADA, 2000);
        _finalize();
        assertEq(_claim(ADA), 3 * WAGE, "once each");
    }

    function test_RegisteringAgainRoundsLaterBooksTheRightRound() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 5000);
        _leave(ADA);
        _finalize();
        _open();
        _submit(BOB, 7000);
        _finalize();
        _register(ADA);
        assertEq(_owed(ADA), WAGE);
        assertEq(_claim(ADA), WAGE);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NothingOwed.selector, ADA));
        _claim(ADA);
    }

    // ------------------------------------------------------------------------------------------------------- pages

    function testFuzz_APageOfMembersHoldsWhatLiesInIt(uint256 from, uint256 limit) public {
        _registerThree();
        address[3] memory listed = [ADA, BOB, CYD];
        from = from % 4 == 0 ? from : from % 5;
        limit = limit % 4 == 0 ? limit : limit % 5;

        address[] memory page = federation.members(from, limit);
        uint256 left = from < 3 ? 3 - from : 0;
        assertEq(page.length, limit < left ? limit : left);
        for (uint256 i; i < page.length; ++i) {
            assertEq(page[i], listed[from + i]);
        }
    }

    function test_ThePageOfAllThatThereMayBe() public {
        _registerThree();
        uint256 most = type(uint256).max;
        assertEq(federation.members(0, most).length, 3);
        assertEq(federation.members(2, most).length, 1);
        assertEq(federation.members(3, most).length, 0);
        assertEq(federation.members(most, most).length, 0);
        assertEq(federation.members(1, 0).length, 0);
        assertEq(federation.members(0, 2), _list(ADA, BOB));
        assertEq(federation.members(1, 2), _list(BOB, CYD));
    }

    function test_LeaversOfTheLiveRoundAreNoMembers() public {
        _registerThree();
        _open();
        _submit(BOB, 1000);
        _leave(BOB);
        assertEq(federation.memberCount(), 2);
        assertEq(federation.seatCount(), 3);
        assertEq(federation.members(0, type(uint256).max), _list(ADA, CYD));
    }

    // ------------------------------------------------------------------------------------------------------ posting

    function test_AMemberPosts() public {
        _registerThree();
        vm.expectEmit(address(federation));
        emit IFederation.Posted(0, BOB, "plan", "cid 0");
        vm.prank(BOB);
        federation.post("plan", "cid 0");
        _open();
        vm.expectEmit(address(federation));
        emit IFederation.Posted(1, CYD, "share", "cid 1");
        vm.prank(CYD);
        federation.post("share", "cid 1");
    }

    function test_TheOrganizationPosts() public {
        vm.prank(OWNER);
        federation.setOperator(OPERATOR);
        address[2] memory posters = [OWNER, OPERATOR];
        for (uint256 i; i < posters.length; ++i) {
            vm.expectEmit(address(federation));
            emit IFederation.Posted(0, posters[i], "topic", "cid");
            vm.prank(posters[i]);
            federation.post("topic", "cid");
        }
    }

    function test_NobodyElsePosts() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        address[2] memory others = [STRANGER, ADA];
        for (uint256 i; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IFederation.NeitherMemberNorOrganization.selector, others[i]));
            vm.prank(others[i]);
            federation.post("topic", "cid");
        }
    }

    function _openWith(address client) private {
        _register(client);
        _open();
    }
}
