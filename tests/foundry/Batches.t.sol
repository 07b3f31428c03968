// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Wallet} from "../../contracts/mocks/Wallet.sol";
import {Base} from "./Base.sol";

/// @title Updates that clients signed and somebody else submits.
contract BatchesTest is Base {
    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    function test_ABatchIsWhatItsClientsWouldHaveSubmitted() public {
        _open();
        bytes20 digest = _view().digest;
        IFederation.SignedUpdate[] memory signed = new IFederation.SignedUpdate[](3);
        signed[0] = _signedUpdate(CYD_KEY, 3000);
        signed[1] = _signedUpdate(BOB_KEY, 0);
        signed[2] = _signedUpdate(ADA_KEY, 1000);
        vm.expectEmit(address(federation));
        emit IFederation.UpdateSubmitted(1, CYD, _cidOf(1, CYD), 3000);
        vm.expectEmit(address(federation));
        emit IFederation.Declined(1, BOB);
        vm.expectEmit(address(federation));
        emit IFederation.UpdateSubmitted(1, ADA, _cidOf(1, ADA), 1000);
        assertEq(_relay(signed), 3);

        digest = _nextDigest(_nextDigest(digest, CYD, _cidOf(1, CYD), 3000), ADA, _cidOf(1, ADA), 1000);
        assertEq(_view().digest, digest);
        assertEq(_view().updateCount, 2);
        assertEq(_view().absentCount, 1);
        assertEq(_view().claimedMs, 4000);
        assertTrue(_view(BOB).declined);
        assertEq(_updates()[0].ordinal, 1);
        assertEq(_updates()[1].ordinal, 0);
        _assertPhase(IFederation.Phase.Aggregating);
    }

    function test_SignedAndOwnUpdatesAddUp() public {
        _open();
        _submit(BOB, 2000);
        assertEq(_relay(_batch(_signedUpdate(ADA_KEY, 1000))), 1);
        _submit(CYD, 3000);
        assertEq(_view().claimedMs, 6000);
        assertEq(_view().updateCount, 3);
        _finalize();
        assertEq(_owed(ADA), WAGE);
        assertEq(_owed(BOB), 2 * WAGE);
    }

    function test_EveryRefusedEntryIsSkipped() public {
        _open();
        _submit(ADA, 500);
        IFederation.SignedUpdate[] memory signed = new IFederation.SignedUpdate[](9);
        signed[0] = _signedUpdate(ADA_KEY, 1000); // has submitted
        signed[1] = _signedUpdate(DOT_KEY, 1000); // is no member
        signed[2] = _signedUpdate(BOB_KEY, 1, _keyOf(1), 0, 1000); // no CID
        signed[3] = _signedUpdate(BOB_KEY, 1, _keyOf(1), "cid", 0); // no time
        signed[4] = _signedUpdate(BOB_KEY, 1, _keyOf(1), "cid", 100_001); // more than the most
        signed[5] = _signedUpdate(BOB_KEY, 1000);
        signed[5].computeMs = 1001; // not what was signed
        signed[6] = _signedUpdate(BOB_KEY, 1000);
        signed[6].updateCid = "another"; // not what was signed
        signed[7] = IFederation.SignedUpdate("cid", 1000, 0, 0); // nobody's
        signed[8] = _signedUpdate(CYD_KEY, 4000);
        vm.recordLogs();
        assertEq(_relay(signed), 1);
        assertEq(_emitted(), 1);
        assertEq(_view().updateCount, 2);
        assertEq(_view().absentCount, 0);
        assertEq(_view().claimedMs, 4500);
        assertEq(_view(BOB).last, 0);
    }

    function test_ABatchOfWhichNothingIsAcceptedFails() public {
        _open();
        _submit(ADA, 500);
        _refuses(1, _keyOf(1), _batch(_signedUpdate(ADA_KEY, 1000), _signedUpdate(DOT_KEY, 1000)), _nothing(2));
        _refuses(1, _keyOf(1), new IFederation.SignedUpdate[](0), _nothing(0));
    }

    function test_AnEntryTwiceIsTakenOnce() public {
        _open();
        assertEq(_relay(_batch(_signedUpdate(ADA_KEY, 1000), _signedUpdate(ADA_KEY, 1000))), 1);
        assertEq(_view().updateCount, 1);
        assertEq(_relay(_batch(_signedUpdate(BOB_KEY, 0), _signedUpdate(BOB_KEY, 1000))), 1);
        assertTrue(_view(BOB).declined);
        assertEq(_view().absentCount, 1);
    }

    function test_ASignedDeclineBooksAndExcludes() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        assertEq(_relay(_batch(_signedUpdate(ADA_KEY, 0))), 1);
        assertEq(_view(ADA).owed, WAGE);
        _refusesUpdate(ADA, 1000, IFederation.Refusal.AlreadySubmitted);
        _refuses(2, _keyOf(2), _batch(_signedUpdate(ADA_KEY, 1000)), _nothing(1));
        _abandon();
        assertEq(_claim(ADA), WAGE);
    }

    function test_ASignedUpdateBooksWhatTheLastOneEarned() public {
        _open();
        _relay(_batch(_signedUpdate(ADA_KEY, 1000)));
        _finalize();
        _open();
        _relay(_batch(_signedUpdate(ADA_KEY, 2000)));
        assertEq(_view(ADA).owed, WAGE);
        _finalize();
        vm.prank(STRANGER);
        assertEq(federation.claimFor(payable(ADA)), 3 * WAGE);
        assertEq(ADA.balance, 3 * WAGE, "and Ada never had a coin");
    }

    function test_ASignedUpdateSlashesWhatIsBooked() public {
        (terms.stake, terms.maxSlashRate) = (1000, 5000);
        _create();
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 1000);
        _finalize(_adjustment(ADA, 0, 2500));
        _open();
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, 250);
        _relay(_batch(_signedUpdate(ADA_KEY, 2000)));
        assertEq(_stakeOf(ADA), 750);
    }

    // ------------------------------------------------------------------------------------------------------- replays

    function test_WhatWasSignedForAnotherRoundCountsForNone() public {
        _open();
        IFederation.SignedUpdate[] memory old = _batch(_signedUpdate(ADA_KEY, 1000));
        IFederation.SignedUpdate[] memory next = _batch(_signedUpdate(BOB_KEY, 2, _keyOf(2), "cid", 1000));
        _refuses(1, _keyOf(1), next, _nothing(1));
        _abandon();
        _open();
        _refuses(2, _keyOf(2), old, _nothing(1));
        assertEq(_relay(next), 1);
    }

    function test_WhatWasSignedForAnotherKeyCountsForNone() public {
        _open();
        IFederation.SignedUpdate[] memory other = _batch(_signedUpdate(ADA_KEY, 1, _keyOf(7), "cid", 1000));
        _refuses(1, _keyOf(1), other, _nothing(1));
        _refuses(
            1, _keyOf(7), other, abi.encodeWithSelector(IFederation.WrongSealingKey.selector, 1, _keyOf(1), _keyOf(7))
        );
    }

    function test_WhatWasSignedForAnotherFederationCountsForNone() public {
        _open();
        IFederation.SignedUpdate[] memory other = _batch(_signedUpdate(ADA_KEY, 1000));
        _create();
        _registerThree();
        _open();
        _refuses(1, _keyOf(1), other, _nothing(1));
    }

    function test_WhatWasSignedOnAnotherChainCountsForNone() public {
        _open();
        IFederation.SignedUpdate[] memory other = _batch(_signedUpdate(ADA_KEY, 1000));
        vm.chainId(block.chainid + 1);
        _refuses(1, _keyOf(1), other, _nothing(1));
    }

    function test_ASignedDeclineIsNoUpdateOfAnotherKind() public {
        _open();
        IFederation.SignedUpdate memory decline = _signedUpdate(ADA_KEY, 0);
        (decline.updateCid, decline.computeMs) = ("cid", 1000);
        _refuses(1, _keyOf(1), _batch(decline), _nothing(1));
    }

    function test_AMalleatedSignatureCountsForNobody() public {
        _open();
        IFederation.SignedUpdate memory signed = _signedUpdate(ADA_KEY, 1000);
        signed.vs ^= bytes32(uint256(1) << 255);
        _refuses(1, _keyOf(1), _batch(signed), _nothing(1));
    }

    function testFuzz_NoOtherBytesAreASignature(bytes32 r, bytes32 vs) public {
        _open();
        _refuses(1, _keyOf(1), _batch(IFederation.SignedUpdate("cid", 1000, r, vs)), _nothing(1));
    }

    // --------------------------------------------------------------------------------------------------------- when

    function test_BatchesAreTakenInTrainingOnly() public {
        IFederation.SignedUpdate[] memory signed = _batch(_signedUpdate(ADA_KEY, 1, _keyOf(1), "cid", 1000));
        _refuses(1, _keyOf(1), signed, _wrongPhase(IFederation.Phase.None, 1));
        _open();
        _submit(BOB, 1000);
        _refuses(2, _keyOf(1), signed, _wrongPhase(IFederation.Phase.Training, 2));
        vm.warp(START + PERIOD - 1);
        uint256 state = vm.snapshotState();
        assertEq(_relay(signed), 1);
        vm.revertToState(state);
        vm.warp(START + PERIOD);
        _refuses(1, _keyOf(1), signed, _wrongPhase(IFederation.Phase.Aggregating, 1));
        _finalize();
        _refuses(1, _keyOf(1), signed, _wrongPhase(IFederation.Phase.Finalized, 1));
    }

    /// @dev What comes behind the last one awaited is skipped: nobody is selected any more who has not answered.
    function test_ABatchMayBeLongerThanTheRound() public {
        _register(DOT);
        _openFor(2);
        IFederation.SignedUpdate[] memory signed = new IFederation.SignedUpdate[](4);
        (signed[0], signed[1]) = (_signedUpdate(ADA_KEY, 1000), _signedUpdate(BOB_KEY, 1000));
        (signed[2], signed[3]) = (_signedUpdate(CYD_KEY, 1000), _signedUpdate(DOT_KEY, 1000));
        assertEq(_relay(signed), 2);
        assertEq(_view().updateCount, 2);
        _assertPhase(IFederation.Phase.Aggregating);
    }

    // ------------------------------------------------------------------------------------------------------ wallets

    /// @dev A contract has no key to sign with in a batch: it submits itself.
    function test_AContractWalletSubmitsItself() public {
        Wallet wallet = new Wallet(ADA);
        _register(address(wallet));
        _open();
        bytes memory call = abi.encodeCall(federation.submitUpdate, (1, _keyOf(1), "cid", 1000));
        wallet.perform(address(federation), call);
        assertEq(_view(address(wallet)).computeMs, 1000);
    }

    /// @dev An account that runs code (EIP-7702) still signs with its key.
    function test_AnAccountWithCodeSignsWithItsKey() public {
        vm.etch(ADA, abi.encodePacked(hex"ef0100", address(new Wallet(BOB))));
        _open();
        assertEq(_relay(_batch(_signedUpdate(ADA_KEY, 1000))), 1);
        assertEq(_view(ADA).computeMs, 1000);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _refuses(uint24 round, bytes32 key, IFederation.SignedUpdate[] memory signed, bytes memory error) private {
        vm.expectRevert(error);
        vm.prank(STRANGER);
        federation.submitUpdates(round, key, signed);
    }

    function _nothing(uint256 count) private view returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.NothingAccepted.selector, federation.roundCount(), count);
    }
}
