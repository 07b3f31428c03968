// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Federation} from "../../contracts/Federation.sol";
import {FederationFactory} from "../../contracts/FederationFactory.sol";
import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Token} from "../../contracts/mocks/Token.sol";
import {Cost, Meter} from "./gas/Meter.sol";

/// @title What transactions cost, kept in snapshots/, and the most that they may: today, and after the next fork.
/// @notice Every call is a transaction of its own. As it is day by day: of accounts that exist, and not in the first
/// round; with values as they are in life, of few zero bytes, and never those of the round before.
abstract contract Gas is Meter {
    uint128 internal constant STAKE = 1 ether;
    uint16 internal constant SLASH_RATE = 2345;
    uint32 internal constant PERIOD = 3601;
    uint32 internal constant MS = 99_999;
    uint112 internal constant RATE = 1_234_567_890_123_456_789; // 1.2 gwei a second
    uint112 internal constant REWARD = 123_456_789_012_345_678; // enough for a thousand clients
    uint40 internal constant DEADLINE = type(uint40).max;

    uint256 internal constant OWNER_KEY = uint256(keccak256("owner"));
    address internal immutable OWNER = vm.addr(OWNER_KEY);
    address internal constant RELAY = 0x9876543210987654321098765432109876543210;
    bytes32 internal constant UPDATE_TYPEHASH =
        keccak256("Update(uint24 round,bytes32 sealingKey,bytes32 updateCid,uint32 computeMs)");
    bytes32 internal constant REGISTRATION_TYPEHASH = keccak256("Registration(uint24 round,uint40 deadline)");
    bytes32 internal constant LEAVING_TYPEHASH = keccak256("Leaving(uint24 round,address to,uint40 deadline)");

    IFederation.FederationTerms internal terms;
    FederationFactory internal factory;
    Federation internal federation;
    uint24 internal round;
    /// @dev In ascending order.
    address[] internal clients;

    // The optimizer takes the block time for the same throughout a test.
    uint256 private _clock = 1_700_000_000;

    constructor() {
        (terms.stake, terms.maxSlashRate, terms.maxSpread, terms.idleRounds) = (STAKE, SLASH_RATE, 1, 1);
    }

    function setUp() public virtual {
        vm.roll(1_000_000);
        vm.warp(_clock);
        factory = new FederationFactory();
        _create();
    }

    function _create() internal {
        vm.prank(OWNER);
        federation = Federation(factory.createFederation(terms, uint64(_clock)));
        vm.prank(OWNER);
        federation.setInitialModel(_some("initial model"));
        (round, clients) = (0, new address[](0));
        vm.deal(RELAY, 1 ether);
    }

    // -------------------------------------------------------------------------------------------------- people

    /// @dev Gives somebody what they are about to pay, and keeps them from having had nothing before.
    function _endow(address who, uint256 amount) internal returns (uint256 coins) {
        vm.deal(who, who.balance + amount + 1 ether);
        if (terms.asset == address(0)) return amount;
        Token(terms.asset).mint(who, amount + 1 ether);
        vm.prank(who);
        Token(terms.asset).approve(address(federation), type(uint256).max);
    }

    function _nextClient() internal view returns (address) {
        uint256 i = clients.length;
        return address(uint160((0x1111 + i) << 144 | uint256(keccak256(abi.encode(i))) >> 112));
    }

    function _registerUpTo(uint256 count) internal {
        while (clients.length < count) {
            address client = _nextClient();
            _send(client, address(federation), _endow(client, terms.stake), abi.encodeCall(federation.register, ()));
            clients.push(client);
        }
    }

    function _keyOf(uint256 signer) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("signer", signer)));
    }

    // -------------------------------------------------------------------------------------------------- rounds

    function _wait(uint256 seconds_) internal {
        vm.warp(_clock += seconds_);
    }

    /// @dev A value of the latest round.
    function _some(string memory name) internal view returns (bytes32) {
        return keccak256(abi.encode(name, round));
    }

    function _opening() internal view returns (bytes memory) {
        IFederation.RoundTerms memory opened = IFederation.RoundTerms({
            planCid: keccak256(abi.encode("plan", round + 1)),
            sealingKey: keccak256(abi.encode("key", round + 1)),
            trainingPeriod: PERIOD,
            aggregationPeriod: PERIOD,
            maxUpdates: 1000,
            maxComputeMs: 111_111,
            selectionRate: 9999,
            rewardRateCap: RATE,
            reward: REWARD
        });
        return abi.encodeCall(federation.openRound, (opened, federation.roundView(address(0)).digest));
    }

    function _open() internal {
        bytes memory data = _opening();
        _send(OWNER, address(federation), _endow(OWNER, REWARD), data);
        ++round;
        _wait(100);
    }

    function _submission(address client) internal view returns (bytes memory) {
        return abi.encodeCall(federation.submitUpdate, (round, _some("key"), keccak256(abi.encode(round, client)), MS));
    }

    function _submit(uint256 count) internal {
        for (uint256 i; i < count; ++i) {
            _send(clients[i], address(federation), 0, _submission(clients[i]));
        }
    }

    /// @dev The first of the clients are credited a little less, and slashed.
    function _finalization(uint256 adjusted, uint16 slashRate) internal view returns (bytes memory) {
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](adjusted);
        for (uint256 i; i < adjusted; ++i) {
            adjustments[i] = IFederation.Adjustment(clients[i], MS - 1, slashRate);
        }
        bytes20 digest = federation.roundView(address(0)).digest;
        return abi.encodeCall(
            federation.finalizeRound,
            (IFederation.Finalization(round, digest, _some("model"), _some("report"), _some("secret"), adjustments))
        );
    }

    function _finalize(uint256 adjusted, uint16 slashRate) internal {
        _wait(PERIOD);
        bytes memory data = _finalization(adjusted, slashRate);
        _send(OWNER, address(federation), 0, data);
    }

    /// @dev A round with an update by every client.
    function _round() internal {
        _open();
        _submit(clients.length);
        _finalize(0, 0);
    }

    // ------------------------------------------------------------------------------------------------ signatures

    function _sign(uint256 key, bytes32 structHash) internal view returns (bytes32 r, bytes32 vs) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Koinon"),
                keccak256("2"),
                block.chainid,
                federation
            )
        );
        return vm.signCompact(key, keccak256(abi.encodePacked(hex"1901", domain, structHash)));
    }

    // ---------------------------------------------------------------------------------------------------- figures

    /// @dev Of a call of the federation. Each of so many, where it does the same for many.
    function _cost(string memory name, address from, uint256 coins, bytes memory data, uint256 each)
        internal
        returns (Cost memory cost)
    {
        cost = _measure(from, address(federation), coins, data);
        _divide(cost, each);
        _keep(terms.asset == address(0) ? "native" : "token", name, cost);
    }

    function _cost(string memory name, address from, bytes memory data) internal returns (Cost memory) {
        return _cost(name, from, 0, data, 1);
    }

    function _divide(Cost memory cost, uint256 each) internal pure {
        (cost.today, cost.next, cost.state) = (cost.today / each, cost.next / each, cost.state / each);
    }

    function _keep(string memory group, string memory name, Cost memory cost) internal {
        vm.snapshotValue(group, string.concat(name, ": today"), cost.today);
        vm.snapshotValue(group, string.concat(name, ": after the fork"), cost.next);
    }

    /// @dev The ceilings are those of the native coin.
    function _assertCeiling(Cost memory cost, uint256 today, uint256 next) internal view {
        if (terms.asset != address(0)) return;
        assertLe(cost.today, today, "gas today");
        assertLe(cost.next, next, "gas after the fork");
    }
}

