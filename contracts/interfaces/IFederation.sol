// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The specification of a federation.
/// @notice An organization owns a federation. It opens rounds one after the other; clients that registered before a
/// round opened and that it selects submit one update each, themselves or through anybody who relays what they signed;
/// the organization averages them into the next model and finalizes; clients claim rewards in proportion to their
/// credited compute time. No phase waits for anyone for ever.
///
/// Units. Compute time is in integer milliseconds, block times and periods are in seconds, shares are in basis points,
/// amounts are in the smallest unit of the federation's asset (wei of the native coin), rates are in 10^-9 of that unit
/// per second of compute. A CID is a CIDv0: its sha2-256 digest, without the two bytes of multihash prefix.
///
/// Seats. A member is one slot. Members stand in a dense array: when one leaves, the last takes its position. The live
/// round sees everybody where they stood when it opened, so nobody inherits a seat in it and whoever registers later is
/// out. Of n members the k with (P * position + b) mod n < k are selected, P = 2^31 - 1.
///
/// Money of a round. With T the claimed and T' the credited total and P(t) = min(pool, rewardRateCap * t / 10^12): a
/// client gets floor(P(T') * credited / T'); pool - P(T) is carried to the next round; P(T) - P(T') and the rounding
/// are forfeited: nobody can withdraw them. What is slashed from a stake is forfeited too. A round opens only with
/// rewardRateCap * k * maxComputeMs <= maxSpread * pool * 10^12, or with an empty pool: with maxSpread 1 the pool never
/// binds, and rejecting others raises nobody's pay; with s it raises it at most s-fold.
/// Deposits = paid + owed + live pool + carried + stakes + forfeited, always.
///
/// Lists as commitments. The digest of a round starts from its opening, bytes20(keccak256(abi.encode(chain id, this
/// contract, Opening))), and chains every update in order: bytes20(keccak256(abi.encode(digest, client, updateCid,
/// computeMs))). The record chains every round that is over: keccak256(abi.encode(record, round, digest, updateCount,
/// claimedMs, outcome)), where the outcome is keccak256(abi.encode(modelCid, reportCid, secret, creditedMs,
/// adjustments)), or 0 for an abandoned round, which the next opening chains. So an auditor needs no log server: whatever
/// lists it is given, the record says whether they are true.
///
/// Signed calls. EIP-712, domain ("Koinon", "2", chain id, this contract):
/// Update(uint24 round,bytes32 sealingKey,bytes32 updateCid,uint32 computeMs), a decline where both are 0;
/// Registration(uint24 round,uint40 deadline); Leaving(uint24 round,address to,uint40 deadline), of the latest round;
/// Voucher(address client,uint256 id,uint40 expiry,uint32 ownerNonce), which the owner signs.
interface IFederation {
    // ------------------------------------------------------------------------------------------------- structs

    /// @notice Where a round stands. Derived from storage and the block time, never stored.
    /// `None` is a round that was never opened.
    enum Phase {
        None,
        Training,
        Aggregating,
        Finalized,
        Abandoned
    }

    /// @notice Who may register: anybody, or whoever holds a voucher that the owner signed.
    enum Admission {
        Open,
        Voucher
    }

    /// @notice Who may open the updates of a finalized round: anybody, because finalization publishes the secret of the
    /// sealing key, or the auditors that the plan names.
    enum AuditPolicy {
        Open,
        Appointed
    }

    /// @notice Why an update or a decline is refused: a direct call reverts with it, a batch skips it.
    enum Refusal {
        None,
        NotSelected,
        AlreadySubmitted,
        ZeroCid,
        ComputeTime,
        ClaimFirst
    }

    /// @notice What is fixed for good when a federation is created.
    struct FederationTerms {
        /// @dev The ERC-20 token of rewards and stakes; 0 for the native coin.
        address asset;
        /// @dev What every client stakes when it registers.
        uint128 stake;
        /// @dev The most that one finalization can slash of what is left of a stake, in basis points; 0 without stake.
        uint16 maxSlashRate;
        Admission admission;
        AuditPolicy auditPolicy;
        /// @dev How many times what a pool can pay the selected may claim together, at least 1: how far the pay of a
        /// second may fall, and so how far rejecting others may raise it again.
        uint16 maxSpread;
        /// @dev After how many rounds of silence a selected member may be retired; 0 for never.
        uint16 idleRounds;
    }

