// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title A factory that was another one before: it makes a federation whose storage somebody has written, destroys
/// itself, and is made again at the same address with the shipped code.

/// @notice Stands for the code that federations share, in the transaction in which it is made and destroyed.
contract Writer {
    function write(address operator) external {
        // The first slot of a federation holds its operator.
        assembly {
            sstore(0, operator)
        }
    }

    function destroy() external {
        selfdestruct(payable(tx.origin));
    }
}

/// @notice Stands for the factory, in the same transaction.
contract Maker {
    function make(bytes memory creation, address operator) external {
        Writer writer = new Writer(); // the first contract that it makes
        address federation;
        assembly {
            federation := create2(0, add(creation, 32), mload(creation), 0)
        }
        if (federation != address(0)) Writer(federation).write(operator);
        writer.destroy();
        selfdestruct(payable(tx.origin));
    }
}

/// @notice The same creation code leaves what whoever runs it says.
contract Changeling {
    constructor() {
        (bytes memory first, bytes memory code) = Undoer(msg.sender).wanted();
        if (first.length != 0) {
            address made;
            assembly {
                made := create2(0, add(first, 32), mload(first), 0)
            }
            require(made != address(0), "nothing was made");
        }
        assembly {
            return(add(code, 32), mload(code))
        }
    }
}

contract Undoer {
    bytes private _first;
    bytes private _code;

    function wanted() external view returns (bytes memory, bytes memory) {
        return (_first, _code);
    }

    function factory() public view returns (address) {
        bytes32 hashed = keccak256(type(Changeling).creationCode);
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), bytes32(0), hashed)))));
    }

    function makeAndDestroy(bytes calldata creation, address operator) external {
        _code = type(Maker).runtimeCode;
        new Changeling{salt: 0}();
        Maker(factory()).make(creation, operator);
    }

    function makeAgain(bytes calldata implementation, bytes calldata code) external {
        (_first, _code) = (implementation, code);
        new Changeling{salt: 0}();
        delete _first;
    }
}