abstract contract TransactionGas is Gas {
    function setUp() public override {
        super.setUp();
        _registerUpTo(3);
        _round();
        _round();
    }

    function test_Creating() public {
        bytes memory data = abi.encodeCall(factory.createFederation, (terms, 0x1234567812345678));
        Cost memory cost = _measure(OWNER, address(factory), 0, data);
        _keep(terms.asset == address(0) ? "native" : "token", "createFederation", cost);
        _assertCeiling(cost, 90_000, 420_000);
    }

    function test_Registering() public {
        address client = _nextClient();
        uint256 coins = _endow(client, STAKE);
        _assertCeiling(_cost("register", client, coins, abi.encodeCall(federation.register, ()), 1), 84_000, 270_000);
    }

    function test_RegisteringWhereAMemberHasLeft() public {
        _send(clients[1], address(federation), 0, abi.encodeCall(federation.leave, (payable(clients[1]))));
        address client = _nextClient();
        uint256 coins = _endow(client, STAKE);
        _cost("register, where a member has left", client, coins, abi.encodeCall(federation.register, ()), 1);
    }

    function test_RegisteringWithASignature() public {
        terms.stake = terms.maxSlashRate = 0;
        _create();
        _registerUpTo(3);
        _round();
        address client = vm.addr(_keyOf(1));
        vm.deal(client, 1);
        _assertCeiling(_cost("registerSigned", RELAY, _registrationOf(1)), 90_000, 275_000);
    }

    function test_RegisteringWithAVoucher() public {
        terms.admission = IFederation.Admission.Voucher;
        _create();
        bytes memory data;
        uint256 coins;
        for (uint256 id = 256; id < 258; ++id) {
            address client = _nextClient();
            coins = _endow(client, STAKE);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(OWNER_KEY, federation.voucherDigest(client, id, DEADLINE));
            IFederation.Voucher memory voucher = IFederation.Voucher(id, DEADLINE, abi.encodePacked(r, s, v));
            data = abi.encodeCall(federation.registerWithVoucher, (voucher));
            if (id == 256) _cost("registerWithVoucher, first of 256", client, coins, data, 1);
            else _cost("registerWithVoucher", client, coins, data, 1);
            clients.push(client);
        }
    }

    function test_Leaving() public {
        Cost memory cost = _cost("leave", clients[1], abi.encodeCall(federation.leave, (payable(clients[1]))));
        _assertCeiling(cost, 70_000, 91_000);
    }

    function test_LeavingFromALiveRound() public {
        _open();
        _submit(2);
        _cost("leave, from a live round", clients[1], abi.encodeCall(federation.leave, (payable(clients[1]))));
    }

    function test_LeavingWithASignature() public {
        terms.stake = terms.maxSlashRate = 0;
        _create();
        _send(RELAY, address(federation), 0, _registrationOf(1));
        clients.push(vm.addr(_keyOf(1)));
        vm.deal(clients[0], 1);
        _registerUpTo(3);
        _round();
        address payable to = payable(clients[0]);
        (bytes32 r, bytes32 vs) = _sign(_keyOf(1), keccak256(abi.encode(LEAVING_TYPEHASH, round, to, DEADLINE)));
        IFederation.Signature memory signature = IFederation.Signature(r, vs);
        _cost("leaveSigned", RELAY, abi.encodeCall(federation.leaveSigned, (to, to, DEADLINE, signature)));
    }

    function test_Retiring() public {
        _open();
        _submit(1);
        _wait(PERIOD);
        _cost("retire", RELAY, abi.encodeCall(federation.retire, (clients[1])));
    }

    function test_Opening() public {
        bytes memory data = _opening();
        _assertCeiling(_cost("openRound", OWNER, _endow(OWNER, REWARD), data, 1), 85_000, 122_000);
    }

    function test_OpeningAfterAnAbandonedRound() public {
        _open();
        _wait(2 * PERIOD); // without an update
        _open();
        _submit(2);
        _wait(2 * PERIOD);
        bytes memory data = _opening();
        uint256 coins = _endow(OWNER, REWARD);
        _assertCeiling(_cost("openRound, after an abandoned one", OWNER, coins, data, 1), 113_000, 246_000);
    }

    function test_Submitting() public {
        _registerUpTo(4);
        _open();
        _submit(1);
        Cost memory first = _cost("submitUpdate, first of the client", clients[3], _submission(clients[3]));
        Cost memory later = _cost("submitUpdate", clients[1], _submission(clients[1]));
        _assertCeiling(first, 70_000, 168_000);
        _assertCeiling(later, 56_000, 72_000);
    }

    function test_SubmittingAfterASlash() public {
        _open();
        _submit(3);
        _finalize(1, SLASH_RATE);
        _open();
        Cost memory cost = _cost("submitUpdate, books a slash", clients[0], _submission(clients[0]));
        _assertCeiling(cost, 82_000, 187_000);
    }

    function test_Declining() public {
        _open();
        _cost("decline", clients[1], abi.encodeCall(federation.decline, (round, _some("key"))));
    }

    function test_SubmittingForFifty() public {
        while (clients.length < 53) {
            address client = vm.addr(_keyOf(clients.length));
            _send(client, address(federation), _endow(client, STAKE), abi.encodeCall(federation.register, ()));
            clients.push(client);
        }
        _open();
        Cost memory first = _cost("submitUpdates, each of 50, first of the client", RELAY, 0, _batch(), 50);
        _finalize(0, 0);
        _open();
        Cost memory later = _cost("submitUpdates, each of 50", RELAY, 0, _batch(), 50);
        _assertCeiling(first, 40_000, 136_000);
        _assertCeiling(later, 24_000, 38_000);
    }

    function test_Finalizing() public {
        _open();
        _submit(3);
        _wait(PERIOD);
        _assertCeiling(_cost("finalizeRound", OWNER, _finalization(0, 0)), 93_000, 213_000);
    }

    function test_Claiming() public {
        _cost("claim", clients[0], abi.encodeCall(federation.claim, (payable(clients[0]))));
        _cost("claimFor", RELAY, abi.encodeCall(federation.claimFor, (payable(clients[2]))));
    }

    function test_ClaimingTenRounds() public {
        for (uint256 i = 2; i < 10; ++i) {
            _round();
        }
        bytes memory data = abi.encodeCall(federation.claim, (payable(clients[1])));
        _assertCeiling(_cost("claim, ten rounds", clients[1], data), 51_000, 55_000);
    }

    function test_Posting() public {
        _cost("post", clients[1], abi.encodeCall(federation.post, (_some("topic"), _some("post"))));
    }

    function _batch() private view returns (bytes memory) {
        IFederation.SignedUpdate[] memory signed = new IFederation.SignedUpdate[](50);
        for (uint256 i; i < 50; ++i) {
            (bytes32 key, bytes32 cid) = (_some("key"), keccak256(abi.encode(round, clients[i + 3])));
            (bytes32 r, bytes32 vs) = _sign(_keyOf(i + 3), keccak256(abi.encode(UPDATE_TYPEHASH, round, key, cid, MS)));
            signed[i] = IFederation.SignedUpdate(cid, MS, r, vs);
        }
        return abi.encodeCall(federation.submitUpdates, (round, _some("key"), signed));
    }

    function _registrationOf(uint256 signer) private view returns (bytes memory) {
        uint256 key = _keyOf(signer);
        (bytes32 r, bytes32 vs) = _sign(key, keccak256(abi.encode(REGISTRATION_TYPEHASH, round, DEADLINE)));
        IFederation.Voucher memory none;
        return abi.encodeCall(federation.registerSigned, (vm.addr(key), DEADLINE, IFederation.Signature(r, vs), none));
    }
}

