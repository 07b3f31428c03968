// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";
import {Actions} from "./Actions.sol";

/// @title What a federation must refuse, as things stand, with the error that names the rule.
abstract contract Refusals is Actions {
    /// @notice A registration that breaks a rule.
    function registerWrongly(uint256 seed) external action(seed) {
        address client = _drawClient();
        uint256 rule = _draw(0, 6);
        if (rule == 0) return _refuseOtherAdmission(client);
        if (rule == 1) return _refuseSignedRegistration(client);
        if (rule < 5 && _byVoucher()) return _refuseVoucher(client, rule);

        bytes4 error;
        uint256 amount = _terms.stake;
        if (closed) {
            error = IFederation.FederationIsClosed.selector;
        } else if (positionOf[client] != 0) {
            error = IFederation.AlreadyRegistered.selector;
        } else if (isLocked(client)) {
            error = IFederation.UpdateIsLive.selector;
        } else if (isHeld[client] && amount > 0) {
            error = IFederation.StakeNotReturned.selector;
        } else {
            error = IFederation.WrongAmount.selector;
            amount = _draw(0, 2 * amount + 1);
            vm.assume(amount != _terms.stake && _native() && _mayRegister(client));
        }
        _refused(client, _endow(client, amount), _registration(client), error);
    }

    /// @notice A submission that breaks a rule.
    function submitWrongly(uint256 seed) external action(seed) {
        uint256 rule = _draw(0, 7);
        address client = _drawClient();
        bytes32 key = _sealingKeyOf(rounds);
        if (phaseNow() != IFederation.Phase.Training) {
            return _refuseSubmission(client, rounds, key, 1, IFederation.WrongPhase.selector);
        }
        if (rule == 0) return _refuseSubmission(client, rounds - 1, key, 1, IFederation.WrongPhase.selector);
        if (rule == 1) {
            bytes32 another = _sealingKeyOf(rounds - 1);
            return _refuseSubmission(client, rounds, another, 1, IFederation.WrongSealingKey.selector);
        }
        if (rule == 2) client = stranger;
        if (_oneIn(3)) return _refuseDecline(client);
        if (!isSelected[rounds][client]) {
            return _refuseUpdate(client, 1, IFederation.Refusal.NotSelected);
        }
        if (hasUpdate(rounds, client) || hasDeclined[rounds][client]) {
            return _refuseUpdate(client, 1, IFederation.Refusal.AlreadySubmitted);
        }
        if (owedTo[client] > type(uint112).max) return _refuseUpdate(client, 1, IFederation.Refusal.ClaimFirst);
        if (rule == 3) return _refuseUpdate(client, 0, IFederation.Refusal.ComputeTime);
        uint256 most = _oneIn(2) ? _boundMs() + 1 : _draw(_boundMs() + 1, type(uint32).max);
        _refuseUpdate(client, most, IFederation.Refusal.ComputeTime);
    }

    /// @notice What a relay has sent before, sent again: registrations, departures and batches.
    function replay(uint256 seed) external action(seed) {
        vm.assume(_relayed.length > 0);
        uint256 latest = _relayed.length - 1;
        bytes memory call_ = _relayed[_oneIn(2) ? latest : _draw(0, latest)];
        vm.assume(!_mayLeaveAgain(call_));
        vm.prank(relay);
        (bool success,) = address(federation).call(call_);
        assertFalse(success, "a signature counted twice");
        ++reached["replayed"];
    }

    /// @notice Money asked for that is not owed, or not yet; a membership ended that others have a right to.
    function takeWrongly(uint256 seed) external action(seed) {
        address client = _drawClient();
        uint256 rule = _draw(0, 4);
        if (rule == 0) {
            vm.assume(!_mayLeave(client));
            bytes4 error = isLocked(client) ? IFederation.UpdateIsLive.selector : IFederation.NotRegistered.selector;
            return _refused(client, 0, abi.encodeCall(federation.leave, (payable(purse))), error);
        }
        if (rule == 1) return _refuseSignedDeparture(client);
        if (rule == 2) {
            vm.assume(!_mayBeRetired(client));
            bytes4 error = _retiringIsEarly() ? IFederation.WrongPhase.selector : IFederation.NotIdle.selector;
            return _refused(stranger, 0, abi.encodeCall(federation.retire, (client)), error);
        }
        if (owedTo[client] > 0) {
            bytes memory toNobody = abi.encodeCall(federation.claim, (payable(0)));
            return _refused(client, 0, toNobody, IFederation.ZeroValue.selector);
        }
        bytes memory call_ = rule == 3
            ? abi.encodeCall(federation.claim, (payable(purse)))
            : abi.encodeCall(federation.claimFor, (payable(client)));
        _refused(client, 0, call_, IFederation.NothingOwed.selector);
    }

    /// @notice A round opened, or a federation funded or closed against the rules.
    function openWrongly(uint256 seed) external action(seed) {
        IFederation.RoundTerms memory terms = _drawTerms();
        uint256 rule = _draw(0, 8);
        if (rule == 0) {
            uint256 coins = _endow(stranger, MAX_AMOUNT);
            vm.assume(carried + livePool > 0 || closed);
            bytes4 error = closed ? IFederation.FederationIsClosed.selector : IFederation.AmountTooLarge.selector;
            return _refused(stranger, coins, abi.encodeCall(federation.fund, (type(uint112).max)), error);
        }
        if (rule == 1) {
            vm.assume(closed);
            return _refused(owner, 0, abi.encodeCall(federation.close, ()), IFederation.FederationIsClosed.selector);
        }
        if (rule == 2) {
            vm.assume(!closed);
            bytes memory call_ = abi.encodeCall(federation.withdraw, (payable(owner)));
            return _refused(owner, 0, call_, IFederation.FederationIsOpen.selector);
        }
        if (closed) return _refuseOpening(owner, terms, IFederation.FederationIsClosed.selector);
        if (paused) return _refuseOpening(owner, terms, IFederation.FederationIsPaused.selector);
        if (isLive()) return _refuseOpening(owner, terms, IFederation.RoundIsLive.selector);
        if (rule == 3) {
            bytes20 another = digestOf(rounds) == 0 ? bytes20("digest") : digestOf(rounds - (rounds > 1 ? 1 : 0));
            vm.assume(another != digestOf(rounds));
            uint256 coins = _endow(owner, terms.reward);
            bytes memory call_ = abi.encodeCall(federation.openRound, (terms, another));
            return _refused(owner, coins, call_, IFederation.WrongDigest.selector);
        }
        if (rule == 4) {
            vm.assume(rounds > 0);
            terms.sealingKey = _sealingKeyOf(rounds);
            return _refuseOpening(owner, terms, IFederation.SealingKeyUsed.selector);
        }
        if (rule == 5) {
            terms.aggregationPeriod = 29;
            return _refuseOpening(owner, terms, IFederation.PeriodOutOfBounds.selector);
        }
        if (_members.length == 0) return _refuseOpening(owner, terms, IFederation.NoMembers.selector);
        if (rule == 6) {
            uint256 most = _mostRateCap(terms);
            vm.assume(most < MAX_AMOUNT);
            terms.rewardRateCap = uint112(_oneIn(2) ? most + 1 : _draw(most + 1, MAX_AMOUNT));
            return _refuseOpening(owner, terms, IFederation.PoolTooSmall.selector);
        }
        if (rule == 7) terms.rewardRateCap = 0;
        else terms.maxUpdates = 1001;
        bytes4 expected = rule == 7 ? IFederation.ZeroValue.selector : IFederation.MaxUpdatesOutOfBounds.selector;
        _refuseOpening(owner, terms, expected);
    }

    /// @notice A finalization that breaks a rule.
    function finalizeWrongly(uint256 seed) external action(seed) {
        uint256 rule = _draw(0, 6);
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](2);
        if (phaseNow() != IFederation.Phase.Aggregating) {
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
            adjustments[1] = IFederation.Adjustment(_afterWithoutUpdate(client), 0, 0);
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
        IFederation.Finalization memory finalization = _finalization(new IFederation.Adjustment[](0));
        if (rule == 5) finalization.digest = digestOf(rounds - 1);
        else finalization.secret = finalization.secret == 0 ? _secretOf(rounds) : bytes32(0);
        bytes4 error = rule == 5 ? IFederation.WrongDigest.selector : IFederation.SecretAgainstPolicy.selector;
        _refused(owner, 0, abi.encodeCall(federation.finalizeRound, (finalization)), error);
    }

    /// @notice What is the owner's, tried by others; what is the organization's, tried by strangers.
    function actWithoutRight(uint256 seed) external action(seed) {
        address[6] memory others = [operator, stranger, clients[0], operators[0], owners[0], owners[1]];
        address who = others[_draw(0, 5)];
        vm.assume(who != owner && who != address(0));
        if (who != operator && _oneIn(2)) {
            bytes4 error = IFederation.NeitherOwnerNorOperator.selector;
            if (_oneIn(2)) return _refuseOpening(who, _drawTerms(), error);
            bytes memory call_ =
                abi.encodeCall(federation.finalizeRound, (_finalization(new IFederation.Adjustment[](0))));
            return _refused(who, 0, call_, error);
        }
        if (who != pendingOwner && _oneIn(5)) {
            bytes memory call_ = abi.encodeCall(federation.acceptOwnership, ());
            return _refused(who, 0, call_, IFederation.NotThePendingOwner.selector);
        }
        bytes[7] memory calls = [
            abi.encodeCall(federation.close, ()),
            abi.encodeCall(federation.withdraw, (payable(who))),
            abi.encodeCall(federation.setOperator, (who)),
            abi.encodeCall(federation.transferOwnership, (who)),
            abi.encodeCall(federation.pause, ()),
            abi.encodeCall(federation.unpause, ()),
            abi.encodeCall(federation.revokeVoucher, (_draw()))
        ];
        _refused(who, 0, calls[_draw(0, 6)], IFederation.NotTheOwner.selector);
    }

    // ----------------------------------------------------------------------------------------------- internal

    function _refused(address who, uint256 coins, bytes memory call_, bytes4 error) private {
        vm.prank(who);
        (bool success, bytes memory answer) = address(federation).call{value: coins}(call_);
        assertFalse(success, "allowed what must be refused");
        assertEq(bytes4(answer), error, "refused for another reason");
    }

    /// @dev Signed while the update was live, a departure may be asked for again: it is that which then pays.
    function _mayLeaveAgain(bytes memory call_) private view returns (bool) {
        if (bytes4(call_) != IFederation.leaveSigned.selector) return false;
        address client;
        assembly ("memory-safe") {
            client := mload(add(call_, 36))
        }
        return isHeld[client] && !isLocked(client);
    }

    function _refuseSubmission(address client, uint24 round, bytes32 key, uint256 computeMs, bytes4 error) private {
        bytes32 cid = _updateOf(rounds, client);
        bytes memory call_ = abi.encodeCall(federation.submitUpdate, (round, key, cid, uint32(computeMs)));
        _refused(client, 0, call_, error);
    }

    function _refuseUpdate(address client, uint256 computeMs, IFederation.Refusal reason) private {
        bytes memory call_ = abi.encodeCall(
            federation.submitUpdate, (rounds, _sealingKeyOf(rounds), _updateOf(rounds, client), uint32(computeMs))
        );
        _refusedFor(client, call_, reason);
    }

    function _refuseDecline(address client) private {
        vm.assume(!_isExpected(client));
        IFederation.Refusal reason = !isSelected[rounds][client]
            ? IFederation.Refusal.NotSelected
            : hasUpdate(rounds, client) || hasDeclined[rounds][client]
                ? IFederation.Refusal.AlreadySubmitted
                : IFederation.Refusal.ClaimFirst;
        _refusedFor(client, abi.encodeCall(federation.decline, (rounds, _sealingKeyOf(rounds))), reason);
    }

    function _refusedFor(address client, bytes memory call_, IFederation.Refusal reason) private {
        vm.prank(client);
        (bool success, bytes memory answer) = address(federation).call(call_);
        assertFalse(success, "accepted what must be refused");
        bytes memory expected = abi.encodeWithSelector(IFederation.UpdateRefused.selector, rounds, client, reason);
        assertEq(answer, expected, "refused for another reason");
    }

    function _refuseOpening(address who, IFederation.RoundTerms memory terms, bytes4 error) private {
        uint256 coins = _endow(who, terms.reward);
        _refused(who, coins, abi.encodeCall(federation.openRound, (terms, digestOf(rounds))), error);
    }

    function _refuseFinalization(IFederation.Adjustment[] memory adjustments, bytes4 error) private {
        _refused(owner, 0, abi.encodeCall(federation.finalizeRound, (_finalization(adjustments))), error);
    }

    /// @dev A client above the given one that has no update in the live round: a member, if there is one.
    function _afterWithoutUpdate(address client) private view returns (address) {
        for (uint256 i; i < CLIENTS; ++i) {
            if (clients[i] > client && !hasUpdate(rounds, clients[i])) return clients[i];
        }
        return address(type(uint160).max);
    }

    function _retiringIsEarly() private view returns (bool) {
        IFederation.Phase phase = phaseNow();
        return phase == IFederation.Phase.None || phase == IFederation.Phase.Training;
    }

    function _byVoucher() private view returns (bool) {
        return _terms.admission == IFederation.Admission.Voucher;
    }

    function _freshVoucher(address client, uint40 expiry) private returns (IFederation.Voucher memory) {
        return _signVoucher(owner, client, _draw(), expiry, ownerNonce);
    }

    function _registration(address client) private returns (bytes memory) {
        if (!_byVoucher()) return abi.encodeCall(federation.register, ());
        return abi.encodeCall(federation.registerWithVoucher, (_freshVoucher(client, uint40(time() + 1))));
    }

    function _refuseOtherAdmission(address client) private {
        bytes memory call_ = _byVoucher()
            ? abi.encodeCall(federation.register, ())
            : abi.encodeCall(federation.registerWithVoucher, (_freshVoucher(client, type(uint40).max)));
        _refused(client, _endow(client, _terms.stake), call_, IFederation.WrongAdmission.selector);
    }

    /// @dev Where there is a stake; by a client that left in this round; of another round; too late; not the client's.
    function _refuseSignedRegistration(address client) private {
        uint256 rule = _draw(0, 2);
        uint40 deadline = uint40(time() + 1);
        (address signer, uint24 round, bytes4 error) = (client, rounds, IFederation.InvalidSignature.selector);
        if (rule == 0) (deadline, error) = (uint40(time()), IFederation.SignatureExpired.selector);
        else if (rule == 1) signer = stranger;
        else round = rounds + 1;
        if (_terms.stake > 0) error = IFederation.StakeNeedsItsOwner.selector;
        else if (leftIn[client] == rounds + 1) error = IFederation.SignatureSpent.selector;
        IFederation.Signature memory signature = _signRegistration(signer, round, deadline);
        bytes memory call_ = abi.encodeCall(federation.registerSigned, (client, deadline, signature, _noVoucher()));
        _refused(relay, 0, call_, error);
    }

    /// @dev To another recipient than was signed; by another; of another round; too late; spent.
    function _refuseSignedDeparture(address client) private {
        uint256 rule = _draw(0, 3);
        uint40 deadline = uint40(time() + 1);
        (address signer, uint24 round, address to) = (client, rounds, client);
        bytes4 error = IFederation.InvalidSignature.selector;
        if (rule == 0) (deadline, error) = (uint40(time()), IFederation.SignatureExpired.selector);
        else if (rule == 1) signer = stranger;
        else if (rule == 2) round = rounds + 1;
        else to = purse;
        if (hasComeBack(client)) {
            vm.assume(_terms.stake == 0 || leftSignedIn[client] == rounds + 1);
            error = IFederation.SignatureSpent.selector;
        }
        IFederation.Signature memory signature = _signLeaving(signer, round, to, deadline);
        bytes memory call_ = abi.encodeCall(federation.leaveSigned, (client, payable(client), deadline, signature));
        _refused(relay, 0, call_, error);
    }

    /// @dev A voucher that expired, was used or revoked, is somebody else's, was signed by somebody else, or by the
    /// owner before it was the owner.
    function _refuseVoucher(address client, uint256 rule) private {
        uint256 id = _draw();
        uint40 expiry = uint40(time() + 1);
        (address signer, address bearer, uint32 nonce) = (owner, client, ownerNonce);
        bytes4 error = IFederation.InvalidVoucher.selector;
        if (rule == 2) {
            (expiry, error) = (uint40(time()), IFederation.VoucherExpired.selector);
        } else if (rule == 3) {
            vm.assume(_spentVouchers.length > 0);
            id = _spentVouchers[_draw(0, _spentVouchers.length - 1)];
            error = IFederation.VoucherSpent.selector;
        } else if (_oneIn(3)) {
            bearer = stranger;
        } else if (_oneIn(2) && nonce > 0) {
            --nonce;
        } else {
            signer = owner == owners[0] ? owners[1] : owners[0];
        }
        IFederation.Voucher memory voucher = _signVoucher(signer, bearer, id, expiry, nonce);
        bytes memory call_ = abi.encodeCall(federation.registerWithVoucher, (voucher));
        _refused(client, _endow(client, _terms.stake), call_, error);
    }
}
