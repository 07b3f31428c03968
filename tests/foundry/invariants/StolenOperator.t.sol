// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";
import {Actions} from "./Actions.sol";
import {Refusals} from "./Refusals.sol";
import {Stage} from "./Stage.sol";

/// @title A thief with the operator's key, and accomplices who register as clients.
/// @notice The owner is asleep; honest clients go on working, leaving and claiming. Everybody keeps their own money.
contract Thief is Refusals {
    uint256 public constant HONEST = 7;

    uint256 public carriedAtTheft;
    uint256 public livePoolAtTheft;
    uint256 public roundsAtTheft;
    mapping(address client => uint256) public stakeAtTheft;
    mapping(address client => uint256) public owedAtTheft;
    mapping(address client => uint256) public heldAtTheft;

    /// @dev The key is stolen while a round is live, with money carried, owed and staked.
    constructor(IFederation.FederationTerms memory terms) Stage(terms) {
        for (uint256 i; i < HONEST; ++i) {
            _register(clients[i]);
        }
        _honestRound(1_000_000);
        _waitUntil(_rounds[rounds].opening.aggregationDeadline);
        _honestRound(3_000_001);
        _setOperator(operators[0]);

        (carriedAtTheft, livePoolAtTheft, roundsAtTheft) = (carried, livePool, rounds);
        for (uint256 i; i < HONEST; ++i) {
            stakeAtTheft[clients[i]] = stakeOf[clients[i]];
            owedAtTheft[clients[i]] = owedTo[clients[i]];
            heldAtTheft[clients[i]] = held(clients[i]);
        }
    }

    /// @notice The most that the finalizations since the theft can have slashed of a client's stake.
    function mostSlashed(address client) external view returns (uint256) {
        uint256 left = stakeAtTheft[client];
        for (uint256 round = roundsAtTheft; round <= rounds; ++round) {
            if (_rounds[round].finalized && hasUpdate(round, client)) left -= left * _terms.maxSlashRate / 10_000;
        }
        return stakeAtTheft[client] - left;
    }

    /// @notice The owner wakes: no thief any more, and as soon as the live round is over the federation is wound up.
    /// @return withdrawn What the owner gets.
    function recover() external returns (uint256 withdrawn) {
        address thief = operator;
        _setOperator(address(0));
        vm.prank(thief);
        (bool success,) =
            address(federation).call(abi.encodeCall(federation.openRound, (_drawTerms(), digestOf(rounds))));
        assertFalse(success, "the thief still opens rounds");
        this.evacuate();
        vm.prank(owner);
        federation.close();
        return _withdraw(owner);
    }

    /// @notice The worst that one finalization can do: every honest update rejected and slashed as far as it goes.
    function finalizeForTheWorst() external action(0) {
        _waitUntil(_rounds[rounds].opening.trainingDeadline);
        _finalize(operator, _worstAdjustments());
    }

    /// @notice Rounds in which accomplices earn what there is to earn, as long as that is more than they are.
    function plunder() external action(0) {
        for (uint256 i = HONEST; i < CLIENTS; ++i) {
            _register(clients[i]);
        }
        while (carried > CLIENTS - HONEST) {
            _open(operator, _worstTerms());
            _waitUntil(time() + 1);
            for (uint256 i = HONEST; i < CLIENTS; ++i) {
                _submit(clients[i], _rounds[rounds].opening.maxComputeMs);
            }
            _waitUntil(_rounds[rounds].opening.trainingDeadline);
            _finalize(operator, new IFederation.Adjustment[](0));
        }
    }

    function thiefsGain() external view returns (int256 gain) {
        gain = int256(held(operators[0])) - int256(endowed[operators[0]]);
        for (uint256 i = HONEST; i < CLIENTS; ++i) {
            gain += int256(held(clients[i])) - int256(endowed[clients[i]]);
        }
    }

    function _honestRound(uint112 reward) private {
        IFederation.RoundTerms memory terms = IFederation.RoundTerms({
            planCid: _planOf(rounds + 1),
            sealingKey: _sealingKeyOf(rounds + 1),
            trainingPeriod: 1 hours,
            aggregationPeriod: 1 hours,
            maxUpdates: 1000,
            maxComputeMs: 10_000,
            selectionRate: 10_000,
            rewardRateCap: 9999 * 10 ** 9,
            reward: reward
        });
        _open(owner, terms);
        _waitUntil(time() + 9);
        for (uint256 i; i < HONEST; ++i) {
            _submit(clients[i], uint32(_draw(1, 10_000)));
        }
    }

    /// @dev The highest wage that the pool allows, and nothing added to it.
    function _worstTerms() private returns (IFederation.RoundTerms memory terms) {
        terms = super._drawTerms();
        (terms.maxUpdates, terms.selectionRate, terms.maxComputeMs) = (1000, 10_000, 1000);
        terms.reward = 0;
        terms.rewardRateCap = uint112(_mostRateCap(terms));
    }

    function _worstAdjustments() private view returns (IFederation.Adjustment[] memory adjustments) {
        adjustments = new IFederation.Adjustment[](HONEST);
        uint256 count;
        for (uint256 i; i < HONEST; ++i) {
            if (!hasUpdate(rounds, clients[i])) continue;
            adjustments[count++] = IFederation.Adjustment(clients[i], 0, _terms.maxSlashRate);
        }
        assembly ("memory-safe") {
            mstore(adjustments, count)
        }
    }

    function _organizer() internal view override returns (address) {
        return operator;
    }

    /// @dev That adjusting pays nobody is another invariant.
    function _compare(address, IFederation.Adjustment[] memory) internal pure override {}

    function _recipient(address client) internal pure override returns (address payable) {
        return payable(client);
    }

    /// @dev Who is honest and has left stays away.
    function _mayRegister(address client) internal view override returns (bool) {
        if (!super._mayRegister(client)) return false;
        for (uint256 i; i < HONEST; ++i) {
            if (client == clients[i]) return false;
        }
        return true;
    }

    function _drawTerms() internal override returns (IFederation.RoundTerms memory) {
        return _oneIn(2) ? _worstTerms() : super._drawTerms();
    }

    function _drawAdjustments() internal override returns (IFederation.Adjustment[] memory) {
        return _oneIn(2) ? _worstAdjustments() : super._drawAdjustments();
    }
}