/// forge-config: default.isolate = true
contract NativeGasTest is TransactionGas {}

/// forge-config: default.isolate = true
contract TokenGasTest is TransactionGas {
    constructor() {
        terms.asset = address(new Token());
    }
}

/// @title What it costs to settle a round, by the number of its clients.
/// forge-config: default.isolate = true
contract SettlementGasTest is Gas {
    uint256 private constant TRANSACTION = 2 ** 24; // the most gas of one transaction (EIP-7825)

    function setUp() public override {
        super.setUp();
        _registerUpTo(1);
        _round();
    }

    function test_AcceptingCostsTheSameForAnyNumberOfClients() public {
        Cost memory eight = _settle(8, 0, 0, "8 clients");
        Cost memory sixteen = _settle(16, 0, 0, "16 clients");
        Cost memory thousand = _settle(1000, 0, 0, "1000 clients");
        _assertCeiling(thousand, 93_000, 213_000);
        assertApproxEqAbs(thousand.today, eight.today, 100, "bytes of zero cost less than others");
        assertApproxEqAbs(thousand.today, sixteen.today, 100, "bytes of zero cost less than others");
    }

    function test_AnAdjustmentThatSlashesCostsAlmostNothingMore() public {
        Cost memory without = _settle(100, 0, 0, "100 clients");
        Cost memory lowered = _settle(100, 100, 0, "100 clients, all adjusted");
        Cost memory slashed = _settle(100, 100, SLASH_RATE, "100 clients, all adjusted and slashed");
        _assertEach(lowered, without, "adjustment");
        _assertEach(slashed, without, "adjustment that slashes");
    }

    function test_AdjustingAndSlashingAThousandClientsFitsIntoATransaction() public {
        Cost memory cost = _settle(1000, 1000, SLASH_RATE, "1000 clients, all adjusted and slashed");
        assertLt(cost.today, TRANSACTION);
        assertLt(cost.next, TRANSACTION);
    }

    function _assertEach(Cost memory with, Cost memory without, string memory name) private {
        Cost memory each = Cost(with.today - without.today, with.next - without.next, 0);
        _divide(each, 100);
        _keep("settlement", name, each);
        _assertCeiling(each, 9500, 16_500);
    }

    function _settle(uint256 count, uint256 adjusted, uint16 slashRate, string memory name)
        private
        returns (Cost memory cost)
    {
        _registerUpTo(count);
        _open();
        _submit(count);
        _wait(PERIOD);
        bytes memory data = _finalization(adjusted, slashRate);
        cost = _measure(OWNER, address(federation), 0, data);
        _keep("settlement", name, cost);
    }
}