    /// @notice A model and the report that explains how it came to be (0 for the initial model).
    struct Release {
        bytes32 modelCid;
        bytes32 reportCid;
    }

    /// @notice What the organization fixes when it opens a round.
    struct RoundTerms {
        bytes32 planCid;
        /// @dev X25519 public key to which every update of the round is sealed; not the one of the round before.
        bytes32 sealingKey;
        /// @dev Seconds, each between MIN_PERIOD and MAX_PERIOD.
        uint32 trainingPeriod;
        uint32 aggregationPeriod;
        /// @dev 1 to MAX_UPDATES.
        uint16 maxUpdates;
        /// @dev The most compute time one client may claim; 1 to MAX_PERIOD * 1000.
        uint32 maxComputeMs;
        /// @dev Basis points of the members, 1 to 10,000.
        uint16 selectionRate;
        /// @dev Per second of compute, like a wage, in 10^-9 of the asset's smallest unit; never 0.
        uint112 rewardRateCap;
        /// @dev Escrowed with the opening; the pool is this plus what was carried.
        uint112 reward;
    }

    /// @notice Everything that an opening fixes: what the digest of the round starts from.
    struct Opening {
        uint24 round;
        uint40 openedAt;
        uint40 trainingDeadline;
        uint40 aggregationDeadline;
        /// @dev n, b and k of the selection.
        uint24 memberCount;
        uint24 selectionOffset;
        uint16 selectedCount;
        uint16 maxUpdates;
        uint32 maxComputeMs;
        bytes32 planCid;
        bytes32 sealingKey;
        /// @dev The release the round starts from.
        bytes32 baseModelCid;
        bytes32 baseReportCid;
        uint112 rewardRateCap;
        uint112 pool;
    }

    /// @notice Lowers what one client is credited, 0 rejects its update, and may slash its stake.
    struct Adjustment {
        address client;
        uint32 creditedMs;
        /// @dev Basis points of what is left of the client's stake, at most `maxSlashRate`.
        uint16 slashRate;
    }

    /// @notice What the organization makes of a round.
    struct Finalization {
        uint24 round;
        /// @dev The round's digest: these very updates of this very opening were aggregated or rejected.
        bytes20 digest;
        /// @dev The next base model; the base model itself where nothing could be learned.
        bytes32 modelCid;
        /// @dev Every update with its weight, adjustment and reason, and all that the record commits to.
        bytes32 reportCid;
        /// @dev The X25519 secret key that belongs to the round's sealing key, which the audit checks; 0 where the audit
        /// policy is appointed.
        bytes32 secret;
        /// @dev In strictly ascending order of client.
        Adjustment[] adjustments;
    }

    /// @notice A signature over an EIP-712 digest, in its compact form (ERC-2098).
    struct Signature {
        bytes32 r;
        bytes32 vs;
    }

    /// @notice What a client signed for a relay to submit; a decline where CID and compute time are 0.
    struct SignedUpdate {
        bytes32 updateCid;
        uint32 computeMs;
        bytes32 r;
        bytes32 vs;
    }

    /// @notice What the owner signed to admit a client. All zero where admission is open.
    struct Voucher {
        /// @dev Good for one registration; 256 neighbours share a slot.
        uint256 id;
        /// @dev Good before this block time.
        uint40 expiry;
        /// @dev The owner's: 65 bytes of a key, or what a contract takes by ERC-1271.
        bytes signature;
    }

    /// @notice One update of the latest round, as state still holds it.
    struct UpdateView {
        address client;
        bytes32 updateCid;
        /// @dev Claimed; credited once it was adjusted.
        uint32 computeMs;
        /// @dev The place in the order of submission, from 0; meaningless once it was adjusted.
        uint16 ordinal;
        bool adjusted;
        uint16 slashRate;
    }