/// @title A stolen operator key costs at most the live pool, what is carried, and each round's bounded slashes.
abstract contract StolenOperatorInvariants is Test {
    Thief internal thief;

    function setUp() public {
        thief = new Thief(_terms());
        targetContract(address(thief));
        targetSelector(FuzzSelector(address(thief), _selectors()));
    }

    function _terms() internal virtual returns (IFederation.FederationTerms memory);

    /// @notice Whatever the thief does, the owner can stop it, and clients get what was owed and what bounded slashes
    /// leave of their stakes.
    function invariant_ClientsLoseNoMoreThanBoundedSlashes() public {
        uint256 snapshot = vm.snapshotState();
        thief.recover();
        for (uint256 i; i < thief.HONEST(); ++i) {
            address client = thief.clients(i);
            uint256 had = thief.heldAtTheft(client) + thief.owedAtTheft(client) + thief.stakeAtTheft(client);
            assertGe(thief.held(client) + thief.mostSlashed(client), had, "lost more than slashes");
        }
        vm.revertToStateAndDelete(snapshot);
    }

    /// @notice What the owner and the clients lose together stays below live pool + carried + slashes.
    function invariant_AllLossesTogetherStayBelowTheBound() public {
        uint256 snapshot = vm.snapshotState();
        uint256 pools = thief.livePoolAtTheft() + thief.carriedAtTheft();
        int256 lost = int256(pools) - int256(thief.recover());
        uint256 slashes;
        for (uint256 i; i < thief.HONEST(); ++i) {
            address client = thief.clients(i);
            uint256 had = thief.heldAtTheft(client) + thief.owedAtTheft(client) + thief.stakeAtTheft(client);
            lost += int256(had) - int256(thief.held(client));
            slashes += thief.mostSlashed(client);
        }
        assertLe(lost, int256(pools + slashes), "lost more than the bound");
        vm.revertToStateAndDelete(snapshot);
    }

    /// @notice Slashes and stakes enrich no thief: the most there is to win are the live pool and what is carried.
    function invariant_TheThiefWinsAtMostLivePoolAndCarried() public {
        uint256 snapshot = vm.snapshotState();
        thief.recover();
        assertLe(thief.thiefsGain(), int256(thief.livePoolAtTheft() + thief.carriedAtTheft()), "won more");
        vm.revertToStateAndDelete(snapshot);
    }

    /// @notice The bound is no exaggeration: a thief that knows what it wants takes all of it.
    function test_TheWorstThiefReachesTheBound() public {
        uint256 pools = thief.livePoolAtTheft() + thief.carriedAtTheft();
        thief.finalizeForTheWorst();
        uint256 winnable = thief.carried();
        thief.plunder();
        uint256 accomplices = thief.CLIENTS() - thief.HONEST();

        assertLe(thief.recover(), accomplices, "the owner loses everything that was not owed, some units aside");
        uint256 rounding = accomplices * (thief.rounds() - thief.roundsAtTheft() + 1);
        assertApproxEqAbs(thief.thiefsGain(), int256(winnable), rounding, "and the thief wins what was not forfeited");
        assertLt(winnable, pools);
        for (uint256 i; i < thief.HONEST(); ++i) {
            address client = thief.clients(i);
            uint256 had = thief.heldAtTheft(client) + thief.owedAtTheft(client) + thief.stakeAtTheft(client);
            assertGt(thief.mostSlashed(client), 0);
            assertEq(thief.held(client), had - thief.mostSlashed(client), "and every client what may be slashed");
        }
    }

    function _selectors() private pure returns (bytes4[] memory selectors) {
        bytes4[14] memory listed = [
            Actions.wait.selector,
            Actions.register.selector,
            Actions.leave.selector,
            Actions.open.selector,
            Actions.submit.selector,
            Actions.relayUpdates.selector,
            Actions.retire.selector,
            Actions.finalize.selector,
            Actions.run.selector,
            Actions.run.selector,
            Actions.claim.selector,
            Actions.claimFor.selector,
            Refusals.actWithoutRight.selector,
            Refusals.finalizeWrongly.selector
        ];
        selectors = new bytes4[](listed.length);
        for (uint256 i; i < listed.length; ++i) {
            selectors[i] = listed[i];
        }
    }
}

