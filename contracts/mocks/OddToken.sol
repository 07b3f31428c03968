// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Token} from "./Token.sol";

/// @title A token that is odd in the ways that tokens in the wild are: plain until it is told to be otherwise.
contract OddToken is Token {
    /// @dev What a call answers. `False`: and nothing was done, where others revert.
    enum Answer {
        True,
        Nothing,
        False
    }

    error Blacklisted(address account);
    error ApprovalIsNotZero(address spender, uint256 approval);

    uint256 private constant BASIS_POINTS = 10_000;

    /// @notice The answer to the prepared call: whether it succeeded, and with what.
    bool public succeeded;
    bytes public returned;
    Answer private _answer;
    /// @dev Of what is sent: less where the token takes a fee, more where it gives a present.
    uint256 private _arriving = BASIS_POINTS;
    mapping(address account => bool) private _blacklisted;
    bool private _calledAfter;
    address private _target;
    bytes private _call;

    modifier answering() {
        if (_answer == Answer.False) return;
        _;
        if (_answer == Answer.Nothing) {
            // solhint-disable-next-line no-inline-assembly
            assembly {
                return(0, 0)
            }
        }
    }

    function setAnswer(Answer answer) external {
        _answer = answer;
    }

    function setArriving(uint256 basisPoints) external {
        _arriving = basisPoints;
    }

    function blacklist(address account) external {
        _blacklisted[account] = true;
    }

    /// @notice Makes the next transfer call `target` first, or once the balances have changed, as ERC-777 does.
    function prepare(address target, bytes calldata call_, bool calledAfter) external {
        (_target, _call, _calledAfter) = (target, call_, calledAfter);
    }

    function transfer(address to, uint256 amount) public override answering returns (bool) {
        return super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override answering returns (bool) {
        return super.transferFrom(from, to, amount);
    }

    /// @dev As USDT: an approval is first taken back, then given anew.
    function approve(address spender, uint256 amount) public override answering returns (bool) {
        uint256 approval = allowance(msg.sender, spender);
        if (_answer == Answer.Nothing && approval != 0 && amount != 0) revert ApprovalIsNotZero(spender, approval);
        return super.approve(spender, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (_blacklisted[from]) revert Blacklisted(from);
        if (_blacklisted[to]) revert Blacklisted(to);

        if (!_calledAfter) _callPrepared();
        super._update(from, to, amount);
        if (_calledAfter) _callPrepared();

        if (from == address(0)) return;
        uint256 arrived = amount * _arriving / BASIS_POINTS;
        if (arrived < amount) super._update(to, address(0), amount - arrived);
        if (arrived > amount) super._update(address(0), to, arrived - amount);
    }

    function _callPrepared() private {
        bytes memory prepared = _call;
        delete _call;
        if (prepared.length != 0) (succeeded, returned) = _target.call(prepared);
    }
}