    /// @notice A client as the latest round sees it, and what it holds.
    struct ClientView {
        address client;
        /// @dev Registered now.
        bool member;
        /// @dev The current position; 0 for who is no member.
        uint24 index;
        /// @dev May submit in the latest round, or has: asked of the positions when it opened.
        bool selected;
        /// @dev The round of the last update, decline or registration.
        uint24 last;
        /// @dev Said that it takes no part in the latest round.
        bool declined;
        /// @dev Of its update in the latest round; 0 where there is none.
        bytes32 updateCid;
        /// @dev Claimed; credited once it was adjusted.
        uint32 computeMs;
        bool adjusted;
        uint16 slashRate;
        /// @dev What `claim` would pay now.
        uint256 owed;
        /// @dev What is left of the stake, until it is returned.
        uint256 stake;
    }

    /// @notice Everything that is known of the latest round, and of one client in it.
    struct RoundView {
        uint24 round;
        Phase phase;
        uint40 openedAt;
        uint40 trainingDeadline;
        uint40 aggregationDeadline;
        bytes32 planCid;
        bytes32 sealingKey;
        /// @dev The release the round starts from: zero once it is finalized, when its report names it.
        Release base;
        /// @dev What the round released: zero unless it is finalized.
        Release released;
        /// @dev The secret of the sealing key: zero unless the round is finalized and the audit policy is open.
        bytes32 secret;
        uint24 memberCount;
        uint24 selectionOffset;
        uint16 selectedCount;
        uint16 maxUpdates;
        uint32 maxComputeMs;
        bytes20 digest;
        uint16 updateCount;
        /// @dev Of the selected, those who declined or left without an update: nobody waits for them.
        uint16 absentCount;
        uint48 claimedMs;
        /// @dev What was claimed, until the round is finalized.
        uint48 creditedMs;
        uint112 rewardRateCap;
        uint112 pool;
        /// @dev What every credited second of compute is paid at least, whatever others claim:
        /// min(rewardRateCap, pool / (selectedCount * maxComputeMs)), in the unit of the cap.
        uint256 guaranteedRate;
        /// @dev P(T'), pool - P(T) and P(T) - P(T'); zero while the round is live.
        uint256 payable_;
        uint256 surplus;
        uint256 forfeited;
        ClientView client;
    }

    // -------------------------------------------------------------------------------------------------- errors

