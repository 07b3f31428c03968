// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Vm} from "forge-std/Vm.sol";

import {Federation} from "../../contracts/Federation.sol";
import {FederationFactory} from "../../contracts/FederationFactory.sol";
import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Token} from "../../contracts/mocks/Token.sol";

/// @title The words in which the tests of the contracts speak.
/// @notice By default a federation pays in the native coin, admits anybody, asks for no stake and publishes secrets.
/// What a round is made of (plan, key, model, report, secret) follows from its number: no two rounds look alike, so
/// whatever takes one for the other is seen. Digests, records and what clients sign are written here again from the words
/// of the specification.
abstract contract Base is Test {
    uint256 internal constant START = 1_700_000_000;
    uint112 internal constant WAGE = 1 gwei; // per second of compute
    uint112 internal constant RATE_CAP = WAGE * 1e9; // the same, in 10^-9 of a wei
    uint112 internal constant REWARD = 1000 gwei; // enough for all that ten clients may claim
    uint32 internal constant PERIOD = 1 hours;
    bytes32 internal constant INITIAL_MODEL = keccak256("initial model");

    uint256 internal constant OWNER_KEY = 0x0123;
    address internal immutable OWNER = vm.addr(OWNER_KEY);
    address internal constant OPERATOR = address(0x09E7A708);
    address internal constant STRANGER = address(0x57A6E);
    address internal constant PURSE = address(0x9095E);
    /// @dev Keys of clients, whose addresses ascend like adjustments.
    uint256 internal constant ADA_KEY = 0xA4;
    uint256 internal constant BOB_KEY = 0xAF;
    uint256 internal constant CYD_KEY = 0xB7;
    uint256 internal constant DOT_KEY = 0xBC;
    address internal immutable ADA = vm.addr(ADA_KEY);
    address internal immutable BOB = vm.addr(BOB_KEY);
    address internal immutable CYD = vm.addr(CYD_KEY);
    address internal immutable DOT = vm.addr(DOT_KEY);

    IFederation.FederationTerms internal terms;
    FederationFactory internal factory;
    Federation internal federation;
    /// @dev The asset, where that is a token.
    Token internal token;
    uint64 private _salt;

    constructor() {
        terms.maxSpread = 1;
    }

    function setUp() public virtual {
        vm.warp(START);
        vm.roll(1_000_000);
        factory = new FederationFactory();
        _create();
    }

    // ------------------------------------------------------------------------------------------------ federation

    /// @dev A federation of `terms`, without an initial model.
    function _createBare() internal {
        token = Token(terms.asset);
        vm.prank(OWNER);
        federation = Federation(factory.createFederation(terms, ++_salt));
    }

    /// @dev A federation of `terms`, ready for its first round once it has members.
    function _create() internal {
        _createBare();
        vm.prank(OWNER);
        federation.setInitialModel(INITIAL_MODEL);
    }

    /// @dev Gives somebody what they are about to pay to the federation, and returns the coins to send along.
    function _endow(address payer, uint256 amount) internal returns (uint256 coins) {
        if (terms.asset == address(0)) {
            vm.deal(payer, payer.balance + amount);
            return amount;
        }
        token.mint(payer, amount);
        vm.prank(payer);
        token.approve(address(federation), type(uint256).max);
    }

    /// @dev What somebody has of the federation's asset.
    function _held(address who) internal view returns (uint256) {
        return terms.asset == address(0) ? who.balance : token.balanceOf(who);
    }

    function _fund(uint112 amount) internal {
        uint256 coins = _endow(STRANGER, amount);
        vm.prank(STRANGER);
        federation.fund{value: coins}(amount);
    }

    function _close() internal {
        vm.prank(OWNER);
        federation.close();
    }

    function _withdraw(address to) internal returns (uint256) {
        vm.prank(OWNER);
        return federation.withdraw(payable(to));
    }

    function _handOver(address from, address to) internal {
        vm.prank(from);
        federation.transferOwnership(to);
        vm.prank(to);
        federation.acceptOwnership();
    }

    // --------------------------------------------------------------------------------------------------- clients

    function _register(address client) internal returns (uint24 index) {
        uint256 coins = _endow(client, terms.stake);
        vm.prank(client);
        return federation.register{value: coins}();
    }

    /// @dev Ada, Bob and Cyd, at the positions 0, 1 and 2.
    function _registerThree() internal {
        _register(ADA);
        _register(BOB);
        _register(CYD);
    }

    /// @dev The address of the client number `i`, from 0: no two are alike, and they ascend.
    function _clientAt(uint256 i) internal pure returns (address) {
        return address(uint160(0xC11E_0000_0000 + i * 0x1001));
    }

    /// @dev That many clients, `_clientAt(0)` first.
    function _registerMany(uint256 count) internal {
        for (uint256 i; i < count; ++i) {
            _register(_clientAt(i));
        }
    }

    function _leave(address client) internal returns (uint256 paid) {
        vm.prank(client);
        return federation.leave(payable(client));
    }

    function _submit(address client, uint32 computeMs) internal {
        uint24 round = federation.roundCount();
        vm.prank(client);
        federation.submitUpdate(round, _keyOf(round), _cidOf(round, client), computeMs);
    }

    function _refusesUpdate(address client, uint32 computeMs, IFederation.Refusal reason) internal {
        uint24 round = federation.roundCount();
        vm.expectRevert(_refused(client, reason));
        vm.prank(client);
        federation.submitUpdate(round, _keyOf(round), _cidOf(round, client), computeMs);
    }

    function _refusesDecline(address client, IFederation.Refusal reason) internal {
        uint24 round = federation.roundCount();
        vm.expectRevert(_refused(client, reason));
        vm.prank(client);
        federation.decline(round, _keyOf(round));
    }

    function _decline(address client) internal {
        uint24 round = federation.roundCount();
        vm.prank(client);
        federation.decline(round, _keyOf(round));
    }

    function _claim(address client) internal returns (uint256 amount) {
        vm.prank(client);
        return federation.claim(payable(client));
    }

    // ---------------------------------------------------------------------------- what a round's number determines

    function _planOf(uint256 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("plan", round));
    }

    function _keyOf(uint256 round) internal pure returns (bytes32) {
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

    function _cidOf(uint256 round, address client) internal pure returns (bytes32) {
        return keccak256(abi.encode("update", round, client));
    }

    // ---------------------------------------------------------------------------------------------------- rounds

    /// @dev Of the next round.
    function _roundTerms() internal view returns (IFederation.RoundTerms memory) {
        uint256 round = uint256(federation.roundCount()) + 1;
        return IFederation.RoundTerms({
            planCid: _planOf(round),
            sealingKey: _keyOf(round),
            trainingPeriod: PERIOD,
            aggregationPeriod: PERIOD,
            maxUpdates: 10,
            maxComputeMs: 100_000,
            selectionRate: 10_000,
            rewardRateCap: RATE_CAP,
            reward: REWARD
        });
    }

    function _open(IFederation.RoundTerms memory roundTerms) internal returns (uint24 round) {
        uint256 coins = _endow(OWNER, roundTerms.reward);
        bytes20 digest = _view().digest;
        vm.prank(OWNER);
        return federation.openRound{value: coins}(roundTerms, digest);
    }

    /// @dev Opens a round and lets the time pass that its clients may claim.
    function _open() internal returns (uint24 round) {
        round = _open(_roundTerms());
        skip(100);
    }

    /// @dev Opens a round of at most so many updates.
    function _openFor(uint16 maxUpdates) internal returns (uint24 round) {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.maxUpdates = maxUpdates;
        round = _open(roundTerms);
        skip(100);
    }

    function _endTraining() internal {
        vm.warp(_view().trainingDeadline);
    }

    /// @dev Lets the organization's time run out.
    function _abandon() internal {
        vm.warp(_view().aggregationDeadline);
    }

    function _finalize() internal {
        _finalize(_none());
    }

    function _finalize(IFederation.Adjustment memory adjustment) internal {
        _finalize(_one(adjustment));
    }

    /// @dev Finalizes the latest round with all of its updates, once training is over.
    function _finalize(IFederation.Adjustment[] memory adjustments) internal {
        if (federation.phase() == IFederation.Phase.Training) _endTraining();
        IFederation.Finalization memory finalization = _finalization(adjustments);
        vm.prank(OWNER);
        federation.finalizeRound(finalization);
    }

    /// @dev What the organization makes of the latest round.
    function _finalization(IFederation.Adjustment[] memory adjustments)
        internal
        view
        returns (IFederation.Finalization memory)
    {
        uint24 round = federation.roundCount();
        bool open = terms.auditPolicy == IFederation.AuditPolicy.Open;
        return IFederation.Finalization({
            round: round,
            digest: _view().digest,
            modelCid: _modelOf(round),
            reportCid: _reportOf(round),
            secret: open ? _secretOf(round) : bytes32(0),
            adjustments: adjustments
        });
    }

    function _finalization() internal view returns (IFederation.Finalization memory) {
        return _finalization(_none());
    }

    function _adjustment(address client, uint32 creditedMs, uint16 slashRate)
        internal
        pure
        returns (IFederation.Adjustment memory)
    {
        return IFederation.Adjustment({client: client, creditedMs: creditedMs, slashRate: slashRate});
    }

    function _none() internal pure returns (IFederation.Adjustment[] memory) {
        return new IFederation.Adjustment[](0);
    }

    function _one(IFederation.Adjustment memory adjustment)
        internal
        pure
        returns (IFederation.Adjustment[] memory adjustments)
    {
        adjustments = new IFederation.Adjustment[](1);
        adjustments[0] = adjustment;
    }

    function _two(IFederation.Adjustment memory first, IFederation.Adjustment memory second)
        internal
        pure
        returns (IFederation.Adjustment[] memory adjustments)
    {
        adjustments = new IFederation.Adjustment[](2);
        (adjustments[0], adjustments[1]) = (first, second);
    }

    // ------------------------------------------------------------------------------------------------ commitments

    /// @dev The opening of the latest round, which is not finalized, as its view tells it.
    function _opening() internal view returns (IFederation.Opening memory) {
        IFederation.RoundView memory view_ = _view();
        return IFederation.Opening({
            round: view_.round,
            openedAt: view_.openedAt,
            trainingDeadline: view_.trainingDeadline,
            aggregationDeadline: view_.aggregationDeadline,
            memberCount: view_.memberCount,
            selectionOffset: view_.selectionOffset,
            selectedCount: view_.selectedCount,
            maxUpdates: view_.maxUpdates,
            maxComputeMs: view_.maxComputeMs,
            planCid: view_.planCid,
            sealingKey: view_.sealingKey,
            baseModelCid: view_.base.modelCid,
            baseReportCid: view_.base.reportCid,
            rewardRateCap: view_.rewardRateCap,
            pool: view_.pool
        });
    }

    function _firstDigest(IFederation.Opening memory opening) internal view returns (bytes20) {
        return bytes20(keccak256(abi.encode(block.chainid, address(federation), opening)));
    }

    function _nextDigest(bytes20 digest, address client, bytes32 updateCid, uint32 computeMs)
        internal
        pure
        returns (bytes20)
    {
        return bytes20(keccak256(abi.encode(digest, client, updateCid, computeMs)));
    }

    function _nextRecord(
        bytes32 record,
        uint24 round,
        bytes20 digest,
        uint16 updateCount,
        uint48 claimedMs,
        bytes32 outcome
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(record, round, digest, updateCount, claimedMs, outcome));
    }

    function _outcomeOf(IFederation.Finalization memory finalization, uint48 creditedMs)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                finalization.modelCid, finalization.reportCid, finalization.secret, creditedMs, finalization.adjustments
            )
        );
    }

    // ------------------------------------------------------------------------------------------------- signatures

    /// @dev From the words of EIP-712 alone.
    function _typedHash(bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Koinon"),
                keccak256("2"),
                block.chainid,
                address(federation)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _updateHash(uint24 round, bytes32 sealingKey, bytes32 updateCid, uint32 computeMs)
        internal
        view
        returns (bytes32)
    {
        bytes32 type_ = keccak256("Update(uint24 round,bytes32 sealingKey,bytes32 updateCid,uint32 computeMs)");
        return _typedHash(keccak256(abi.encode(type_, round, sealingKey, updateCid, computeMs)));
    }

    function _registrationHash(uint24 round, uint40 deadline) internal view returns (bytes32) {
        return
            _typedHash(keccak256(abi.encode(keccak256("Registration(uint24 round,uint40 deadline)"), round, deadline)));
    }

    function _leavingHash(uint24 round, address to, uint40 deadline) internal view returns (bytes32) {
        bytes32 type_ = keccak256("Leaving(uint24 round,address to,uint40 deadline)");
        return _typedHash(keccak256(abi.encode(type_, round, to, deadline)));
    }

    function _signCompact(uint256 key, bytes32 digest) internal pure returns (IFederation.Signature memory) {
        (bytes32 r, bytes32 vs) = vm.signCompact(key, digest);
        return IFederation.Signature(r, vs);
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev What a client hands to a relay, for the latest round; a decline where `computeMs` is 0.
    function _signedUpdate(uint256 key, uint32 computeMs) internal view returns (IFederation.SignedUpdate memory) {
        uint24 round = federation.roundCount();
        bytes32 cid = computeMs == 0 ? bytes32(0) : _cidOf(round, vm.addr(key));
        return _signedUpdate(key, round, _keyOf(round), cid, computeMs);
    }

    function _signedUpdate(uint256 key, uint24 round, bytes32 sealingKey, bytes32 updateCid, uint32 computeMs)
        internal
        view
        returns (IFederation.SignedUpdate memory)
    {
        (bytes32 r, bytes32 vs) = vm.signCompact(key, _updateHash(round, sealingKey, updateCid, computeMs));
        return IFederation.SignedUpdate({updateCid: updateCid, computeMs: computeMs, r: r, vs: vs});
    }

    /// @dev Relays to the latest round, under its key.
    function _relay(IFederation.SignedUpdate[] memory signed) internal returns (uint256 accepted) {
        uint24 round = federation.roundCount();
        vm.prank(STRANGER);
        return federation.submitUpdates(round, _keyOf(round), signed);
    }

    function _batch(IFederation.SignedUpdate memory first)
        internal
        pure
        returns (IFederation.SignedUpdate[] memory signed)
    {
        signed = new IFederation.SignedUpdate[](1);
        signed[0] = first;
    }

    function _batch(IFederation.SignedUpdate memory first, IFederation.SignedUpdate memory second)
        internal
        pure
        returns (IFederation.SignedUpdate[] memory signed)
    {
        signed = new IFederation.SignedUpdate[](2);
        (signed[0], signed[1]) = (first, second);
    }

    function _noVoucher() internal pure returns (IFederation.Voucher memory voucher) {}

    /// @dev What the owner of now signs with `key`.
    function _voucher(uint256 key, address client, uint256 id, uint40 expiry)
        internal
        view
        returns (IFederation.Voucher memory)
    {
        return IFederation.Voucher({
            id: id, expiry: expiry, signature: _sign(key, federation.voucherDigest(client, id, expiry))
        });
    }

    // ----------------------------------------------------------------------------------------------------- views

    /// @dev How many events the federation emitted since `vm.recordLogs()`.
    function _emitted() internal returns (uint256 count) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].emitter == address(federation)) ++count;
        }
    }

    /// @dev The latest round.
    function _view() internal view returns (IFederation.RoundView memory) {
        return federation.roundView(address(0));
    }

    /// @dev A client in the latest round.
    function _view(address client) internal view returns (IFederation.ClientView memory) {
        return federation.roundView(client).client;
    }

    function _owed(address client) internal view returns (uint256 owed) {
        (owed,) = federation.balanceOf(client);
    }

    function _stakeOf(address client) internal view returns (uint256 stake) {
        (, stake) = federation.balanceOf(client);
    }

    function _updates() internal view returns (IFederation.UpdateView[] memory) {
        return federation.updates(0, type(uint256).max);
    }

    function _assertPhase(IFederation.Phase expected) internal view {
        assertEq(uint8(federation.phase()), uint8(expected), "phase");
    }

    /// @dev The members, in the order of their positions.
    function _assertMembers(address[] memory expected) internal view {
        assertEq(federation.members(0, type(uint256).max), expected, "members");
        assertEq(federation.memberCount(), expected.length, "member count");
        for (uint256 i; i < expected.length; ++i) {
            assertTrue(_view(expected[i]).member, "member");
            assertEq(_view(expected[i]).index, i, "index");
        }
    }

    /// @dev How many times the federation said `topic` since `vm.recordLogs()`.
    function _said(bytes32 topic) internal returns (uint256 count) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].emitter == address(federation) && logs[i].topics[0] == topic) ++count;
        }
    }

    // ----------------------------------------------------------------------------------------------------- errors

    function _wrongPhase(IFederation.Phase actual, uint24 named) internal view returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.WrongPhase.selector, federation.roundCount(), actual, named);
    }

    function _zeroValue(bytes32 field) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.ZeroValue.selector, field);
    }

    /// @dev An update, or a decline, in the latest round.
    function _refused(address client, IFederation.Refusal reason) internal view returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.UpdateRefused.selector, federation.roundCount(), client, reason);
    }

    function _list(address a) internal pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = a;
    }

    function _list(address a, address b) internal pure returns (address[] memory list) {
        list = new address[](2);
        (list[0], list[1]) = (a, b);
    }

    function _list(address a, address b, address c) internal pure returns (address[] memory list) {
        list = new address[](3);
        (list[0], list[1], list[2]) = (a, b, c);
    }

    function _list(address a, address b, address c, address d) internal pure returns (address[] memory list) {
        list = new address[](4);
        (list[0], list[1], list[2], list[3]) = (a, b, c, d);
    }
}
