// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

contract ReplayTest is Base {
    function setUp() public override {
        (terms.stake, terms.maxSlashRate) = (100, 10_000);
        super.setUp();
        _register(ADA);
        _register(BOB);
        _open();
    }

    function test_WithAStakeASignedLeavingIsNotReplayedAfterAnotherDeparture() public {
        uint40 deadline = uint40(START + 10_000);
        IFederation.Signature memory leaving = _signCompact(ADA_KEY, _leavingHash(1, ADA, deadline));
        federation.leaveSigned(ADA, payable(ADA), deadline, leaving);
        _register(ADA);
        _leave(ADA); // must keep the mark of who came back
        _register(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.SignatureSpent.selector, ADA, 1));
        federation.leaveSigned(ADA, payable(ADA), deadline, leaving);
    }

    function test_NorOnceTheHeldStakeWasReturned() public {
        uint40 deadline = uint40(START + 10_000);
        IFederation.Signature memory leaving = _signCompact(ADA_KEY, _leavingHash(1, ADA, deadline));
        _submit(ADA, 1000);
        federation.leaveSigned(ADA, payable(ADA), deadline, leaving);
        _finalize();
        _leave(ADA);
        _register(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.SignatureSpent.selector, ADA, 1));
        federation.leaveSigned(ADA, payable(ADA), deadline, leaving);
    }
}
