// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";
import {IFactory} from "./Stage.sol";

/// @title No call's cost grows with the number of clients: the same story with few and with many.
/// @notice What an adjustment or an entry of a batch costs does not depend on that number either; only how many there
/// are does.
contract GrowthTest is Test {
    uint256 private constant FEW = 12;
    uint256 private constant MANY = 400;
    /// @dev Numbers written with more bytes that are not zero cost as much: no calldata is counted.
    uint256 private constant TOLERANCE = 60;
    uint128 private constant STAKE = 1000;
    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant UPDATE =
        keccak256("Update(uint24 round,bytes32 sealingKey,bytes32 updateCid,uint32 computeMs)");
    bytes32 private constant REGISTRATION = keccak256("Registration(uint24 round,uint40 deadline)");
    bytes32 private constant LEAVING = keccak256("Leaving(uint24 round,address to,uint40 deadline)");

    IFactory private _factory;
    IFederation private _federation;
    address[] private _clients;
    mapping(address client => uint256) private _keys;
    string[] private _names;
    uint256[] private _gas;

    function test_NoCallCostsMoreWhereThereAreMoreClients() public {
        _factory = IFactory(vm.deployCode("FederationFactory.sol:FederationFactory"));
        _tell(FEW);
        (string[] memory names, uint256[] memory few) = (_names, _gas);
        delete _names;
        delete _gas;
        _tell(MANY);

        assertEq(_gas.length, few.length);
        assertGt(few.length, 40);
        for (uint256 i; i < few.length; ++i) {
            assertApproxEqAbs(_gas[i], few[i], TOLERANCE, names[i]);
        }
    }

    /// @dev Every function of a federation that changes anything, called where the number of clients could tell.
    function _tell(uint256 count) private {
        _prepare(count, STAKE);
        _tellFirstRound(count);
        _tellSecondRound(count);
        _tellThirdRound(count);
        _tellViews();
        _tellTheEnd();
        _prepare(count, 0);
        _tellSignedCalls(count);
    }

    function _tellFirstRound(uint256 count) private {
        _open();
        _submitFrom(3, count);
        address client = _clients[0];
        _call("submitUpdate", client, 0, _submission(client));
        _call("submitUpdates", address(this), 0, _batch(_clients[1]));
        _view("roundView live", abi.encodeCall(IFederation.roundView, (client)));
        _call("decline", _clients[2], 0, abi.encodeCall(IFederation.decline, (1, _sealingKeyOf(1))));
        _call("leave live", client, 0, abi.encodeCall(IFederation.leave, (payable(client))));
        _call("leave live again", _clients[1], 0, abi.encodeCall(IFederation.leave, (payable(client))));
        _call("fund", address(this), 10, abi.encodeCall(IFederation.fund, (10)));
        _call("finalizeRound", address(this), 0, _finalization(0));
        _call("leave over", client, 0, abi.encodeCall(IFederation.leave, (payable(client))));
        _call("register next to leavers", client, STAKE, abi.encodeCall(IFederation.register, ()));
        _call("register", _newClient(), STAKE, abi.encodeCall(IFederation.register, ()));
    }

    function _tellSecondRound(uint256 count) private {
        _open();
        _call("leave awaited", _clients[2], 0, abi.encodeCall(IFederation.leave, (payable(address(this)))));
        _submitFrom(3, count);
        _call("submitUpdate that books", _clients[0], 0, _submission(_clients[0]));
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        _call("finalizeRound that adjusts", address(this), 0, _finalization(1));
        _call("claim", _clients[3], 0, abi.encodeCall(IFederation.claim, (payable(_clients[3]))));
        _call("claimFor", address(this), 0, abi.encodeCall(IFederation.claimFor, (payable(_clients[4]))));
    }

    /// @dev Nobody but the first client takes part, and the organization does not either.
    function _tellThirdRound(uint256 count) private {
        _open();
        _call("submitUpdate that books a slash", _clients[0], 0, _submission(_clients[0]));
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        _call("retire", address(this), 0, abi.encodeCall(IFederation.retire, (_clients[3])));
        _call("leave idle", _clients[4], 0, abi.encodeCall(IFederation.leave, (payable(_clients[4]))));
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        _open();
        _submitFrom(5, count);
    }

    function _tellViews() private {
        _view("roundView", abi.encodeCall(IFederation.roundView, (_clients[5])));
        _view("balanceOf", abi.encodeCall(IFederation.balanceOf, (_clients[5])));
        _view("members", abi.encodeCall(IFederation.members, (1, 2)));
        _view("updates", abi.encodeCall(IFederation.updates, (1, 1)));
        _view("seatCount", abi.encodeCall(IFederation.seatCount, ()));
        _view("memberCount", abi.encodeCall(IFederation.memberCount, ()));
        _view("carried", abi.encodeCall(IFederation.carried, ()));
        _view("phase", abi.encodeCall(IFederation.phase, ()));
        _view("results", abi.encodeCall(IFederation.results, (1)));
        _view("record", abi.encodeCall(IFederation.record, ()));
        _view("latestRelease", abi.encodeCall(IFederation.latestRelease, ()));
    }

    function _tellTheEnd() private {
        address client = _clients[5];
        _call("post", client, 0, abi.encodeCall(IFederation.post, ("topic", "cid")));
        _call("setOperator", address(this), 0, abi.encodeCall(IFederation.setOperator, (client)));
        _call("pause", address(this), 0, abi.encodeCall(IFederation.pause, ()));
        _call("unpause", address(this), 0, abi.encodeCall(IFederation.unpause, ()));
        _call("revokeVoucher", address(this), 0, abi.encodeCall(IFederation.revokeVoucher, (1)));
        _call("transferOwnership", address(this), 0, abi.encodeCall(IFederation.transferOwnership, (client)));
        _call("acceptOwnership", client, 0, abi.encodeCall(IFederation.acceptOwnership, ()));
        _call("close", client, 0, abi.encodeCall(IFederation.close, ()));
        vm.warp(vm.getBlockTimestamp() + 2 hours);
        _call("withdraw", client, 0, abi.encodeCall(IFederation.withdraw, (payable(client))));
    }

    function _tellSignedCalls(uint256 count) private {
        _open();
        _submitFrom(1, count);
        uint40 deadline = uint40(vm.getBlockTimestamp() + 1);
        address client = _newClient();
        bytes32 registration = keccak256(abi.encode(REGISTRATION, 1, deadline));
        bytes memory call_ = abi.encodeCall(
            IFederation.registerSigned,
            (client, deadline, _sign(client, registration), IFederation.Voucher({id: 0, expiry: 0, signature: ""}))
        );
        _call("registerSigned", address(this), 0, call_);
        client = _clients[0];
        bytes32 leaving = keccak256(abi.encode(LEAVING, 1, client, deadline));
        call_ = abi.encodeCall(IFederation.leaveSigned, (client, payable(client), deadline, _sign(client, leaving)));
        _call("leaveSigned", address(this), 0, call_);
        _call("register again", client, 0, abi.encodeCall(IFederation.register, ()));
        _call("finalizeRound without stakes", address(this), 0, _finalization(0));
    }

    // -------------------------------------------------------------------------------------------- measuring

    function _call(string memory name, address who, uint256 value, bytes memory call_) private {
        vm.deal(who, value + 1);
        vm.cool(address(_federation));
        vm.prank(who);
        (bool success,) = address(_federation).call{value: value}(call_);
        _measured(name, success);
    }

    function _view(string memory name, bytes memory call_) private {
        vm.cool(address(_federation));
        (bool success,) = address(_federation).staticcall(call_);
        _measured(name, success);
    }

    function _measured(string memory name, bool success) private {
        _gas.push(vm.lastCallGas().gasTotalUsed);
        _names.push(name);
        assertTrue(success, name);
    }

    // ---------------------------------------------------------------------------------------------- the story

    function _prepare(uint256 count, uint128 stake) private {
        IFederation.FederationTerms memory terms = IFederation.FederationTerms({
            asset: address(0),
            stake: stake,
            maxSlashRate: stake == 0 ? 0 : 5000,
            admission: IFederation.Admission.Open,
            auditPolicy: IFederation.AuditPolicy.Open,
            maxSpread: 1,
            idleRounds: 1
        });
        _federation = IFederation(_factory.createFederation(terms, uint64(count)));
        _federation.setInitialModel(keccak256(abi.encode("model", 0)));
        delete _clients;
        for (uint256 i; i < count; ++i) {
            address client = _newClient();
            vm.deal(client, stake);
            vm.prank(client);
            _federation.register{value: stake}();
        }
    }

    function _newClient() private returns (address client) {
        uint256 key = uint256(keccak256(abi.encode("client", _clients.length)));
        client = vm.addr(key);
        _keys[client] = key;
        _clients.push(client);
    }

    function _open() private {
        uint24 round = _federation.roundCount() + 1;
        IFederation.RoundTerms memory terms = IFederation.RoundTerms({
            planCid: keccak256(abi.encode("plan", round)),
            sealingKey: _sealingKeyOf(round),
            trainingPeriod: 1 hours,
            aggregationPeriod: 1 hours,
            maxUpdates: 1000,
            maxComputeMs: 1000,
            selectionRate: 10_000,
            rewardRateCap: 10 ** 15,
            reward: 10 ** 9
        });
        bytes20 digest = _federation.roundView(address(0)).digest;
        vm.deal(address(this), terms.reward);
        _call("openRound", address(this), terms.reward, abi.encodeCall(IFederation.openRound, (terms, digest)));
    }

    function _sealingKeyOf(uint256 round) private pure returns (bytes32) {
        return keccak256(abi.encode("sealing key", round));
    }

    /// @dev All selected clients from this one on, of those who were there at the beginning.
    function _submitFrom(uint256 first, uint256 count) private {
        for (uint256 i = first; i < count; ++i) {
            address client = _clients[i];
            if (!_federation.roundView(client).client.selected) continue;
            bytes memory call_ = _submission(client);
            vm.prank(client);
            (bool success,) = address(_federation).call(call_);
            assertTrue(success, "submission");
        }
    }

    function _submission(address client) private view returns (bytes memory) {
        uint24 round = _federation.roundCount();
        bytes32 cid = keccak256(abi.encode("update", round, client));
        return abi.encodeCall(IFederation.submitUpdate, (round, _sealingKeyOf(round), cid, 1000));
    }

    function _batch(address client) private view returns (bytes memory) {
        uint24 round = _federation.roundCount();
        (bytes32 key, bytes32 cid) = (_sealingKeyOf(round), keccak256(abi.encode("update", round, client)));
        IFederation.Signature memory signature = _sign(client, keccak256(abi.encode(UPDATE, round, key, cid, 1000)));
        IFederation.SignedUpdate[] memory signed = new IFederation.SignedUpdate[](1);
        signed[0] = IFederation.SignedUpdate(cid, 1000, signature.r, signature.vs);
        return abi.encodeCall(IFederation.submitUpdates, (round, key, signed));
    }

    function _sign(address client, bytes32 structHash) private view returns (IFederation.Signature memory) {
        bytes32 domain =
            keccak256(abi.encode(DOMAIN, keccak256("Koinon"), keccak256("2"), block.chainid, address(_federation)));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", domain, structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_keys[client], digest);
        return IFederation.Signature(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    /// @dev Of the latest round; lowers and slashes so many of the first clients.
    function _finalization(uint256 adjusted) private view returns (bytes memory) {
        uint24 round = _federation.roundCount();
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](adjusted);
        for (uint256 i; i < adjusted; ++i) {
            adjustments[i] = IFederation.Adjustment(_clients[i], 1, 5000);
        }
        return abi.encodeCall(
            IFederation.finalizeRound,
            (IFederation.Finalization({
                    round: round,
                    digest: _federation.roundView(address(0)).digest,
                    modelCid: keccak256(abi.encode("model", round)),
                    reportCid: keccak256(abi.encode("report", round)),
                    secret: keccak256(abi.encode("secret", round)),
                    adjustments: adjustments
                }))
        );
    }

    receive() external payable {}
}
