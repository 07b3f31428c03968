// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {StdAssertions} from "forge-std/StdAssertions.sol";

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";
import {Books} from "./Books.sol";

interface IToken is IERC20 {
    function mint(address to, uint256 amount) external;
}

interface IFactory {
    function createFederation(IFederation.FederationTerms calldata terms, uint64 salt)
        external
        returns (address federation);
}

/// @title One federation, the people around it and their purses; and the draws by which a seed decides what they do.
/// @notice Contracts are named, not imported: who changes one of them need not compile all this again.
abstract contract Stage is Books, StdAssertions {
    uint256 public constant CLIENTS = 10;
    uint256 internal constant MAX_AMOUNT = type(uint112).max;
    bytes32 internal constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant VOUCHER = keccak256("Voucher(address client,uint256 id,uint40 expiry,uint32 ownerNonce)");
    bytes32 internal constant UPDATE =
        keccak256("Update(uint24 round,bytes32 sealingKey,bytes32 updateCid,uint32 computeMs)");
    bytes32 internal constant REGISTRATION = keccak256("Registration(uint24 round,uint40 deadline)");
    bytes32 internal constant LEAVING = keccak256("Leaving(uint24 round,address to,uint40 deadline)");

    IToken public token;
    /// @notice In ascending order, like adjustments.
    address[] public clients;
    address[2] public owners;
    address[2] public operators;
    address public stranger;
    address public relay;
    /// @notice Where some have their money sent.
    address public purse;
    mapping(address who => uint256) internal _keys;
    /// @notice What each was given to spend.
    mapping(address who => uint256) public endowed;

    address public owner;
    address public pendingOwner;
    uint32 public ownerNonce;
    address public operator;
    bool public paused;
    uint256[] internal _spentVouchers;
    IFederation.FederationTerms internal _terms;

    uint256 private _seed;
    uint256 private _actions;

    constructor(IFederation.FederationTerms memory terms) {
        vm.warp(1_700_000_000);
        vm.roll(1_000_000);
        for (uint256 i; i < CLIENTS; ++i) {
            clients.push(_person("client", i));
        }
        _sortClients();
        (owners[0], owners[1]) = (_person("owner", 0), _person("owner", 1));
        (operators[0], operators[1]) = (_person("operator", 0), _person("operator", 1));
        (stranger, purse, relay) = (_person("stranger", 0), _person("purse", 0), _person("relay", 0));
        if (terms.asset != address(0)) token = IToken(terms.asset);

        owner = owners[0];
        IFactory factory = IFactory(vm.deployCode("FederationFactory.sol:FederationFactory"));
        vm.prank(owner);
        federation = IFederation(factory.createFederation(terms, 1));
        _terms = terms;
        _allow();
    }

    // ------------------------------------------------------------------------------------------------- purses

    /// @notice What somebody has of the federation's asset.
    function held(address who) public view returns (uint256) {
        return _native() ? who.balance : token.balanceOf(who);
    }

    function _native() internal view returns (bool) {
        return address(token) == address(0);
    }

    /// @dev Gives somebody what they are about to pay, and returns the coins to send along.
    function _endow(address who, uint256 amount) internal returns (uint256 coins) {
        endowed[who] += amount;
        if (_native()) vm.deal(who, who.balance + amount);
        else token.mint(who, amount);
        return _native() ? amount : 0;
    }

    // -------------------------------------------------------------------------------------------------- draws

    /// @dev What is drawn from here on follows from the seed, which may well be one that was there before.
    function _begin(uint256 seed) internal {
        _seed = uint256(keccak256(abi.encode(seed, ++_actions)));
    }

    function _draw() internal returns (uint256) {
        return _seed = uint256(keccak256(abi.encode(_seed)));
    }

    /// @dev Evenly, `from` and `to` included.
    function _draw(uint256 from, uint256 to) internal returns (uint256) {
        return from + _draw() % (to - from + 1);
    }

    function _oneIn(uint256 n) internal returns (bool) {
        return _draw() % n == 0;
    }

    function _drawClient() internal returns (address) {
        return clients[_draw(0, CLIENTS - 1)];
    }

    /// @dev Few units, where rounding tells; usual amounts; rarely all there may be.
    function _drawAmount(uint256 maximum) internal returns (uint256) {
        uint256 scale = _draw(0, 15);
        uint256 most = scale == 0 ? maximum : scale < 5 ? 20 : scale < 8 ? 10 ** 6 : 10 ** 21;
        return _draw(0, most < maximum ? most : maximum);
    }

    // ---------------------------------------------------------------------------------- what a round is made of

    /// @dev No two rounds have anything in common.
    function _planOf(uint256 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("plan", round));
    }

    function _sealingKeyOf(uint256 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("sealing key", round));
    }

    function _secretOf(uint256 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("secret", round));
    }

    function _modelOf(uint256 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("model", round));
    }

    function _reportOf(uint256 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("report", round));
    }

    function _updateOf(uint256 round, address client) internal pure returns (bytes32) {
        return keccak256(abi.encode("update", round, client));
    }

    // ---------------------------------------------------------------------------------------------- signatures

    /// @dev Over digests made from the words of EIP-712, not by the federation.
    function _signVoucher(address signer, address client, uint256 id, uint40 expiry, uint32 nonce)
        internal
        view
        returns (IFederation.Voucher memory)
    {
        bytes32 digest = _typed(keccak256(abi.encode(VOUCHER, client, id, expiry, nonce)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_keys[signer], digest);
        return IFederation.Voucher(id, expiry, abi.encodePacked(r, s, v));
    }

    function _noVoucher() internal pure returns (IFederation.Voucher memory voucher) {}

    function _signUpdate(address client, uint24 round, bytes32 sealingKey, bytes32 cid, uint32 computeMs)
        internal
        view
        returns (IFederation.SignedUpdate memory)
    {
        IFederation.Signature memory signature =
            _sign(client, keccak256(abi.encode(UPDATE, round, sealingKey, cid, computeMs)));
        return IFederation.SignedUpdate(cid, computeMs, signature.r, signature.vs);
    }

    function _signRegistration(address client, uint24 round, uint40 deadline)
        internal
        view
        returns (IFederation.Signature memory)
    {
        return _sign(client, keccak256(abi.encode(REGISTRATION, round, deadline)));
    }

    function _signLeaving(address client, uint24 round, address to, uint40 deadline)
        internal
        view
        returns (IFederation.Signature memory)
    {
        return _sign(client, keccak256(abi.encode(LEAVING, round, to, deadline)));
    }

    function _sign(address signer, bytes32 structHash) private view returns (IFederation.Signature memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_keys[signer], _typed(structHash));
        return IFederation.Signature(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    function _typed(bytes32 structHash) private view returns (bytes32) {
        bytes32 domain =
            keccak256(abi.encode(DOMAIN, keccak256("Koinon"), keccak256("2"), block.chainid, address(federation)));
        return keccak256(abi.encodePacked("\x19\x01", domain, structHash));
    }

    // ------------------------------------------------------------------------------------------------- people

    function _person(string memory role, uint256 number) private returns (address who) {
        uint256 key = uint256(keccak256(abi.encode(role, number)));
        who = vm.addr(key);
        _keys[who] = key;
    }

    function _sortClients() private {
        for (uint256 i = 1; i < CLIENTS; ++i) {
            for (uint256 j = i; j > 0 && clients[j] < clients[j - 1]; --j) {
                (clients[j], clients[j - 1]) = (clients[j - 1], clients[j]);
            }
        }
    }

    function _allow() private {
        if (_native()) return;
        for (uint256 i; i < CLIENTS; ++i) {
            _approve(clients[i]);
        }
        for (uint256 i; i < 2; ++i) {
            _approve(owners[i]);
            _approve(operators[i]);
        }
        _approve(stranger);
    }

    function _approve(address who) private {
        vm.prank(who);
        token.approve(address(federation), type(uint256).max);
    }
}
