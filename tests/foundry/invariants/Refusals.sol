// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";
import {Actions} from "./Actions.sol";

/// @title What a federation must refuse, as things stand, with the error that names the rule.
abstract contract Refusals is Actions {
    /// @notice A registration that breaks a rule.
    function registerWrongly(uint256 seed) external action(seed) {
        address client = _drawClient();
        uint256 rule = _draw(0, 5);
        if (rule == 0) return _refuseOtherAdmission(client);
        if (rule < 4 && _terms.admission == IFederation.Admission.Voucher) return _refuseVoucher(client, rule);

        bytes4 error;
        uint256 amount = _terms.stake;
        if (closed) {
            error = IFederation.FederationIsClosed.selector;
        } else if (positionOf[client] != 0) {
            error = IFederation.AlreadyRegistered.selector;
        } else if (stakeOf[client] != 0) {
            error = IFederation.StakeNotReturned.selector;
        } else {
            error = IFederation.WrongAmount.selector;
            amount = _draw(0, 2 * amount);
            vm.assume(amount != _terms.stake && _native());
        }
        _refused(client, _endow(client, amount), _registration(client), error);
    }

    /// @notice A submission that breaks a rule.
    function submitWrongly(uint256 seed) external action(seed) {
        uint256 rule = _draw(0, 6);
        address client = _drawClient();
        if (phaseOf(rounds) != IFederation.Phase.Training) {
            return _refuseSubmission(client, 1, IFederation.WrongPhase.selector);
        }
        if (positionOf[client] == 0) return _refuseSubmission(client, 1, IFederation.NotRegistered.selector);
        if (hasUpdate(rounds, client)) return _refuseSubmission(client, 1, IFederation.AlreadySubmitted.selector);
        if (!_maySubmit(client)) return _refuseSubmission(client, 1, IFederation.NotSelected.selector);
        if (rule == 0) return _refuseSubmission(client, 0, IFederation.ComputeTimeOutOfBounds.selector);
        if (rule == 1) return _refuseSubmission(stranger, 1, IFederation.NotRegistered.selector);
        if (rule == 2) {
            bytes memory call_ = abi.encodeCall(federation.submitUpdate, (rounds, "another key", "update", 1, 1));
            return _refused(client, 0, call_, IFederation.WrongSealingKey.selector);
        }
        uint256 most = _oneIn(2) ? _boundMs() + 1 : _draw(_boundMs() + 1, type(uint32).max);
        _refuseSubmission(client, most, IFederation.ComputeTimeOutOfBounds.selector);
    }

    /// @notice Money asked for that is not owed.
    function takeWrongly(uint256 seed) external action(seed) {
        address client = _drawClient();
        uint32[] memory asked = new uint32[](1);
        asked[0] = uint32(_draw(0, rounds + 1));
        bool settled = _rounds[asked[0]].settled;
        if (_oneIn(3)) {
            vm.assume(!_mayLeave(client));
            bytes4 error = stakeOf[client] > 0 ? IFederation.StakeIsLocked.selector : IFederation.NotRegistered.selector;
            return _refused(client, 0, abi.encodeCall(federation.leave, (payable(purse))), error);
        }
        bytes memory call_ = _oneIn(2)
            ? abi.encodeCall(federation.claim, (asked, payable(purse)))
            : abi.encodeCall(federation.claimFor, (payable(client), asked));
        if (!settled) return _refused(client, 0, call_, IFederation.RoundIsLive.selector);
        if (!hasUpdate(asked[0], client)) return _refused(client, 0, call_, IFederation.NoUpdate.selector);
        _refused(client, 0, abi.encodeCall(federation.claim, (asked, payable(0))), IFederation.ZeroValue.selector);
    }

    /// @notice A round opened, funded or closed against the rules.
    function openWrongly(uint256 seed) external action(seed) {
        IFederation.RoundTerms memory terms = _drawTerms();
        uint256 rule = _draw(0, 5);
        if (rule == 0) {
            uint256 coins = _endow(stranger, MAX_AMOUNT);
            vm.assume(carried + livePool > 0 || closed);
            bytes4 error = closed ? IFederation.FederationIsClosed.selector : IFederation.AmountTooLarge.selector;
            return _refused(stranger, coins, abi.encodeCall(federation.fund, (type(uint128).max)), error);
        }
        if (rule == 1) {
            vm.assume(closed || isLive());
            bytes4 error = closed ? IFederation.FederationIsClosed.selector : IFederation.RoundIsLive.selector;
            return _refused(owner, 0, abi.encodeCall(federation.close, ()), error);
        }
        if (rule == 2) {
            vm.assume(!closed);
            bytes memory call_ = abi.encodeCall(federation.withdraw, (payable(owner)));
            return _refused(owner, 0, call_, IFederation.FederationIsOpen.selector);
        }
        if (paused) return _refuseOpening(owner, terms, Pausable.EnforcedPause.selector);
        if (closed) return _refuseOpening(owner, terms, IFederation.FederationIsClosed.selector);
        if (isLive()) return _refuseOpening(owner, terms, IFederation.RoundIsLive.selector);
        if (registrations == 0) return _refuseOpening(owner, terms, IFederation.NoMembers.selector);
        if (rule == 3) {
            terms.rewardRateCap = 0;
            return _refuseOpening(owner, terms, IFederation.ZeroValue.selector);
        }
        if (rule == 4) {
            terms.aggregationPeriod = 29;
            return _refuseOpening(owner, terms, IFederation.PeriodOutOfBounds.selector);
        }
        terms.maxUpdates = 1001;
        _refuseOpening(owner, terms, IFederation.MaxUpdatesOutOfBounds.selector);
    }

    /// @notice A finalization that breaks a rule.
    function finalizeWrongly(uint256 seed) external action(seed) {
        uint256 rule = _draw(0, 6);
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](2);
        if (phaseOf(rounds) != IFederation.Phase.Aggregating) {
            return _refuseFinalization(new IFederation.Adjustment[](0), IFederation.WrongPhase.selector);
        }
        address[] memory submitted = _rounds[rounds].clients;
        address client = submitted[_draw(0, submitted.length - 1)];
        uint32 claimedMs = uint32(_updates[rounds][client].claimedMs);
        adjustments[0] = IFederation.Adjustment(client, claimedMs - 1, _terms.maxSlashRate);
        adjustments[1] = adjustments[0];
        if (rule == 0) return _refuseFinalization(adjustments, IFederation.AdjustmentsNotAscending.selector);
        if (rule == 1) {
            adjustments[1] = IFederation.Adjustment(address(uint160(client) - 1), 0, 0);
            return _refuseFinalization(adjustments, IFederation.AdjustmentsNotAscending.selector);
        }
        if (rule == 2) {
            adjustments[1] = IFederation.Adjustment(address(type(uint160).max), 0, 0);
            return _refuseFinalization(adjustments, IFederation.NoUpdate.selector);
        }
        if (rule == 3) {
            adjustments[0].creditedMs = uint32(_draw(claimedMs, type(uint32).max));
            return _refuseFinalization(adjustments, IFederation.AdjustmentNotLower.selector);
        }
        if (rule == 4) {
            adjustments[0].slashRate = uint16(_draw(_terms.maxSlashRate + 1, type(uint16).max));
            return _refuseFinalization(adjustments, IFederation.SlashRateTooHigh.selector);
        }
        (uint256 total,) = totals(rounds);
        bytes memory call_ = abi.encodeCall(
            federation.finalizeRound,
            (
                rounds,
                uint16(submitted.length + (rule == 5 ? 0 : 1)),
                uint48(total + (rule == 5 ? 1 : 0)),
                "model",
                "report",
                new IFederation.Adjustment[](0),
                ""
            )
        );
        _refused(owner, 0, call_, IFederation.WrongUpdates.selector);
    }

    /// @notice What is the owner's, tried by others; what is the organization's, tried by strangers.
    function actWithoutRight(uint256 seed) external action(seed) {
        address[5] memory others = [operator, stranger, clients[0], operators[0], owners[1]];
        address who = others[_draw(0, 4)];
        vm.assume(who != owner && who != address(0));
        if (who != operator && _oneIn(2)) {
            bytes4 error = IFederation.NeitherOwnerNorOperator.selector;
            if (_oneIn(2)) return _refused(who, 0, _finalizeCall(new IFederation.Adjustment[](0)), error);
            return _refuseOpening(who, _drawTerms(), error);
        }
        bytes[7] memory calls = [
            abi.encodeCall(federation.close, ()),
            abi.encodeCall(federation.withdraw, (payable(who))),
            abi.encodeCall(federation.setOperator, (who)),
            abi.encodeCall(Ownable.transferOwnership, (who)),
            abi.encodeCall(federation.pause, ()),
            abi.encodeCall(federation.unpause, ()),
            abi.encodeCall(federation.revokeVoucher, (_draw()))
        ];
        _refused(who, 0, calls[_draw(0, 6)], Ownable.OwnableUnauthorizedAccount.selector);
    }

    // ----------------------------------------------------------------------------------------------- internal

    function _refused(address who, uint256 coins, bytes memory call_, bytes4 error) private {
        vm.prank(who);
        (bool success, bytes memory answer) = address(federation).call{value: coins}(call_);
        assertFalse(success, "allowed what must be refused");
        assertEq(bytes4(answer), error, "refused for another reason");
    }

    function _refuseSubmission(address client, uint256 computeMs, bytes4 error) private {
        bytes32 key = _rounds[rounds].sealingKey;
        bytes memory call_ = abi.encodeCall(federation.submitUpdate, (rounds, key, "update", uint32(computeMs), 1));
        _refused(client, 0, call_, error);
    }

    function _refuseOpening(address who, IFederation.RoundTerms memory terms, bytes4 error) private {
        _refused(who, _endow(who, terms.reward), abi.encodeCall(federation.openRound, (terms)), error);
    }

    function _refuseFinalization(IFederation.Adjustment[] memory adjustments, bytes4 error) private {
        _refused(owner, 0, _finalizeCall(adjustments), error);
    }

    function _registration(address client) private returns (bytes memory) {
        if (_terms.admission == IFederation.Admission.Open) return abi.encodeCall(federation.register, ());
        uint256 id = _draw();
        uint40 expiry = uint40(time() + 1);
        return abi.encodeCall(federation.registerWithVoucher, (id, expiry, _sign(owner, client, id, expiry)));
    }

    function _refuseOtherAdmission(address client) private {
        bytes memory call_ = _terms.admission == IFederation.Admission.Voucher
            ? abi.encodeCall(federation.register, ())
            : abi.encodeCall(
                federation.registerWithVoucher, (1, type(uint40).max, _sign(owner, client, 1, type(uint40).max))
            );
        _refused(client, _endow(client, _terms.stake), call_, IFederation.WrongAdmission.selector);
    }

    /// @dev A voucher that expired, was used or revoked, is somebody else's or was signed by somebody else.
    function _refuseVoucher(address client, uint256 rule) private {
        uint256 id = _draw();
        uint40 expiry = uint40(time() + 1);
        (address signer, address bearer, bytes4 error) = (owner, client, IFederation.InvalidVoucher.selector);
        if (rule == 1) {
            (expiry, error) = (uint40(time()), IFederation.VoucherExpired.selector);
        } else if (rule == 2) {
            vm.assume(_spentVouchers.length > 0);
            id = _spentVouchers[_draw(0, _spentVouchers.length - 1)];
            error = IFederation.VoucherSpent.selector;
        } else if (_oneIn(2)) {
            bearer = stranger;
        } else {
            signer = owner == owners[0] ? owners[1] : owners[0];
        }
        bytes memory call_ =
            abi.encodeCall(federation.registerWithVoucher, (id, expiry, _sign(signer, bearer, id, expiry)));
        _refused(client, _endow(client, _terms.stake), call_, error);
    }
}
