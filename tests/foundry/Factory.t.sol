// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";

import {Federation} from "../../contracts/Federation.sol";
import {FederationFactory} from "../../contracts/FederationFactory.sol";
import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Token} from "../../contracts/mocks/Token.sol";
import {Base} from "./Base.sol";

/// @title What a federation is made of, and who can tell that it is genuine.
contract FactoryTest is Base {
    function test_AFederationBelongsToWhoeverCreatesIt() public {
        address expected = factory.addressOf(STRANGER, terms, 7);
        assertEq(expected.code.length, 0);
        assertFalse(factory.isFederation(expected), "not yet");
        vm.expectEmit(address(factory));
        emit FederationFactory.FederationCreated(expected, STRANGER, terms, 7);
        vm.prank(STRANGER);
        address made = factory.createFederation(terms, 7);

        assertEq(made, expected);
        assertEq(Federation(made).owner(), STRANGER);
        assertEq(Federation(made).pendingOwner(), address(0));
        assertEq(Federation(made).operator(), address(0));
        assertEq(Federation(made).ownerNonce(), 0);
    }

    function test_TheFactoryKnowsWhatItMade() public {
        address made = factory.createFederation(terms, 7);
        assertTrue(factory.isFederation(made));
        assertTrue(factory.isFederation(address(federation)));
        FederationFactory other = new FederationFactory();
        assertFalse(other.isFederation(made), "another factory's");
        assertFalse(factory.isFederation(other.createFederation(terms, 7)));
        assertFalse(factory.isFederation(STRANGER));
        assertFalse(factory.isFederation(address(factory)));
        assertFalse(factory.isFederation(factory.IMPLEMENTATION()));
    }

    /// @dev The address is the standard's (EIP-1014), with salt 0, over code that leaves a minimal proxy (ERC-1167) with
    /// the packed terms behind it.
    function test_TheAddressFollowsFromOwnerTermsAndSalt() public {
        _unusualTerms();
        address expected = vm.computeCreate2Address(0, keccak256(_creation(9)), address(factory));
        assertEq(factory.addressOf(OWNER, terms, 9), expected);
        vm.prank(OWNER);
        assertEq(factory.createFederation(terms, 9), expected);
        assertEq(expected.code, _runtime(9));
        assertEq(expected.code.length, 117);
    }

    /// @dev No other code can ever have been where the implementation is: its address is that of its creation code.
    function test_TheImplementationIsWhereItsOwnCreationCodePutsIt() public view {
        address implementation = factory.IMPLEMENTATION();
        bytes32 creation = keccak256(type(Federation).creationCode);
        assertEq(implementation, vm.computeCreate2Address(0, creation, address(factory)));
        assertEq(Federation(implementation).FACTORY(), address(factory));
    }

    function test_TheSameOwnerTermsAndSaltMakeOneFederation() public {
        vm.startPrank(OWNER);
        address first = factory.createFederation(terms, 7);
        vm.expectRevert(Errors.FailedDeployment.selector);
        factory.createFederation(terms, 7);
        address second = factory.createFederation(terms, 8);
        assertNotEq(first, second);
        vm.stopPrank();
        assertNotEq(factory.createFederation(terms, 7), first, "another owner");
    }

    function test_WhateverDiffersIsAnotherAddress() public {
        terms.stake = 5;
        address expected = factory.addressOf(OWNER, terms, 7);
        assertNotEq(factory.addressOf(STRANGER, terms, 7), expected);
        assertNotEq(factory.addressOf(OWNER, terms, 8), expected);
        for (uint256 i; i < 7; ++i) {
            IFederation.FederationTerms memory changed = terms;
            if (i == 0) changed.asset = STRANGER;
            if (i == 1) changed.stake = 6;
            if (i == 2) changed.maxSlashRate = 1;
            if (i == 3) changed.admission = IFederation.Admission.Voucher;
            if (i == 4) changed.auditPolicy = IFederation.AuditPolicy.Appointed;
            if (i == 5) changed.maxSpread = 2;
            if (i == 6) changed.idleRounds = 1;
            assertNotEq(factory.addressOf(OWNER, changed, 7), expected);
        }
    }

    function testFuzz_TheTermsAreThoseOfTheCreation(
        uint128 stake,
        uint16 maxSlashRate,
        uint16 maxSpread,
        uint16 idleRounds,
        uint64 salt,
        bool voucher,
        bool appointed,
        address owner
    ) public {
        vm.assume(owner != address(0));
        terms = IFederation.FederationTerms({
            asset: voucher ? address(new Token()) : address(0),
            stake: stake,
            maxSlashRate: stake == 0 ? 0 : uint16(bound(maxSlashRate, 0, 10_000)),
            admission: voucher ? IFederation.Admission.Voucher : IFederation.Admission.Open,
            auditPolicy: appointed ? IFederation.AuditPolicy.Appointed : IFederation.AuditPolicy.Open,
            maxSpread: maxSpread == 0 ? 1 : maxSpread,
            idleRounds: idleRounds
        });
        vm.prank(owner);
        Federation made = Federation(factory.createFederation(terms, salt));
        assertEq(abi.encode(made.terms()), abi.encode(terms));
        assertEq(made.owner(), owner);
        assertTrue(factory.isFederation(address(made)));
    }

    function test_FederationsHaveTheirOwnStorage() public {
        _register(ADA);
        Federation first = federation;
        _create();
        assertEq(federation.memberCount(), 0);
        _register(BOB);
        _open();
        assertEq(first.roundCount(), 0);
        assertEq(first.members(0, 10), _list(ADA));
        assertEq(Federation(factory.IMPLEMENTATION()).memberCount(), 0);
    }

    // ------------------------------------------------------------------------------------------------------ bounds

    function test_AnAssetMustBeAContract() public {
        terms.asset = STRANGER;
        vm.expectRevert(abi.encodeWithSelector(FederationFactory.AssetIsNotAContract.selector, STRANGER));
        factory.createFederation(terms, 7);
    }

    function test_WhereThereIsNoStakeThereIsNothingToSlash() public {
        terms.maxSlashRate = 1;
        vm.expectRevert(abi.encodeWithSelector(IFederation.SlashRateTooHigh.selector, 0, 1));
        factory.createFederation(terms, 7);
    }

    function test_NoMoreThanAStakeCanBeSlashed() public {
        (terms.stake, terms.maxSlashRate) = (1, 10_001);
        vm.expectRevert(abi.encodeWithSelector(IFederation.SlashRateTooHigh.selector, 10_000, 10_001));
        factory.createFederation(terms, 7);

        terms.maxSlashRate = 10_000;
        assertEq(Federation(factory.createFederation(terms, 7)).terms().maxSlashRate, 10_000);
    }

    function test_ThePoolPaysWhatTheSelectedMayClaimAtLeastOnce() public {
        terms.maxSpread = 0;
        vm.expectRevert(FederationFactory.ZeroSpread.selector);
        factory.createFederation(terms, 7);
    }

    function test_TheBoundsAreThoseOfTheDesign() public view {
        assertEq(federation.MIN_PERIOD(), 30);
        assertEq(federation.MAX_PERIOD(), 30 days);
        assertEq(federation.MAX_UPDATES(), 1000);
    }

    function test_AFederationBeginsEmpty() public {
        _createBare();
        assertEq(federation.roundCount(), 0);
        assertEq(federation.memberCount(), 0);
        assertEq(federation.seatCount(), 0);
        assertEq(federation.carried(), 0);
        assertEq(federation.record(), 0);
        assertFalse(federation.closed());
        assertFalse(federation.paused());
        assertEq(federation.latestRelease().modelCid, 0);
        assertEq(federation.latestRelease().reportCid, 0);
    }

    // ------------------------------------------------------------------------------------------- what is no federation

    function test_TheImplementationHoldsItsFactory() public view {
        assertEq(Federation(factory.IMPLEMENTATION()).FACTORY(), address(factory));
        assertEq(federation.FACTORY(), address(factory));
    }

    function test_ACloneThatSomebodyElseMadeIsNoFederation() public {
        bytes memory packed = _packed(OWNER, 7);
        address expected = factory.addressOf(OWNER, terms, 7);
        address copy = Clones.cloneDeterministicWithImmutableArgs(factory.IMPLEMENTATION(), packed, 0);
        vm.prank(OWNER);
        assertEq(factory.createFederation(terms, 7), expected, "nobody takes a federation's address");
        assertEq(copy.code, expected.code, "the same code");
        assertFalse(factory.isFederation(copy));
    }

    function test_CodeOfAnotherLengthIsNoFederation() public {
        address expected = factory.addressOf(OWNER, terms, 7);
        vm.etch(STRANGER, bytes.concat(address(federation).code, hex"00"));
        assertFalse(factory.isFederation(STRANGER));
        vm.etch(STRANGER, address(federation).code);
        assertFalse(factory.isFederation(STRANGER), "nor at another address");
        assertFalse(factory.isFederation(expected));
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _unusualTerms() private {
        terms = IFederation.FederationTerms({
            asset: address(new Token()),
            stake: type(uint128).max,
            maxSlashRate: 9999,
            admission: IFederation.Admission.Voucher,
            auditPolicy: IFederation.AuditPolicy.Appointed,
            maxSpread: 1234,
            idleRounds: 567
        });
    }

    function _runtime(uint64 salt) private view returns (bytes memory) {
        return abi.encodePacked(
            hex"363d3d373d3d3d363d73",
            factory.IMPLEMENTATION(),
            hex"5af43d82803e903d91602b57fd5bf3",
            _packed(OWNER, salt)
        );
    }

    function _creation(uint64 salt) private view returns (bytes memory) {
        bytes memory runtime = _runtime(salt);
        return abi.encodePacked(hex"61", uint16(runtime.length), hex"3d81600a3d39f3", runtime);
    }

    function _packed(address owner, uint64 salt) private view returns (bytes memory) {
        return abi.encodePacked(
            owner,
            terms.asset,
            terms.stake,
            terms.maxSlashRate,
            uint8(terms.admission),
            uint8(terms.auditPolicy),
            terms.maxSpread,
            terms.idleRounds,
            salt
        );
    }
}
