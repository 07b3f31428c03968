// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {Federation} from "../../contracts/Federation.sol";
import {FederationFactory} from "../../contracts/FederationFactory.sol";
import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Token} from "../../contracts/mocks/Token.sol";
import {Base} from "./Base.sol";

/// @title What a federation is made of, and who can tell that it is genuine.
contract FactoryTest is Base {
    FederationFactory private _factory;

    function setUp() public override {
        super.setUp();
        _factory = new FederationFactory();
    }

    function test_AFederationBelongsToWhoeverCreatesIt() public {
        address expected = vm.computeCreateAddress(address(_factory), 1);
        vm.expectEmit(address(_factory));
        emit FederationFactory.FederationCreated(expected, STRANGER);
        vm.prank(STRANGER);
        address made = _factory.createFederation(terms);

        assertEq(made, expected);
        assertEq(Federation(made).owner(), STRANGER);
        assertEq(Federation(made).pendingOwner(), address(0));
        assertEq(Federation(made).operator(), address(0));
    }

    function test_TheFactoryKnowsWhatItMade() public {
        assertEq(_factory.federationCount(), 0);
        address made = _factory.createFederation(terms);
        assertTrue(_factory.isFederation(made));
        assertFalse(_factory.isFederation(address(federation)), "another factory's");
        assertEq(_factory.federationCount(), 1);
    }

    function test_FederationsAreListedInTheOrderOfTheirCreation() public {
        address first = _factory.createFederation(terms);
        address second = _factory.createFederation(terms);
        address[] memory listed = _factory.federations(0, type(uint256).max);
        assertEq(listed.length, 2);
        assertEq(listed[0], first);
        assertEq(listed[1], second);
    }

    function testFuzz_APageHoldsWhatLiesInIt(uint256 from, uint256 limit) public {
        address[] memory made = new address[](3);
        for (uint256 i; i < made.length; ++i) {
            made[i] = _factory.createFederation(terms);
        }
        from = from % 2 == 0 ? from : bound(from, 0, 4);
        limit = limit % 2 == 0 ? limit : bound(limit, 0, 4);

        address[] memory page = _factory.federations(from, limit);
        uint256 left = from < 3 ? 3 - from : 0;
        assertEq(page.length, limit < left ? limit : left);
        for (uint256 i; i < page.length; ++i) {
            assertEq(page[i], made[from + i]);
        }
    }

    function test_TheTermsAreThoseOfTheCreation() public {
        terms = IFederation.FederationTerms({
            asset: address(new Token()),
            stake: type(uint128).max,
            maxSlashRate: 10_000,
            admission: IFederation.Admission.Voucher,
            auditPolicy: IFederation.AuditPolicy.Appointed
        });
        IFederation.FederationTerms memory kept = Federation(_factory.createFederation(terms)).terms();
        assertEq(abi.encode(kept), abi.encode(terms));
    }

    function test_AnAssetMustBeAContract() public {
        terms.asset = STRANGER;
        vm.expectRevert(abi.encodeWithSelector(IFederation.AssetIsNotAContract.selector, STRANGER));
        _factory.createFederation(terms);
    }

    function test_WhereThereIsNoStakeThereIsNothingToSlash() public {
        terms.maxSlashRate = 1;
        vm.expectRevert(abi.encodeWithSelector(IFederation.SlashRateTooHigh.selector, 0, 1));
        _factory.createFederation(terms);
    }

    function test_NoMoreThanAStakeCanBeSlashed() public {
        (terms.stake, terms.maxSlashRate) = (1, 10_001);
        vm.expectRevert(abi.encodeWithSelector(IFederation.SlashRateTooHigh.selector, 10_000, 10_001));
        _factory.createFederation(terms);

        terms.maxSlashRate = 10_000;
        assertEq(Federation(_factory.createFederation(terms)).terms().maxSlashRate, 10_000);
    }

    function test_AFederationHasAnOwner() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        new Federation(address(0), terms);
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
        assertEq(federation.carried(), 0);
        assertFalse(federation.closed());
        assertFalse(federation.paused());
        assertEq(federation.latestRelease().modelCid, 0);
        assertEq(federation.latestRelease().reportCid, 0);
    }
}