    /// @notice The phase of the latest round does not allow the call, or it is another round than the one named.
    /// @param latest The latest round.
    /// @param actual Its phase.
    /// @param named The round that the call named.
    error WrongPhase(uint24 latest, Phase actual, uint24 named);
    /// @notice The round is still live: it is neither finalized nor abandoned.
    /// @param round The live round.
    /// @param actual Its phase.
    error RoundIsLive(uint24 round, Phase actual);
    /// @notice No registration, funding or opening any more.
    error FederationIsClosed();
    /// @notice What is carried can be withdrawn once the federation is closed.
    error FederationIsOpen();
    /// @notice No round opens before the owner resumes.
    error FederationIsPaused();
    /// @notice The federation is paused already, or it is not paused.
    /// @param paused Whether it is.
    error PauseIsAlready(bool paused);
    /// @notice The contract behind the federations is none itself.
    error NotAFederation();
    /// @notice The call is the owner's.
    /// @param owner The owner.
    /// @param actual Who called.
    error NotTheOwner(address owner, address actual);
    /// @notice The ownership was not offered to the caller.
    /// @param pending To whom it is offered.
    /// @param actual Who called.
    error NotThePendingOwner(address pending, address actual);
    /// @notice The call is the organization's.
    /// @param actual Who called.
    error NeitherOwnerNorOperator(address actual);
    /// @notice Only members and the organization post.
    /// @param actual Who called.
    error NeitherMemberNorOrganization(address actual);
    /// @notice The initial model can only be set before the first round opens.
    /// @param rounds How many were opened.
    error RoundsHaveBegun(uint24 rounds);
    /// @notice The first round needs a model to start from.
    error NoInitialModel();
    /// @notice A round needs somebody to select.
    error NoMembers();
    /// @notice The client is a member.
    /// @param client The client.
    /// @param index Its position.
    error AlreadyRegistered(address client, uint24 index);
    /// @notice The client is no member, and nothing of it is held.
    /// @param client The client.
    error NotRegistered(address client);
    /// @notice The federation admits clients the other way: by voucher, or without one.
    /// @param expected How it admits.
    /// @param actual How the call would.
    error WrongAdmission(Admission expected, Admission actual);
    /// @notice The voucher was good before its expiry.
    /// @param expiry Its expiry.
    /// @param time The block time.
    error VoucherExpired(uint40 expiry, uint256 time);
    /// @notice The voucher's id has been used or revoked.
    /// @param id The id.
    error VoucherSpent(uint256 id);
    /// @notice The signature is not the owner's, or not over this federation, client, id, expiry and owner nonce.
    /// @param signer Whose signature was expected.
    /// @param client Whom the voucher would admit.
    error InvalidVoucher(address signer, address client);
    /// @notice A signed call was good before its deadline.
    /// @param deadline The deadline.
    /// @param time The block time.
    error SignatureExpired(uint40 deadline, uint256 time);
    /// @notice The signature is not the client's over this call, this federation and the latest round.
    /// @param client Whose signature was expected.
    /// @param round The round that has to be signed.
    error InvalidSignature(address client, uint24 round);
    /// @notice The client has left in this very round: what it signed for the round, or before, is spent.
    /// @param client The client.
    /// @param round The round; signed calls count again from the next.
    error SignatureSpent(address client, uint24 round);
    /// @notice Nobody stakes for another: with a stake the client registers itself.
    /// @param stake The stake.
    error StakeNeedsItsOwner(uint256 stake);
    /// @notice The stake of an earlier membership is still held: `leave` returns it.
    /// @param client The client.
    /// @param amount What is held.
    error StakeNotReturned(address client, uint256 amount);
    /// @notice The client's update is in a live round: it is settled once that is over.
    /// @param round The round.
    error UpdateIsLive(uint24 round);
    /// @notice The update, or the decline, is refused.
    /// @param round The round.
    /// @param client The client.
    /// @param reason Why.
    error UpdateRefused(uint24 round, address client, Refusal reason);
    /// @notice Nothing in the batch was accepted.
    /// @param round The round.
    /// @param count How many entries it had.
    error NothingAccepted(uint24 round, uint256 count);
    /// @notice The member cannot be retired: not selected, not silent, or not for long enough.
    /// @param client The client.
    /// @param last The round of its last update, decline or registration.
    error NotIdle(address client, uint24 last);
    /// @notice The client is owed nothing.
    /// @param client The client.
    error NothingOwed(address client);
    /// @notice An adjustment names a client without an update in the round.
    /// @param round The round.
    /// @param client The client.
    error NoUpdate(uint24 round, address client);
    /// @notice The round has another sealing key: it is not the round that the caller saw.
    /// @param round The round.
    /// @param expected Its key.
    /// @param actual The key named.
    error WrongSealingKey(uint24 round, bytes32 expected, bytes32 actual);
    /// @notice A sealing key is good for one round: the secret of this one may be known.
    /// @param sealingKey The key of the round before.
    error SealingKeyUsed(bytes32 sealingKey);
    /// @notice The digest named is not that of the round: other updates, or another opening.
    /// @param round The round.
    /// @param expected Its digest.
    /// @param actual The digest named.
    error WrongDigest(uint24 round, bytes20 expected, bytes20 actual);
    /// @notice Bounds of a compute time.
    /// @param minimum The least.
    /// @param maximum The most.
    /// @param actual What was given.
    error ComputeTimeOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    /// @notice Bounds of a period.
    /// @param minimum The least.
    /// @param maximum The most.
    /// @param actual What was given.
    error PeriodOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    /// @notice Bounds of the number of updates.
    /// @param minimum The least.
    /// @param maximum The most.
    /// @param actual What was given.
    error MaxUpdatesOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    /// @notice Bounds of the selection rate.
    /// @param minimum The least.
    /// @param maximum The most.
    /// @param actual What was given.
    error SelectionRateOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    /// @notice The pool does not pay what the selected may claim, even `maxSpread`-fold.
    /// @param needed The least pool for this rate cap, selection and compute time.
    /// @param pool The pool.
    error PoolTooSmall(uint256 needed, uint256 pool);
    /// @notice The field must not be zero.
    /// @param field Its name.
    error ZeroValue(bytes32 field);
    /// @notice The coins sent are not the amount expected; none are where the asset is a token.
    /// @param expected The amount.
    /// @param actual The coins sent.
    error WrongAmount(uint256 expected, uint256 actual);
    /// @notice The token moved less, or more, than the amount: it takes a fee, for instance.
    /// @param expected The amount.
    /// @param actual What arrived.
    error NotReceivedInFull(uint256 expected, uint256 actual);
    /// @notice The amount does not fit the width that the contract keeps it in.
    /// @param maximum The most.
    /// @param actual The amount.
    error AmountTooLarge(uint256 maximum, uint256 actual);
    /// @notice Adjustments are in strictly ascending order of client address.
    /// @param previous The client before.
    /// @param next The client that should be higher.
    error AdjustmentsNotAscending(address previous, address next);
    /// @notice An adjustment lowers the credited time, it never raises or keeps it.
    /// @param client The client.
    /// @param claimedMs What it claimed.
    /// @param creditedMs What it would be credited.
    error AdjustmentNotLower(address client, uint32 claimedMs, uint32 creditedMs);
    /// @notice More than the terms allow to slash.
    /// @param maximum The most.
    /// @param actual The rate.
    error SlashRateTooHigh(uint256 maximum, uint256 actual);
    /// @notice Finalization publishes the secret if the audit policy is open, and only then.
    /// @param policy The audit policy.
    error SecretAgainstPolicy(AuditPolicy policy);

