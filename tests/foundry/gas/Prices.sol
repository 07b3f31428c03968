// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice What the EVM charges for state, and for being a transaction at all. Both tables follow one formula: an access is
/// cold or warm, the first change of a slot or an account costs a write, and what makes the state grow costs that too.
struct Prices {
    uint256 transaction; // to a contract, without its data
    uint256 transactionValue; // more, where coins are sent along
    uint256 dataFloor; // the least for each byte of the data
    uint256 coldSlot;
    uint256 warmSlot;
    uint256 coldStore; // more, where a cold slot is written to
    uint256 slotWrite; // the first change of a slot in a transaction
    uint256 slotSet; // more, where the slot is new
    uint256 slotCleared; // given back for a slot that is cleared
    uint256 coldAccount;
    uint256 warmAccount;
    uint256 codeRead; // more for EXTCODESIZE and EXTCODECOPY
    uint256 callValue; // a call that sends coins, without its stipend of 2,300
    uint256 create;
    uint256 createdWord; // for each word of code
    uint256 newAccount; // an account that is created
    uint256 newAccountByCall; // one that a call creates by sending coins to it
    uint256 createdByte; // for each byte of code
    bool stateApart; // growth of the state is state gas: given back in full where it is undone, and above every floor
}

/// @title The two price tables of `make gas`.
library PriceTables {
    /// @notice Since Cancun. EIP-2929 (cold and warm), EIP-2200 and EIP-3529 (slots: 22,100 new, 5,000 changed, 4,800 back),
    /// yellow paper appendix G (21,000; CALL 9,000 with value and 25,000 for a new account; CREATE 32,000 and 200 a byte).
    function today() internal pure returns (Prices memory p) {
        p.transaction = 21_000;
        p.coldSlot = 2100;
        p.warmSlot = 100;
        p.coldStore = 100;
        p.slotWrite = 2800;
        p.slotSet = 17_100;
        p.slotCleared = 4800;
        p.coldAccount = 2600;
        p.warmAccount = 100;
        p.callValue = 6700;
        p.create = 32_000;
        p.newAccountByCall = 25_000;
        p.createdByte = 200;
    }

    /// @notice After Glamsterdam, as github.com/ethereum/EIPs proposes it on 2026-08-22 (commit f767a1e):
    /// EIP-8037 (state gas, 1,530 for each byte: 64 bytes a slot, 120 an account, and code), EIP-8038 (access, writes,
    /// clearing, reading code), EIP-2780 (12,000 for the sender, 3,000 for the recipient, 6,000 for value),
    /// EIP-7976 (at least 64 for each byte of data).
    function glamsterdam() internal pure returns (Prices memory p) {
        p.transaction = 12_000 + 3000;
        p.transactionValue = 6000;
        p.dataFloor = 64;
        p.coldSlot = 2100;
        p.warmSlot = 100;
        p.slotWrite = 10_000;
        p.slotSet = 64 * 1530;
        p.slotCleared = 11_616;
        p.coldAccount = 3000;
        p.warmAccount = 100;
        p.codeRead = 100;
        p.callValue = 9000;
        p.create = 12_000;
        p.createdWord = 6;
        p.newAccount = 120 * 1530;
        p.newAccountByCall = 120 * 1530;
        p.createdByte = 1530;
        p.stateApart = true;
    }
}
