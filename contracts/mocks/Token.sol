// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A plain ERC-20 token of which anybody can make as much as they like: for tests and the demo.
contract Token is ERC20 {
    constructor() ERC20("Play money", "PLAY") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
