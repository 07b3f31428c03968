// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title Who belongs to a federation where admission is open and nothing is staked.
contract RegistryTest is Base {
    function test_EveryRegistrationAppendsAnIndex() public {
        vm.expectEmit(address(federation));
        emit IFederation.Registered(ADA, 0);
        vm.prank(ADA);
        assertEq(federation.register(), 0);

        vm.expectEmit(address(federation));
        emit IFederation.Registered(BOB, 1);
        vm.prank(BOB);
        assertEq(federation.register(), 1);
        assertEq(federation.memberCount(), 2);
    }

    function test_AMemberSeesItself() public {
        _register(ADA);
        _register(BOB);
        IFederation.ClientView memory bob = _view(0, BOB);
        assertEq(bob.client, BOB);
        assertTrue(bob.member);
        assertEq(bob.index, 1);
        assertEq(bob.stake, 0);
        assertFalse(bob.selected);
    }

    function test_NobodyIsAMemberTwice() public {
        _register(ADA);
        _register(BOB);
        vm.expectRevert(abi.encodeWithSelector(IFederation.AlreadyRegistered.selector, BOB, 1));
        vm.prank(BOB);
        federation.register();
    }

    function test_RegisteringWithoutAStakeCostsNothing() public {
        vm.deal(ADA, 1);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, 0, 1));
        vm.prank(ADA);
        federation.register{value: 1}();
    }

    function test_WhereAdmissionIsOpenAVoucherIsWrong() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IFederation.WrongAdmission.selector, IFederation.Admission.Open, IFederation.Admission.Voucher
            )
        );
        vm.prank(ADA);
        federation.registerWithVoucher(1, type(uint40).max, "");
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
        vm.prank(OWNER);
        federation.close();
        vm.expectRevert(IFederation.FederationIsClosed.selector);
        vm.prank(ADA);
        federation.register();
    }

    function test_LeavingEndsTheMembership() public {
        _register(ADA);
        _register(BOB);
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Left(BOB, 1);
        assertEq(_leave(BOB), 0);

        assertEq(_emitted(), 1, "no stake was returned");
        assertFalse(_view(0, BOB).member);
        assertEq(_view(0, BOB).index, 0);
        assertTrue(_view(0, ADA).member);
        assertEq(federation.memberCount(), 2);
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
    }

    function test_NobodyLeavesToNowhere() public {
        _register(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroValue.selector, "to"));
        vm.prank(ADA);
        federation.leave(payable(0));
    }

    function test_AnIndexIsNeverGivenToAnybodyElse() public {
        _register(ADA);
        _register(BOB);
        _leave(ADA);
        assertEq(_register(CYD), 2);
        assertEq(_register(ADA), 3);
        assertEq(_view(0, ADA).index, 3);
        assertEq(federation.memberCount(), 4);
    }

    function test_ThoseWhoLeftAreHolesInTheList() public {
        _registerThree();
        _leave(ADA);
        _leave(CYD);
        _register(CYD);
        address[] memory members = federation.members(0, 4);
        assertEq(members.length, 4);
        assertEq(members[0], address(0));
        assertEq(members[1], BOB);
        assertEq(members[2], address(0));
        assertEq(members[3], CYD);
    }

    function testFuzz_APageOfMembersHoldsWhatLiesInIt(uint32 from, uint32 limit) public {
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
        assertEq(federation.members(0, type(uint32).max).length, 3);
        assertEq(federation.members(2, type(uint32).max).length, 1);
        assertEq(federation.members(3, type(uint32).max).length, 0);
        assertEq(federation.members(type(uint32).max, type(uint32).max).length, 0);
        assertEq(federation.members(1, 0).length, 0);
    }
}
