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
abstract contract Base is Test {
    uint256 internal constant START = 1_700_000_000;
    uint128 internal constant WAGE = 1 gwei; // per second of compute
    uint128 internal constant REWARD = 1000 gwei; // enough for all that ten clients may claim
    uint32 internal constant PERIOD = 1 hours;
    bytes32 internal constant PLAN = keccak256("plan");
    bytes32 internal constant SEALING_KEY = keccak256("sealing key");
    bytes32 internal constant SECRET = keccak256("secret");
    bytes32 internal constant INITIAL_MODEL = keccak256("initial model");
    bytes32 internal constant MODEL = keccak256("model");
    bytes32 internal constant REPORT = keccak256("report");
    uint64 internal constant SAMPLES = 10;

    uint256 internal constant OWNER_KEY = 0x0123;
    address internal immutable OWNER = vm.addr(OWNER_KEY);
    address internal constant OPERATOR = address(0x09E7A708);
    address internal constant STRANGER = address(0x57A6E);
    address internal constant PURSE = address(0x9095E);
    /// @dev Clients, in ascending order like adjustments.
    address internal constant ADA = address(0xADA000);
    address internal constant BOB = address(0xB0B000);
    address internal constant CYD = address(0xC4D000);
    address internal constant DOT = address(0xD07000);

    IFederation.FederationTerms internal terms;
    Federation internal federation;
    /// @dev The asset, where that is a token.
    Token internal token;

    function setUp() public virtual {
        vm.warp(START);
        vm.roll(1_000_000);
        _create();
    }

    // ------------------------------------------------------------------------------------------------ federation

    /// @dev A federation of `terms`, without an initial model.
    function _createBare() internal {
        token = Token(terms.asset);
        FederationFactory factory = new FederationFactory();
        vm.prank(OWNER);
        federation = Federation(factory.createFederation(terms));
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

    // --------------------------------------------------------------------------------------------------- clients

    function _register(address client) internal returns (uint32 index) {
        uint256 coins = _endow(client, terms.stake);
        vm.prank(client);
        return federation.register{value: coins}();
    }

    /// @dev Ada, Bob and Cyd, at the indices 0, 1 and 2.
    function _registerThree() internal {
        _register(ADA);
        _register(BOB);
        _register(CYD);
    }

    function _leave(address client) internal returns (uint256 returned) {
        vm.prank(client);
        return federation.leave(payable(client));
    }

    function _submit(address client, uint32 computeMs) internal {
        uint32 round = federation.roundCount();
        vm.prank(client);
        federation.submitUpdate(round, SEALING_KEY, _cidOf(client), computeMs, SAMPLES);
    }

    function _cidOf(address client) internal pure returns (bytes32) {
        return keccak256(abi.encode("update", client));
    }

    function _claim(address client, uint32 round) internal returns (uint256 amount) {
        vm.prank(client);
        return federation.claim(_list(round), payable(client));
    }

    // ---------------------------------------------------------------------------------------------------- rounds

    function _roundTerms() internal pure returns (IFederation.RoundTerms memory) {
        return IFederation.RoundTerms({
            planCid: PLAN,
            sealingKey: SEALING_KEY,
            trainingPeriod: PERIOD,
            aggregationPeriod: PERIOD,
            maxUpdates: 10,
            maxComputeMs: 100_000,
            selectionRate: 10_000,
            rewardRateCap: WAGE,
            reward: REWARD
        });
    }

    function _open(IFederation.RoundTerms memory roundTerms) internal returns (uint32 round) {
        uint256 coins = _endow(OWNER, roundTerms.reward);
        vm.prank(OWNER);
        return federation.openRound{value: coins}(roundTerms);
    }

    /// @dev Opens a round and lets the time pass that its clients may claim.
    function _open() internal returns (uint32 round) {
        round = _open(_roundTerms());
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
        _finalize(new IFederation.Adjustment[](0));
    }

    function _finalize(IFederation.Adjustment memory adjustment) internal {
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](1);
        adjustments[0] = adjustment;
        _finalize(adjustments);
    }

    /// @dev Finalizes the latest round with all of its updates, once training is over.
    function _finalize(IFederation.Adjustment[] memory adjustments) internal {
        if (federation.phase(federation.roundCount()) == IFederation.Phase.Training) _endTraining();
        IFederation.RoundView memory view_ = _view();
        bytes32 secret = terms.auditPolicy == IFederation.AuditPolicy.Open ? SECRET : bytes32(0);
        vm.prank(OWNER);
        federation.finalizeRound(view_.round, view_.updateCount, view_.claimedMs, MODEL, REPORT, adjustments, secret);
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
        return federation.roundView(federation.roundCount(), address(0));
    }

    function _view(uint32 round, address client) internal view returns (IFederation.ClientView memory) {
        return federation.roundView(round, client).client;
    }

    function _adjustment(address client, uint32 creditedMs, uint16 slashRate)
        internal
        pure
        returns (IFederation.Adjustment memory)
    {
        return IFederation.Adjustment({client: client, creditedMs: creditedMs, slashRate: slashRate});
    }

    function _list(uint32 round) internal pure returns (uint32[] memory rounds) {
        rounds = new uint32[](1);
        rounds[0] = round;
    }

    function _list(uint32 first, uint32 second) internal pure returns (uint32[] memory rounds) {
        rounds = new uint32[](2);
        (rounds[0], rounds[1]) = (first, second);
    }

    function _assertPhase(uint32 round, IFederation.Phase expected) internal view {
        assertEq(uint8(federation.phase(round)), uint8(expected), "phase");
    }
}
