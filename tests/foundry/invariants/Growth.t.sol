// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Test} from "forge-std/Test.sol";

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";

/// @title No call's cost grows with the number of clients: the same story with few and with many.
/// @notice What an adjustment costs does not depend on that number either; only how many there are does.
contract GrowthTest is Test {
    uint256 private constant FEW = 4;
    uint256 private constant MANY = 400;
    /// @dev Numbers written with more bytes that are not zero cost as much: no calldata is counted.
    uint256 private constant TOLERANCE = 50;
    uint128 private constant STAKE = 1000;

    string[] private _names;
    uint256[] private _gas;

    function test_NoCallCostsMoreWhereThereAreMoreClients() public {
        _tell(_federation(FEW), FEW);
        (string[] memory names, uint256[] memory few) = (_names, _gas);
        delete _names;
        delete _gas;
        _tell(_federation(MANY), MANY);

        assertEq(_gas.length, few.length);
        assertGt(few.length, 25);
        for (uint256 i; i < few.length; ++i) {
            assertApproxEqAbs(_gas[i], few[i], TOLERANCE, names[i]);
        }
    }

    /// @dev Every function of a federation, called where the number of clients could tell.
    function _tell(IFederation federation, uint256 count) private {
        _call(federation, "openRound", address(this), 10 ** 9, abi.encodeCall(federation.openRound, (_terms())));
        for (uint256 i = 1; i < count; ++i) {
            _submit(federation, i);
        }
        uint32 round = 1;
        address client = _client(0);
        _view(federation, "isSelected", abi.encodeCall(federation.isSelected, (round, 0)));
        _call(federation, "submitUpdate", client, 0, _submission(round));
        _view(federation, "roundView live", abi.encodeCall(federation.roundView, (round, client)));
        _call(federation, "leave live", client, 0, abi.encodeCall(federation.leave, (payable(client))));
        _call(federation, "fund", address(this), 10, abi.encodeCall(federation.fund, (10)));
        _call(federation, "finalizeRound", address(this), 0, _finalization(round, count, 0));
        _call(federation, "leave over", client, 0, abi.encodeCall(federation.leave, (payable(client))));
        _call(federation, "register", client, STAKE, abi.encodeCall(federation.register, ()));

        _call(federation, "openRound", address(this), 10 ** 9, abi.encodeCall(federation.openRound, (_terms())));
        for (uint256 i = 1; i < count; ++i) {
            _submit(federation, i);
        }
        _call(federation, "submitUpdate", client, 0, _submission(++round));
        // The index that the first client gave up is one of those selected.
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        _call(federation, "finalizeRound 1", address(this), 0, _finalization(round, count, 1));

        uint32[] memory rounds = new uint32[](2);
        (rounds[0], rounds[1]) = (1, 2);
        _call(federation, "claim", client, 0, abi.encodeCall(federation.claim, (rounds, payable(client))));
        _call(federation, "claimFor", client, 0, abi.encodeCall(federation.claimFor, (payable(_client(1)), rounds)));
        _call(federation, "leave", _client(2), 0, abi.encodeCall(federation.leave, (payable(client))));

        _view(federation, "roundView over", abi.encodeCall(federation.roundView, (1, client)));
        _view(federation, "members", abi.encodeCall(federation.members, (1, 3)));
        _view(federation, "updates", abi.encodeCall(federation.updates, (1, 1, 3)));
        _view(federation, "carried", abi.encodeCall(federation.carried, ()));
        _view(federation, "phase", abi.encodeCall(federation.phase, (round)));
        _view(federation, "memberCount", abi.encodeCall(federation.memberCount, ()));
        _view(federation, "latestRelease", abi.encodeCall(federation.latestRelease, ()));

        _call(federation, "setOperator", address(this), 0, abi.encodeCall(federation.setOperator, (client)));
        _call(federation, "pause", address(this), 0, abi.encodeCall(federation.pause, ()));
        _call(federation, "unpause", address(this), 0, abi.encodeCall(federation.unpause, ()));
        _call(federation, "revokeVoucher", address(this), 0, abi.encodeCall(federation.revokeVoucher, (1)));
        _call(
            federation, "transferOwnership", address(this), 0, abi.encodeCall(Ownable2Step.transferOwnership, (client))
        );
        _call(federation, "acceptOwnership", client, 0, abi.encodeCall(Ownable2Step.acceptOwnership, ()));
        _call(federation, "close", client, 0, abi.encodeCall(federation.close, ()));
        _call(federation, "withdraw", client, 0, abi.encodeCall(federation.withdraw, (payable(client))));
    }

    function _call(IFederation federation, string memory name, address who, uint256 value, bytes memory call_) private {
        vm.deal(who, value + 1);
        vm.cool(address(federation));
        vm.prank(who);
        (bool success,) = address(federation).call{value: value}(call_);
        _measured(name, success);
    }

    function _view(IFederation federation, string memory name, bytes memory call_) private {
        vm.cool(address(federation));
        (bool success,) = address(federation).staticcall(call_);
        _measured(name, success);
    }

    function _measured(string memory name, bool success) private {
        _gas.push(vm.lastCallGas().gasTotalUsed);
        _names.push(name);
        assertTrue(success, name);
    }

    function _federation(uint256 count) private returns (IFederation federation) {
        IFederation.FederationTerms memory terms = IFederation.FederationTerms(
            address(0), STAKE, 5000, IFederation.Admission.Open, IFederation.AuditPolicy.Open
        );
        federation = IFederation(vm.deployCode("Federation.sol:Federation", abi.encode(address(this), terms)));
        federation.setInitialModel("model");
        for (uint256 i; i < count; ++i) {
            vm.deal(_client(i), STAKE);
            vm.prank(_client(i));
            federation.register{value: STAKE}();
        }
    }

    function _client(uint256 index) private pure returns (address) {
        return address(uint160(0xC11E470000 + index));
    }

    function _terms() private pure returns (IFederation.RoundTerms memory) {
        return IFederation.RoundTerms({
            planCid: "plan",
            sealingKey: "key",
            trainingPeriod: 1 hours,
            aggregationPeriod: 1 hours,
            maxUpdates: 1000,
            maxComputeMs: 1000,
            selectionRate: 10_000,
            rewardRateCap: 10 ** 6,
            reward: 10 ** 9
        });
    }

    function _submission(uint32 round) private pure returns (bytes memory) {
        return abi.encodeCall(IFederation.submitUpdate, (round, "key", "update", 1000, 10));
    }

    function _submit(IFederation federation, uint256 index) private {
        uint32 round = federation.roundCount();
        vm.prank(_client(index));
        federation.submitUpdate(round, "key", "update", 1000, 10);
    }

    function _finalization(uint32 round, uint256 count, uint256 adjusted) private pure returns (bytes memory) {
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](adjusted);
        for (uint256 i; i < adjusted; ++i) {
            adjustments[i] = IFederation.Adjustment(_client(i), 1, 5000);
        }
        return abi.encodeCall(
            IFederation.finalizeRound,
            (round, uint16(count), uint48(count * 1000), "next model", "report", adjustments, "secret")
        );
    }

    receive() external payable {}
}