    // -------------------------------------------------------------------------------------------------- events

    /// @notice The ownership is offered; 0 takes an offer back.
    /// @param owner The owner.
    /// @param pending To whom.
    event OwnershipOffered(address indexed owner, address indexed pending);
    /// @notice The ownership has changed hands; the operator is gone, and so are the vouchers of the former owner.
    /// @param former The former owner.
    /// @param owner The owner.
    /// @param ownerNonce What its vouchers have to name.
    event OwnershipTransferred(address indexed former, address indexed owner, uint32 ownerNonce);
    /// @notice Another operator, 0 for none.
    /// @param operator The operator.
    event OperatorSet(address indexed operator);
    /// @notice New rounds are stopped, or go on.
    /// @param paused Which of the two.
    event PauseSet(bool paused);
    /// @notice A client has become a member.
    /// @param client The client.
    /// @param index Its position.
    event Registered(address indexed client, uint24 index);
    /// @notice A client is a member no more.
    /// @param client The client.
    /// @param index The position that is free.
    /// @param moved Who has taken it; 0 where it was the last one.
    /// @param retired Whether somebody else has ended the membership, of an idle client.
    event Left(address indexed client, uint24 index, address moved, bool retired);
    /// @notice A voucher's id is worthless.
    /// @param id The id.
    event VoucherRevoked(uint256 indexed id);
    /// @notice What the first round starts from.
    /// @param modelCid The model.
    event InitialModelSet(bytes32 modelCid);
    /// @notice A round has opened.
    /// @param round The round.
    /// @param digest What its list of updates starts from.
    /// @param record Of all rounds before.
    /// @param opening Everything that is fixed.
    event RoundOpened(uint24 indexed round, bytes20 digest, bytes32 record, Opening opening);
    /// @notice A client's update, in the order of the digest.
    /// @param round The round.
    /// @param client The client.
    /// @param updateCid Where the sealed update will be.
    /// @param computeMs The compute time claimed.
    event UpdateSubmitted(uint24 indexed round, address indexed client, bytes32 updateCid, uint32 computeMs);
    /// @notice A selected client takes no part.
    /// @param round The round.
    /// @param client The client.
    event Declined(uint24 indexed round, address indexed client);
    /// @notice Everything that was lowered in a round; nothing is said where nothing was.
    /// @param round The round.
    /// @param adjustments In ascending order of client.
    event UpdatesAdjusted(uint24 indexed round, Adjustment[] adjustments);
    /// @notice A round has released the next model.
    /// @param round The round.
    /// @param record Of all rounds, this one included.
    /// @param modelCid The next base model.
    /// @param reportCid Its report.
    /// @param secret The secret of the sealing key, or 0.
    /// @param claimedMs Claimed in total.
    /// @param creditedMs Credited in total.
    event RoundFinalized(
        uint24 indexed round,
        bytes32 record,
        bytes32 modelCid,
        bytes32 reportCid,
        bytes32 secret,
        uint48 claimedMs,
        uint48 creditedMs
    );
    /// @notice A round was abandoned: it is settled on what was claimed. Said by the next opening.
    /// @param round The round.
    /// @param record Of all rounds, this one included.
    event RoundAbandoned(uint24 indexed round, bytes32 record);
    /// @notice What a finalization took of a stake, said when it is booked.
    /// @param round The round of the update.
    /// @param client The client.
    /// @param amount How much.
    event Slashed(uint24 indexed round, address indexed client, uint256 amount);
    /// @notice A client was paid.
    /// @param client The client.
    /// @param to The recipient.
    /// @param reward Of what it was owed.
    /// @param stake Of its stake.
    event Paid(address indexed client, address indexed to, uint256 reward, uint256 stake);
    /// @notice Somebody said something to all.
    /// @param round The latest round.
    /// @param from Who.
    /// @param topic About what.
    /// @param cid What.
    event Posted(uint24 indexed round, address indexed from, bytes32 indexed topic, bytes32 cid);
    /// @notice Somebody added to what is carried.
    /// @param from Who.
    /// @param amount How much.
    event Funded(address indexed from, uint256 amount);
    /// @notice No registration, funding or opening any more.
    event Closed();
    /// @notice What was carried was paid out after closing.
    /// @param to The recipient.
    /// @param amount How much.
    event Withdrawn(address indexed to, uint256 amount);

