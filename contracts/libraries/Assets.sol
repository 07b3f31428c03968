// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";

import {IFederation} from "../interfaces/IFederation.sol";

/// @title Moves what a federation pays with: the native coin (asset 0) or one ERC-20 token.
library Assets {
    using Address for address payable;
    using SafeERC20 for IERC20;

    address internal constant NATIVE = address(0);

    /// @notice Takes `amount` from the caller, whole or not at all.
    function pull(address asset, uint256 amount) internal {
        uint256 coins = asset == NATIVE ? amount : 0;
        if (msg.value != coins) revert IFederation.WrongAmount(coins, msg.value);
        if (asset == NATIVE || amount == 0) return;

        IERC20 token = IERC20(asset);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert IFederation.NotReceivedInFull(amount, received);
    }

    /// @notice Pays `amount`; nothing is called for 0, which some tokens refuse to move.
    function push(address asset, address payable to, uint256 amount) internal {
        if (amount == 0) return;
        if (asset == NATIVE) to.sendValue(amount);
        else IERC20(asset).safeTransfer(to, amount);
    }
}