/// @title The meter against sums of the tables' own figures, made by hand.
/// forge-config: default.isolate = true
contract MeterTest is Meter {
    address private constant SENDER = address(0x1111111111111111111111111111111111111111);
    address private constant PAID = address(0x2222222222222222222222222222222222222222);
    address private constant CODE = address(0x3333333333333333333333333333333333333333);

    function setUp() public {
        vm.deal(SENDER, 1 ether);
        vm.deal(PAID, 1);
    }

    function test_ANewSlot() public {
        _assertCost(hex"6001600055", 21_000 + 6 + 22_100, 15_000 + 6 + 110_020);
    }

    function test_AnotherValue() public {
        vm.store(CODE, 0, bytes32(uint256(2)));
        _assertCost(hex"6001600055", 21_000 + 6 + 5000, 15_000 + 6 + 12_100);
    }

    function test_TheSameValue() public {
        vm.store(CODE, 0, bytes32(uint256(1)));
        _assertCost(hex"6001600055", 21_000 + 6 + 2200, 15_000 + 6 + 2100);
    }

    function test_ReadingAndWriting() public {
        vm.store(CODE, 0, bytes32(uint256(2)));
        _assertCost(hex"600054506001600055", 21_000 + 11 + 2100 + 2900, 15_000 + 11 + 2100 + 10_100);
    }

    function test_AClearedSlotGivesBackAtMostAFifth() public {
        vm.store(CODE, 0, bytes32(uint256(2)));
        _assertCost(hex"6000600055", 21_000 + 6 + 5000 - 4800, 27_106 - uint256(27_106) / 5);
    }

    function test_AValueUndone() public {
        vm.store(CODE, 0, bytes32(uint256(2)));
        _assertCost(hex"60016000556002600055", 21_000 + 12 + 5100 - 2800, 27_212 - uint256(27_212) / 5);
    }

    function test_ACallOfAnotherAccountWithCoins() public {
        // CALL(gas, PAID, 1, 0, 0, 0, 0)
        bytes memory code = abi.encodePacked(hex"60006000600060006001", hex"73", PAID, hex"5af100");
        vm.etch(CODE, code);
        Cost memory cost = _measure(SENDER, CODE, 1, "");
        // The stipend of 2,300 is given back: nobody uses it.
        assertEq(cost.today, 21_000 + 20 + 2600 + 6700, "today");
        assertEq(cost.next, 15_000 + 6000 + 20 + 3000 + 9000, "after the fork");
    }

    function _assertCost(bytes memory code, uint256 today, uint256 next) private {
        vm.etch(CODE, code);
        Cost memory cost = _measure(SENDER, CODE, 0, "");
        assertEq(cost.today, today, "today");
        assertEq(cost.next, next, "after the fork");
    }
}