/// @notice To wind up a federation takes long: it is done now and then, and after the last action.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.check-interval = 20
/// forge-config: prove.invariant.fail-on-revert = true
/// forge-config: prove.invariant.check-interval = 20
contract NativeStolenOperatorInvariants is StolenOperatorInvariants {
    function _terms() internal pure override returns (IFederation.FederationTerms memory) {
        return IFederation.FederationTerms({
            asset: address(0),
            stake: 1_000_003,
            maxSlashRate: 3333,
            admission: IFederation.Admission.Open,
            auditPolicy: IFederation.AuditPolicy.Open,
            maxSpread: 1,
            idleRounds: 1
        });
    }
}

/// @notice To wind up a federation takes long: it is done now and then, and after the last action.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.check-interval = 20
/// forge-config: prove.invariant.fail-on-revert = true
/// forge-config: prove.invariant.check-interval = 20
contract TokenStolenOperatorInvariants is StolenOperatorInvariants {
    function _terms() internal override returns (IFederation.FederationTerms memory) {
        return IFederation.FederationTerms({
            asset: vm.deployCode("Token.sol:Token"),
            stake: 1 ether,
            maxSlashRate: 10_000,
            admission: IFederation.Admission.Open,
            auditPolicy: IFederation.AuditPolicy.Appointed,
            maxSpread: type(uint16).max,
            idleRounds: 0
        });
    }
}