    // -------------------------------------------------------------------------------------------------- clients

    /// @notice Becomes a member where admission is open, and stakes. Eligible from the next round that opens.
    /// @return index The position.
    function register() external payable returns (uint24 index);

    /// @notice Becomes a member with a voucher that the owner signed for the caller, and stakes.
    /// @param voucher What the owner signed.
    /// @return index The position.
    function registerWithVoucher(Voucher calldata voucher) external payable returns (uint24 index);

    /// @notice Registers a client that signed it, where there is no stake; anybody may call.
    /// @param client Who signed.
    /// @param deadline Good before this block time; and only until the next round opens.
    /// @param signature The client's, over Registration.
    /// @param voucher What the owner signed; empty where admission is open.
    /// @return index The position.
    function registerSigned(address client, uint40 deadline, Signature calldata signature, Voucher calldata voucher)
        external
        returns (uint24 index);

    /// @notice Ends the membership, at any time and with nobody's permission, and pays stake and rewards to `to`. Where
    /// the client has an update in the live round both stay until that is over: `leave` again pays them.
    /// An update already submitted stays and is paid.
    /// @param to The recipient.
    /// @return paid Stake and rewards.
    function leave(address payable to) external returns (uint256 paid);

    /// @notice The same for a client that signed it; anybody may call. Nothing else that it signed for this round counts
    /// any more.
    /// @param client Who signed.
    /// @param to The recipient, which is signed.
    /// @param deadline Good before this block time; and only until the next round opens.
    /// @param signature The client's, over Leaving.
    /// @return paid Stake and rewards.
    function leaveSigned(address client, address payable to, uint40 deadline, Signature calldata signature)
        external
        returns (uint256 paid);

    /// @notice Submits the caller's one update of a round in Training. A client publishes the sealed bytes once the chain
    /// shows its update, not before.
    /// @param round The round, numbered from 1.
    /// @param sealingKey The round's sealing key: after a reorganization an update cannot land in another round.
    /// @param updateCid Where the sealed update will be.
    /// @param computeMs Measured training time; 1 to min(maxComputeMs, (now - openedAt + 1) * 1000).
    function submitUpdate(uint24 round, bytes32 sealingKey, bytes32 updateCid, uint32 computeMs) external;

