// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {VmSafe} from "forge-std/Vm.sol";

import {Prices, PriceTables} from "./Prices.sol";

/// @notice What one transaction costs: data and the flat part included, refunds deducted.
struct Cost {
    uint256 today; // as the node charges it
    uint256 next; // after the fork; `state` is part of it
    uint256 state;
}

/// @title Prices a transaction by today's table and by the next fork's, which no node executes yet.
/// @notice Needs `isolate`: every call of a test is a transaction. It is sent twice: once for what the node charges, and
/// once more, from the same state, with a recorder of accounts and slots. Whatever is in neither table costs after the
/// fork what it costs today; that is what the node charges less what today's table says of the recording.
abstract contract Meter is Test {
    struct Slot {
        bool warm;
        bytes32 original;
        bytes32 current;
    }

    /// @dev Of a recording under one table.
    struct Charge {
        uint256 access; // accesses and writes
        uint256 state; // growth
        int256 refund;
        uint256 spared; // the recorder reads slots and accounts before the transaction does, which makes them warm
    }

    /// @dev forge's recorder goes on to the end of the test.
    bool private _recorded;
    uint256 private _pricing;
    mapping(uint256 pricing => mapping(bytes32 slot => Slot)) private _slots;
    mapping(uint256 pricing => mapping(address account => bool)) private _warm;

    function _measure(address from, address to, uint256 value, bytes memory data) internal returns (Cost memory cost) {
        if (!_recorded) {
            uint256 state = vm.snapshotState();
            _send(from, to, value, data);
            cost.today = vm.lastCallGas().gasTotalUsed;
            assertTrue(vm.revertToState(state));
        }
        vm.startStateDiffRecording();
        _send(from, to, value, data);
        VmSafe.AccountAccess[] memory recording = vm.stopAndReturnStateDiff();
        uint256 recorded = vm.lastCallGas().gasTotalUsed;

        Charge memory charge = _price(recording, PriceTables.today());
        uint256 gas = _withRefund(recorded, charge.refund) + charge.spared;
        uint256 today = gas - _refunded(gas, charge.refund);
        if (!_recorded) assertEq(today, cost.today, "what the node charges is what was recorded");
        (_recorded, cost.today) = (true, today);
        gas -= charge.access + charge.state + PriceTables.today().transaction;
        _priceNext(cost, gas, recording, value, data.length);
    }

    function _send(address from, address to, uint256 value, bytes memory data) internal returns (bytes memory) {
        vm.prank(from);
        (bool done, bytes memory returned) = to.call{value: value}(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(returned, 32), mload(returned))
            }
        }
        return returned;
    }

    /// @dev `elsewhere`: what is in no table.
    function _priceNext(
        Cost memory cost,
        uint256 elsewhere,
        VmSafe.AccountAccess[] memory recording,
        uint256 value,
        uint256 length
    ) private {
        Prices memory prices = PriceTables.glamsterdam();
        Charge memory charge = _price(recording, prices);
        uint256 base = prices.transaction + (value == 0 ? 0 : prices.transactionValue);
        uint256 regular = base + elsewhere + charge.access;
        regular -= _refunded(regular + charge.state, charge.refund);
        uint256 floor = base + prices.dataFloor * length;
        cost.state = charge.state;
        cost.next = charge.state + (regular < floor ? floor : regular);
    }

    /// @dev At most a fifth is given back (EIP-3529).
    function _refunded(uint256 gas, int256 refund) private pure returns (uint256) {
        if (refund <= 0) return 0;
        return uint256(refund) < gas / 5 ? uint256(refund) : gas / 5;
    }

    /// @dev The other way round.
    function _withRefund(uint256 paid, int256 refund) private pure returns (uint256) {
        if (refund <= 0) return paid;
        return uint256(refund) * 4 < paid ? paid + uint256(refund) : paid * 5 / 4;
    }

    function _price(VmSafe.AccountAccess[] memory recording, Prices memory prices) private returns (Charge memory c) {
        ++_pricing;
        uint256 first; // before it, this test looked at what it calls
        while (recording[first].kind != VmSafe.AccountAccessKind.Call) {
            ++first;
        }
        _warm[_pricing][recording[first].account] = _warm[_pricing][recording[first].accessor] = true;
        for (uint256 i = first; i < recording.length; ++i) {
            if (i != first) _account(c, recording[i], prices);
            for (uint256 j; j < recording[i].storageAccesses.length; ++j) {
                _slot(c, recording[i].storageAccesses[j], prices);
            }
        }
    }

    function _account(Charge memory c, VmSafe.AccountAccess memory access, Prices memory prices) private {
        VmSafe.AccountAccessKind kind = access.kind;
        if (kind == VmSafe.AccountAccessKind.Resume || uint160(access.account) < 0x20) return; // precompiles are warm
        bool warm = _warm[_pricing][access.account];
        _warm[_pricing][access.account] = true;
        if (kind == VmSafe.AccountAccessKind.Create) {
            uint256 length = access.deployedCode.length;
            c.access += prices.create + prices.createdWord * ((length + 31) / 32);
            c.state += prices.newAccount + prices.createdByte * length;
            return;
        }
        c.access += warm ? prices.warmAccount : prices.coldAccount;
        if (kind == VmSafe.AccountAccessKind.Call && access.value != 0) {
            c.access += prices.callValue;
            if (!access.initialized) c.state += prices.newAccountByCall;
        }
        bool readsCode = kind == VmSafe.AccountAccessKind.Extcodesize || kind == VmSafe.AccountAccessKind.Extcodecopy;
        if (readsCode) c.access += prices.codeRead;
        bool recorderReads = readsCode || kind == VmSafe.AccountAccessKind.Extcodehash;
        if (recorderReads && !warm) c.spared += prices.coldAccount - prices.warmAccount;
    }

    function _slot(Charge memory c, VmSafe.StorageAccess memory access, Prices memory prices) private {
        Slot storage slot = _slots[_pricing][keccak256(abi.encode(access.account, access.slot))];
        if (slot.warm) {
            c.access += prices.warmSlot;
        } else {
            uint256 cold = prices.coldSlot + (access.isWrite ? prices.coldStore : 0);
            (c.access, c.spared) = (c.access + cold, c.spared + cold - prices.warmSlot);
            (slot.warm, slot.original, slot.current) = (true, access.previousValue, access.previousValue);
        }
        (bytes32 original, bytes32 current, bytes32 value) = (slot.original, slot.current, access.newValue);
        if (!access.isWrite || value == current) return;

        slot.current = value;
        if (current == original) {
            c.access += prices.slotWrite;
            if (original == 0) c.state += prices.slotSet;
        }
        if (original != 0 && current != 0 && value == 0) c.refund += int256(prices.slotCleared);
        if (original != 0 && current == 0) c.refund -= int256(prices.slotCleared);
        if (value == original) {
            c.refund += int256(prices.slotWrite);
            if (original == 0 && prices.stateApart) c.state -= prices.slotSet;
            else if (original == 0) c.refund += int256(prices.slotSet);
        }
    }
}
