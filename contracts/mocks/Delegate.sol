// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Receiver} from "./Receiver.sol";

/// @title What an account with a key may run (EIP-7702): it does what it is told, and knows nothing of signatures.
contract Delegate is Receiver {}