    /// @notice Takes no part in a round in Training that selected the caller: nobody waits for it any more.
    /// @param round The round.
    /// @param sealingKey Its sealing key.
    function decline(uint24 round, bytes32 sealingKey) external;

    /// @notice Submits what clients signed; anybody may call. Skips what would be refused; reverts if nothing is left.
    /// @param round The round.
    /// @param sealingKey Its sealing key.
    /// @param signed What they signed.
    /// @return accepted How many updates and declines were taken.
    function submitUpdates(uint24 round, bytes32 sealingKey, SignedUpdate[] calldata signed)
        external
        returns (uint256 accepted);

    /// @notice Ends the membership of a client that the latest round selected, that stayed silent, and whose last update,
    /// decline or registration is `idleRounds` rounds back. From the end of the round's training until the next
    /// opening; anybody may. Stake and rewards stay the client's own.
    /// @param client The client.
    function retire(address client) external;

    /// @notice Pays the caller all that it is owed, of whatever rounds.
    /// @param to The recipient.
    /// @return amount How much.
    function claim(address payable to) external returns (uint256 amount);

    /// @notice Pays a client all that it is owed to its own address, whoever calls.
    /// @param client The client.
    /// @return amount How much.
    function claimFor(address payable client) external returns (uint256 amount);

    /// @notice Says something to all, in the log only: an attestation, a share of a secure aggregation. Of members and
    /// the organization.
    /// @param topic About what.
    /// @param cid What.
    function post(bytes32 topic, bytes32 cid) external;

    // --------------------------------------------------------------------------------------------- organization

    /// @notice Offers the ownership to `newOwner`, 0 for nobody; it changes hands when that accepts.
    /// @param newOwner To whom.
    function transferOwnership(address newOwner) external;

    /// @notice Takes over the ownership that was offered. The operator and all vouchers of before end with it.
    function acceptOwnership() external;

    /// @notice Makes the operator, who may set the initial model, open rounds and finalize them as the owner may; 0 for
    /// none. A new owner begins with none.
    /// @param operator The operator.
    function setOperator(address operator) external;

    /// @notice Stops new rounds, and nothing else, until `unpause`.
    function pause() external;

    /// @notice Lets rounds open again.
    function unpause() external;

    /// @notice Makes a voucher's id worthless, used or not.
    /// @param id The id.
    function revokeVoucher(uint256 id) external;

    /// @notice Sets the model that the first round starts from. Until then it may be set again.
    /// @param modelCid The model.
    function setInitialModel(bytes32 modelCid) external;

    /// @notice Opens the next round; the one before must be over. Books what it left and escrows the reward.
    /// @param terms What is fixed for the round.
    /// @param previousDigest The digest of the round before; 0 for the first.
    /// @return round The round.
    function openRound(RoundTerms calldata terms, bytes20 previousDigest) external payable returns (uint24 round);

    /// @notice Releases the next model and, where the audit policy is open, the secret of the sealing key.
    /// @param finalization What becomes of a round in Aggregating.
    function finalizeRound(Finalization calldata finalization) external;

    /// @notice Adds to what the next round's pool carries. Anyone may.
    /// @param amount How much.
    function fund(uint112 amount) external payable;

    /// @notice Ends registration, funding and openings for good, also during a live round, which goes on. What is owed
    /// stays reserved and never expires.
    function close() external;

    /// @notice After `close`, pays out what is carried; again once the last round is over, for what that left.
    /// @param to The recipient.
    /// @return amount How much.
    function withdraw(address payable to) external returns (uint256 amount);

    // ----------------------------------------------------------------------------------------------------- views

    // solhint-disable func-name-mixedcase

    /// @notice The shortest period of a round.
    /// @return seconds_ In seconds.
    function MIN_PERIOD() external view returns (uint256 seconds_);

    /// @notice The longest period of a round.
    /// @return seconds_ In seconds.
    function MAX_PERIOD() external view returns (uint256 seconds_);

