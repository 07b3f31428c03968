// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title Where members stand: densely, and for the live round where they stood when it opened.
contract SeatsTest is Base {
    uint256 private constant P = 2 ** 31 - 1;

    // ------------------------------------------------------------------------------------- the live round's seats

    function test_WhoMovesKeepsItsTurn() public {
        _registerThree();
        _openFor(1);
        assertTrue(_selects(0) || _selects(1) || _selects(2));
        // The member of the last position moves to whoever leaves; the selection goes by where it stood.
        for (uint256 at; at < 3; ++at) {
            assertEq(_view([ADA, BOB, CYD][at]).selected, _selects(at));
        }
        _leave(ADA);
        assertEq(_view(CYD).index, 0);
        assertEq(_view(BOB).selected, _selects(1));
        assertEq(_view(CYD).selected, _selects(2), "not that of the position it moved to");
        assertFalse(_view(ADA).selected);
    }

    function test_WhoMovesTwiceIsSeenWhereItStoodAtTheOpening() public {
        _registerFour();
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.maxUpdates = 2;
        _open(roundTerms);
        bool selected = _selects(3);
        assertEq(_view(DOT).selected, selected);
        _leave(BOB);
        assertEq(_view(DOT).index, 1);
        assertEq(_view(DOT).selected, selected);
        _leave(CYD);
        assertEq(_view(DOT).index, 1, "Cyd was the last");
        _leave(ADA);
        assertEq(_view(DOT).index, 0);
        assertEq(_view(DOT).selected, selected);
        _assertMembers(_list(DOT));
    }

    function test_TheNextRoundSeesWhereEverybodyStandsNow() public {
        _registerFour();
        _openFor(2);
        _leave(ADA);
        _abandon();
        _openFor(2);
        assertEq(_view().memberCount, 3);
        assertEq(_view(DOT).selected, _selects(0));
        assertEq(_view(BOB).selected, _selects(1));
        assertEq(_view(CYD).selected, _selects(2));
    }

    /// @dev Between two rounds too: the round that is over goes on seeing what it saw.
    function test_ARoundThatIsOverSeesWhatItSaw() public {
        _registerFour();
        _openFor(2);
        bool[4] memory before = [_view(ADA).selected, _view(BOB).selected, _view(CYD).selected, _view(DOT).selected];
        _abandon();
        _leave(BOB);
        assertEq(_view(ADA).selected, before[0]);
        assertFalse(_view(BOB).selected);
        assertEq(_view(CYD).selected, before[2]);
        assertEq(_view(DOT).selected, before[3]);
        assertEq(_view(DOT).index, 1);
    }

    function test_NobodyInheritsASeat() public {
        _registerThree();
        _openFor(3);
        _leave(BOB);
        _register(DOT);
        assertEq(_view(DOT).index, 2, "a position that the round selected");
        assertFalse(_view(DOT).selected);
        _refusesUpdate(DOT, 1000, IFederation.Refusal.NotSelected);
        _leave(ADA);
        assertEq(_view(DOT).index, 0);
        assertFalse(_view(DOT).selected, "nor by moving");
    }

    function test_WhoRegisteredAgainIsOut() public {
        _registerThree();
        _open();
        _leave(ADA);
        _register(ADA);
        assertEq(_view(ADA).index, 2);
        assertFalse(_view(ADA).selected);
        assertFalse(_view(ADA).declined);
        _refusesUpdate(ADA, 1000, IFederation.Refusal.NotSelected);
        _abandon();
        _open();
        assertTrue(_view(ADA).selected, "the next round sees it");
    }

    /// @dev Who registered in a round and then moves in it was not there at its opening either.
    function test_WhoRegisteredAndMovedIsOut() public {
        _registerThree();
        _open();
        _register(DOT);
        _leave(ADA);
        assertEq(_view(DOT).index, 0);
        assertFalse(_view(DOT).selected);
        _abandon();
        _open();
        assertTrue(_view(DOT).selected);
    }

    function test_MovingBeforeTheFirstRoundCostsNothing() public {
        _registerThree();
        _leave(ADA);
        _open();
        assertTrue(_view(BOB).selected);
        assertTrue(_view(CYD).selected);
        _submit(CYD, 1000);
        _submit(BOB, 1000);
        _assertPhase(IFederation.Phase.Aggregating);
    }

    // ----------------------------------------------------------------------------------------------- who is awaited

    function test_NobodyWaitsForASelectedMemberThatLeft() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 1000);
        _assertPhase(IFederation.Phase.Training);
        _leave(CYD);
        assertEq(_view().absentCount, 1);
        _assertPhase(IFederation.Phase.Aggregating);
    }

    function test_NobodyWaitsLessForAMemberThatWasNotSelected() public {
        _registerFour();
        _openFor(2);
        (address in_, address out) = _oneInOneOut();
        _leave(out);
        assertEq(_view().absentCount, 0);
        _leave(in_);
        assertEq(_view().absentCount, 1);
    }

    function test_WhoSubmittedIsNotAwaitedAnyway() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        assertEq(_view().absentCount, 0);
        assertEq(_view().updateCount, 1);
        _decline(BOB);
        _leave(BOB);
        assertEq(_view().absentCount, 1, "counted once, as declined");
        _assertPhase(IFederation.Phase.Training);
        _leave(CYD);
        assertEq(_view().absentCount, 2);
        _assertPhase(IFederation.Phase.Aggregating);
    }

    function test_LeavingAgainCountsNobodyTwice() public {
        _registerThree();
        _open();
        _leave(ADA);
        _register(ADA);
        _leave(ADA);
        assertEq(_view().absentCount, 1);
    }

    function test_LeavingOnceTrainingIsOverIsNoAbsence() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _endTraining();
        _leave(BOB);
        assertEq(_view().absentCount, 0);
        _abandon();
        _leave(CYD);
        assertEq(_view().absentCount, 0);
    }

    function test_ANewRoundAwaitsAll() public {
        _registerThree();
        _open();
        _leave(ADA);
        _decline(BOB);
        assertEq(_view().absentCount, 2);
        _abandon();
        _open();
        assertEq(_view().absentCount, 0);
        assertEq(_view().updateCount, 0);
        assertEq(_view().claimedMs, 0);
        assertEq(_view().selectedCount, 2);
    }

    // ----------------------------------------------------------------------------------------------- pages of updates

    function test_UpdatesAreListedByPosition() public {
        _registerThree();
        _open();
        _submit(CYD, 300);
        _submit(ADA, 100);
        IFederation.UpdateView[] memory page = _updates();
        assertEq(page.length, 2);
        assertEq(abi.encode(page[0]), abi.encode(_updateView(ADA, 100, 1)));
        assertEq(abi.encode(page[1]), abi.encode(_updateView(CYD, 300, 0)));
        assertEq(federation.seatCount(), 3);
    }

    function testFuzz_APageHoldsTheUpdatesOfItsSeats(uint256 from, uint256 limit) public {
        _registerFour();
        _open();
        _submit(ADA, 100);
        _submit(CYD, 300);
        _submit(DOT, 400);
        _leave(ADA); // Dot takes position 0; seats: Dot, Bob, Cyd, and Ada behind them
        address[4] memory seats = [DOT, BOB, CYD, ADA];
        from = from % 3 == 0 ? from : from % 6;
        limit = limit % 3 == 0 ? limit : limit % 6;

        IFederation.UpdateView[] memory page = federation.updates(from, limit);
        uint256 found;
        for (uint256 i = from; i < 4 && i - from < limit; ++i) {
            if (seats[i] == BOB) continue;
            assertEq(page[found].client, seats[i]);
            assertEq(page[found].updateCid, _cidOf(1, seats[i]));
            ++found;
        }
        assertEq(page.length, found);
    }

    function test_AnAdjustedUpdateIsListedAsItIsCredited() public {
        (terms.stake, terms.maxSlashRate) = (1000, 5000);
        _create();
        _registerThree();
        _open();
        _submit(ADA, 100);
        _submit(BOB, 200);
        _submit(CYD, 300);
        _finalize(_two(_adjustment(ADA, 0, 5000), _adjustment(CYD, 299, 0)));
        IFederation.UpdateView[] memory page = _updates();
        assertEq(page.length, 3, "a rejected update is one too");
        assertEq(page[0].computeMs, 0);
        assertTrue(page[0].adjusted);
        assertEq(page[0].slashRate, 5000);
        assertEq(page[0].updateCid, _cidOf(1, ADA));
        assertEq(abi.encode(page[1]), abi.encode(_updateView(BOB, 200, 1)));
        assertEq(page[2].computeMs, 299);
        assertTrue(page[2].adjusted);
        assertEq(page[2].slashRate, 0);
    }

    function test_AClaimLeavesTheLine() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _finalize();
        _claim(BOB);
        IFederation.UpdateView[] memory page = _updates();
        assertEq(page.length, 2);
        assertEq(abi.encode(page[1]), abi.encode(_updateView(BOB, 2000, 1)));
    }

    function test_ARoundListsItsOwnUpdates() public {
        _registerThree();
        assertEq(_updates().length, 0, "no round");
        _open();
        _submit(ADA, 100);
        _finalize();
        _open();
        assertEq(_updates().length, 0);
        _submit(BOB, 200);
        assertEq(_updates().length, 1);
        assertEq(abi.encode(_updates()[0]), abi.encode(_updateView(BOB, 200, 0)));
    }

    function test_ADeclineIsNoLine() public {
        _registerThree();
        _open();
        _decline(ADA);
        _submit(BOB, 200);
        assertEq(_updates().length, 1);
        assertEq(abi.encode(_updates()[0]), abi.encode(_updateView(BOB, 200, 0)));
    }

    /// @dev Everybody leaves with an update, in every order: the list stays whole until the round is over.
    function testFuzz_LeaversOfTheLiveRoundStandBehindTheMembers(uint256 order) public {
        address[] memory clients = _list(ADA, BOB, CYD, DOT);
        _registerFour();
        _open();
        for (uint256 i; i < 4; ++i) {
            _submit(clients[i], uint32(100 + i));
        }
        bool[4] memory left;
        for (uint256 remaining = 4; remaining > 0; --remaining) {
            uint256 pick = order % remaining;
            order /= remaining;
            for (uint256 i; i < 4; ++i) {
                if (left[i]) continue;
                if (pick == 0) {
                    _leave(clients[i]);
                    left[i] = true;
                    break;
                }
                --pick;
            }
            assertEq(federation.memberCount(), remaining - 1);
            assertEq(federation.seatCount(), 4);
            _assertWholeList(clients);
        }
    }

    function test_MembersAndLeaversShareTheListWithoutTouching() public {
        _registerFour();
        _open();
        _submit(ADA, 100);
        _submit(BOB, 200);
        _leave(ADA); // Dot, Bob, Cyd | Ada
        _leave(BOB); // Dot, Cyd | Bob, Ada
        _assertMembers(_list(DOT, CYD));
        assertEq(federation.seatCount(), 4);
        _leave(DOT); // Cyd | Ada, Bob: without an update Dot has no seat
        _assertMembers(_list(CYD));
        assertEq(federation.seatCount(), 3);
        assertEq(_updates().length, 2);
        _register(_clientAt(7)); // Cyd, 7 | Bob, Ada
        _register(_clientAt(8));
        _assertMembers(_list(CYD, _clientAt(7), _clientAt(8)));
        assertEq(federation.seatCount(), 5);
        assertEq(_updates().length, 2);
        _finalize();
        assertEq(_updates().length, 2);
        assertEq(_leave(ADA), WAGE / 10);
        assertEq(_updates().length, 1, "who leaves takes its line along");
        assertEq(_updates()[0].client, BOB);
        assertEq(federation.seatCount(), 5, "until the next opening");
        _open();
        assertEq(federation.seatCount(), 3);
        assertEq(_view().memberCount, 3);
        _assertMembers(_list(CYD, _clientAt(7), _clientAt(8)));
        assertEq(_leave(BOB), WAGE / 5);
    }

    function test_WhoLeftALiveRoundMayBeAMemberAndALeaverAtOnce() public {
        _registerThree();
        _open();
        _submit(ADA, 100);
        _submit(BOB, 200);
        _leave(ADA); // Cyd, Bob | Ada
        _finalize();
        _register(ADA); // Cyd, Bob, Ada | Ada
        _assertMembers(_list(CYD, BOB, ADA));
        assertEq(federation.seatCount(), 4);
        assertEq(_updates().length, 1, "its line is gone");
        _register(DOT);
        _leave(ADA);
        _assertMembers(_list(CYD, BOB, DOT));
        assertEq(_updates().length, 1);
        assertEq(_updates()[0].client, BOB);
        _open();
        assertEq(federation.seatCount(), 3);
    }

    // -------------------------------------------------------------------------------------------- in every order

    /// @dev Members join, leave, submit and move at random over some rounds: they stand densely, each once, and of
    /// those who were there at the opening exactly the positions that the formula names are selected.
    function testFuzz_PositionsAreAPermutationAndSelectionGoesByTheOpening(uint256 seed) public {
        uint256 n = 3 + seed % 5;
        _registerMany(n);
        for (uint256 round = 1; round <= 3; ++round) {
            seed = uint256(keccak256(abi.encode(seed)));
            if (federation.memberCount() == 0) _register(_clientAt(99 + round));
            _openFor(uint16(1 + seed % 5));
            address[] memory standing = federation.members(0, type(uint256).max);
            bool[] memory selected = new bool[](standing.length);
            uint256 count;
            for (uint256 i; i < standing.length; ++i) {
                selected[i] = _selects(i);
                if (selected[i]) ++count;
            }
            assertEq(count, _view().selectedCount, "exactly k");
            assertEq(_view().memberCount, standing.length);
            for (uint256 step; step < 4; ++step) {
                seed = uint256(keccak256(abi.encode(seed)));
                _act(seed, round * 10 + step);
                for (uint256 i; i < standing.length; ++i) {
                    IFederation.ClientView memory view_ = _view(standing[i]);
                    bool out = !view_.member && view_.updateCid == 0;
                    bool again = view_.member && view_.last == round && view_.updateCid == 0 && !view_.declined;
                    if (out || again) assertFalse(view_.selected);
                    else assertEq(view_.selected, selected[i]);
                }
            }
            _assertMembers(federation.members(0, type(uint256).max));
            _abandon();
        }
    }

    /// @dev Leaves, registers, or submits, whoever the seed names.
    function _act(uint256 seed, uint256 number) private {
        uint256 n = federation.memberCount();
        if (seed % 3 == 0 || n == 0) {
            _register(_clientAt(1000 + number));
            return;
        }
        address client = federation.members((seed >> 8) % n, 1)[0];
        IFederation.ClientView memory view_ = _view(client);
        bool may = view_.selected && view_.updateCid == 0 && !view_.declined;
        if (seed % 3 == 1 && may && federation.phase() == IFederation.Phase.Training) _submit(client, 500);
        else _leave(client);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _registerFour() private {
        _registerThree();
        _register(DOT);
    }

    /// @dev Whether the latest round selected the position, by the words of the specification.
    function _selects(uint256 position) private view returns (bool) {
        IFederation.RoundView memory view_ = _view();
        return (P * position + view_.selectionOffset) % view_.memberCount < view_.selectedCount;
    }

    function _oneInOneOut() private view returns (address in_, address out) {
        address[4] memory clients = [ADA, BOB, CYD, DOT];
        for (uint256 i; i < 4; ++i) {
            if (_view(clients[i]).selected) in_ = clients[i];
            else out = clients[i];
        }
    }

    function _updateView(address client, uint32 computeMs, uint16 ordinal)
        private
        view
        returns (IFederation.UpdateView memory)
    {
        return IFederation.UpdateView({
            client: client,
            updateCid: _cidOf(federation.roundCount(), client),
            computeMs: computeMs,
            ordinal: ordinal,
            adjusted: false,
            slashRate: 0
        });
    }

    /// @dev Each of the four has its one line, `clients[i]` with ordinal i and 100 + i ms.
    function _assertWholeList(address[] memory clients) private view {
        IFederation.UpdateView[] memory page = _updates();
        assertEq(page.length, 4);
        bool[4] memory seen;
        for (uint256 i; i < 4; ++i) {
            uint16 ordinal = page[i].ordinal;
            assertFalse(seen[ordinal]);
            seen[ordinal] = true;
            assertEq(abi.encode(page[i]), abi.encode(_updateView(clients[ordinal], 100 + ordinal, ordinal)));
        }
    }
}
