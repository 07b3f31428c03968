// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Token} from "../../contracts/mocks/Token.sol";
import {Base} from "./Base.sol";

/// @title What transactions cost, kept in snapshots/, and the most that they may.
/// @notice Every call is a transaction of its own: 21,000 and the data are included, refunds deducted. As it is day by
/// day: of accounts that exist, and not in the first round.
abstract contract Gas is Base {
    uint256 internal constant FINALIZE = 82_000;
    uint256 internal constant ADJUSTMENT = 8000;
    uint32 internal constant MS = 99_999;
    uint16 internal constant SLASH_RATE = 2500;

    /// @dev In ascending order.
    address[] internal _clients;

    function setUp() public virtual override {
        (terms.stake, terms.maxSlashRate) = (1 ether, SLASH_RATE);
        super.setUp();
    }

    /// @dev Until there are so many; all keep some of the asset for themselves.
    function _registerUpTo(uint256 count) internal {
        for (uint256 i = _clients.length; i < count; ++i) {
            address client = address(uint160((0x1111 + i) << 144 | uint256(keccak256(abi.encode(i))) >> 112));
            _clients.push(client);
            _endow(client, 1);
            _register(client);
        }
    }

    /// @dev A round with an update by every client, whose training is over.
    function _aggregating() internal {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.maxUpdates = 1000;
        _open(roundTerms);
        skip(100);
        for (uint256 i; i < _clients.length; ++i) {
            _submit(_clients[i], MS);
        }
        vm.warp(_view().trainingDeadline);
    }

    /// @dev The first of the clients are credited a little less, and slashed.
    function _adjusting(uint256 count, uint16 slashRate)
        internal
        view
        returns (IFederation.Adjustment[] memory adjustments)
    {
        adjustments = new IFederation.Adjustment[](count);
        for (uint256 i; i < count; ++i) {
            adjustments[i] = _adjustment(_clients[i], MS - 1, slashRate);
        }
    }
}

abstract contract TransactionGas is Gas {
    function setUp() public override {
        super.setUp();
        _registerUpTo(3);
        _aggregating();
        _finalize();
    }

    function test_Registering() public {
        _register(ADA);
        _assertCeiling(_cost("register"), 100_000);
    }

    function test_RegisteringWithAVoucher() public {
        terms.admission = IFederation.Admission.Voucher;
        _create();
        for (uint256 id; id < 2; ++id) {
            address client = id == 0 ? ADA : BOB;
            uint256 coins = _endow(client, terms.stake);
            uint40 expiry = type(uint40).max;
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(OWNER_KEY, federation.voucherDigest(client, id, expiry));
            vm.prank(client);
            federation.registerWithVoucher{value: coins}(id, expiry, abi.encodePacked(r, s, v));
        }
        _cost("registerWithVoucher");
    }

    function test_Leaving() public {
        _leave(_clients[1]);
        _cost("leave");
    }

    function test_Opening() public {
        _open();
        _cost("openRound");
    }

    function test_Submitting() public {
        _open();
        _submit(_clients[0], MS);
        _submit(_clients[1], MS);
        _assertCeiling(_cost("submitUpdate"), 88_000);
    }

    function test_Claiming() public {
        _aggregating();
        _finalize();
        _claim(_clients[0], 1);
        uint256 one = _cost("claim, 1 round");
        vm.prank(_clients[1]);
        federation.claim(_list(1, 2), payable(_clients[1]));
        uint256 two = _cost("claim, 2 rounds");
        federation.claimFor(payable(_clients[2]), _list(1, 2));
        _cost("claimFor, 2 rounds");

        _assertCeiling(one, 47_000);
        _assertCeiling(two - one, 14_000);
    }

    function test_Finalizing() public {
        uint256 without = _costOfFinalizing(0, 0, "finalizeRound");
        uint256 adjusting = _costOfFinalizing(1, 0, "finalizeRound, 1 adjusted");
        _costOfFinalizing(1, SLASH_RATE, "finalizeRound, 1 adjusted and slashed");

        _assertCeiling(without, FINALIZE);
        _assertCeiling(adjusting - without, ADJUSTMENT);
    }

    function _costOfFinalizing(uint256 adjusted, uint16 slashRate, string memory name) private returns (uint256) {
        _aggregating();
        _finalize(_adjusting(adjusted, slashRate));
        return _cost(name);
    }

    /// @dev Of the latest transaction.
    function _cost(string memory name) private returns (uint256 gas) {
        return vm.snapshotGasLastCall(terms.asset == address(0) ? "native" : "token", name);
    }

    /// @dev The ceilings are those of the native coin.
    function _assertCeiling(uint256 gas, uint256 ceiling) private view {
        if (terms.asset == address(0)) assertLe(gas, ceiling);
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
        _aggregating();
        _finalize();
    }

    function test_AcceptingCostsTheSameForAnyNumberOfClients() public {
        uint256 eight = _settle(8, 0, 0, "8 clients");
        uint256 sixteen = _settle(16, 0, 0, "16 clients");
        uint256 thousand = _settle(1000, 0, 0, "1000 clients");
        assertLe(thousand, FINALIZE);
        assertLt(thousand - eight, 100, "bytes of zero cost less than others");
        assertLt(thousand - sixteen, 100, "bytes of zero cost less than others");
    }

    function test_AdjustingAThousandClientsFitsIntoATransaction() public {
        assertLe(_settle(1000, 1000, 0, "1000 clients, all adjusted"), FINALIZE + 1000 * ADJUSTMENT);
    }

    function test_SlashingAThousandClientsFitsIntoATransaction() public {
        assertLt(_settle(1000, 1000, SLASH_RATE, "1000 clients, all adjusted and slashed"), TRANSACTION);
    }

    function _settle(uint256 count, uint256 adjusted, uint16 slashRate, string memory name) private returns (uint256) {
        _registerUpTo(count);
        _aggregating();
        _finalize(_adjusting(adjusted, slashRate));
        return vm.snapshotGasLastCall("settlement", name);
    }
}