    /// @notice The most updates of a round.
    /// @return count How many.
    function MAX_UPDATES() external view returns (uint256 count);

    // solhint-enable func-name-mixedcase

    /// @notice What was fixed for good at the creation.
    /// @return The terms.
    function terms() external view returns (FederationTerms memory);

    /// @notice Who owns the federation.
    /// @return The owner.
    function owner() external view returns (address);

    /// @notice To whom the ownership is offered.
    /// @return The address, or 0.
    function pendingOwner() external view returns (address);

    /// @notice How often the ownership has changed hands: part of what an owner signs.
    /// @return The nonce.
    function ownerNonce() external view returns (uint32);

    /// @notice Who may open and finalize rounds as well as the owner.
    /// @return The address, or 0.
    function operator() external view returns (address);

    /// @notice Whether no round opens before the owner resumes.
    /// @return Whether.
    function paused() external view returns (bool);

    /// @notice Whether the federation has ended.
    /// @return Whether.
    function closed() external view returns (bool);

    /// @notice Whether a voucher's id was used or revoked.
    /// @param id The id.
    /// @return Whether.
    function voucherSpent(uint256 id) external view returns (bool);

    /// @notice What the owner signs to admit a client: the EIP-712 digest of Voucher, under the owner of now.
    /// @param client Whom.
    /// @param id The voucher's id.
    /// @param expiry Good before this block time.
    /// @return The digest.
    function voucherDigest(address client, uint256 id, uint40 expiry) external view returns (bytes32);

    /// @notice Rounds opened so far; also the number of the latest.
    /// @return The number.
    function roundCount() external view returns (uint24);

    /// @notice The latest release: what the next round starts from.
    /// @return The release.
    function latestRelease() external view returns (Release memory);

    /// @notice The secret that the last finalization published, also while the next round is live; 0 before the first and
    /// where the audit policy is appointed.
    /// @return The X25519 secret key.
    function secret() external view returns (bytes32);

    /// @notice Chains what became of every round that is over and booked.
    /// @return The record.
    function record() external view returns (bytes32);

    /// @notice What a round left for ever: zero for one that is live, was never opened or left nothing.
    /// @param round The round.
    /// @return payable_ P(T'), what its clients share.
    /// @return creditedMs T', in proportion to what.
    /// @return sealingKey The first bytes of the sealing key whose secret its finalization may have published.
    function results(uint24 round) external view returns (uint112 payable_, uint48 creditedMs, bytes12 sealingKey);

    /// @notice What the next round's pool starts with, the surplus of a round that is over included.
    /// @return The amount.
    function carried() external view returns (uint256);

    /// @notice The phase of the latest round.
    /// @return The phase.
    function phase() external view returns (Phase);

    /// @notice The latest round and one client in it, `address(0)` for none. Never reverts: before the first round the
    /// phase is None.
    /// @param client The client.
    /// @return The view.
    function roundView(address client) external view returns (RoundView memory);

    /// @notice What a client could claim now, and what is left of its stake.
    /// @param client The client.
    /// @return owed Rewards of rounds that are over.
    /// @return stake Until it is returned.
    function balanceOf(address client) external view returns (uint256 owed, uint256 stake);

    /// @notice How many members there are.
    /// @return The number.
    function memberCount() external view returns (uint24);

    /// @notice The members at the positions `from` to `from + limit - 1`.
    /// @param from The first position.
    /// @param limit The most members.
    /// @return The members.
    function members(uint256 from, uint256 limit) external view returns (address[] memory);

    /// @notice The updates of the latest round by whoever stands at `from` to `from + limit - 1` of the `seatCount` seats:
    /// the members, and behind them those who left with an update in the live round. Whole while the round is live;
    /// once it is over, who leaves takes its line along.
    /// @param from The first seat.
    /// @param limit The most seats.
    /// @return The updates, in the order of seats.
    function updates(uint256 from, uint256 limit) external view returns (UpdateView[] memory);

    /// @notice How many seats `updates` goes through.
    /// @return The number.
    function seatCount() external view returns (uint256);
}
