// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The specification of a federation.
/// @notice An organization owns a federation. It opens rounds one after the other; clients that registered before a
/// round opened and that it selects submit one update each; the organization averages them into the next model and
/// finalizes; clients claim a reward in proportion to their credited compute time. No phase waits for anyone for ever.
///
/// Units. Compute time is in integer milliseconds, block times and periods are in seconds, rates are in basis points,
/// amounts are in the smallest unit of the federation's asset (wei of the native coin). A CID is a CIDv0: its sha2-256
/// digest, without the two bytes of multihash prefix.
///
/// Money of a round. With T the claimed and T' the credited total and P(t) = min(pool, rewardRateCap * t / 1000):
/// a client gets floor(P(T') * credited / T'); pool - P(T) is carried to the next round; P(T) - P(T') and the rounding
/// are forfeited: nobody can withdraw them, so rejecting an update never pays the organization. What is slashed from a
/// stake is forfeited too. Deposits = paid + owed + live pool + carried + stakes + forfeited, always.
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
    }

    /// @notice A model and the report that explains how it came to be (0 for the initial model).
    struct Release {
        bytes32 modelCid;
        bytes32 reportCid;
    }

    /// @notice What the organization fixes when it opens a round.
    struct RoundTerms {
        bytes32 planCid;
        /// @dev X25519 public key to which every update of the round is sealed.
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
        /// @dev Per second of compute, like a wage; never 0.
        uint128 rewardRateCap;
        /// @dev Escrowed with the opening; the pool is this plus what was carried.
        uint128 reward;
    }

    /// @notice Lowers what one client is credited, 0 rejects its update, and may slash its stake.
    struct Adjustment {
        address client;
        uint32 creditedMs;
        /// @dev Basis points of what is left of the client's stake, at most `maxSlashRate`.
        uint16 slashRate;
    }

    /// @notice A client as one round sees it.
    struct ClientView {
        address client;
        /// @dev Registered now.
        bool member;
        /// @dev What is left of the stake, until it is returned.
        uint128 stake;
        /// @dev The one the round's update was submitted with, else the current one, else 0.
        uint32 index;
        bool selected;
        bytes32 updateCid;
        uint64 samples;
        uint32 computeMs;
        uint32 creditedMs;
        uint16 slashRate;
        /// @dev Owed or paid for the round; 0 while it is live.
        uint256 reward;
        bool claimed;
    }

    /// @notice Everything that is known of a round, and of one client in it.
    struct RoundView {
        uint32 round;
        Phase phase;
        uint40 openedAt;
        uint40 trainingDeadline;
        uint40 aggregationDeadline;
        bytes32 planCid;
        bytes32 sealingKey;
        /// @dev The release the round starts from.
        Release base;
        /// @dev What the round released: zero unless it is finalized.
        Release released;
        /// @dev The secret of the sealing key: zero unless the round is finalized and the audit policy is open.
        bytes32 secret;
        uint32 memberCount;
        uint32 selectionOffset;
        uint16 selectedCount;
        uint16 maxUpdates;
        uint32 maxComputeMs;
        uint16 updateCount;
        uint48 claimedMs;
        uint48 creditedMs;
        uint128 rewardRateCap;
        uint128 pool;
        /// @dev What every credited second of compute is paid at least, whatever others claim:
        /// min(rewardRateCap, pool / (maxUpdates * maxComputeMs)).
        uint256 guaranteedRate;
        /// @dev P(T'), pool - P(T) and P(T) - P(T'); zero while the round is live.
        uint256 payable_;
        uint256 surplus;
        uint256 forfeited;
        ClientView client;
    }

    // -------------------------------------------------------------------------------------------------- errors

    /// @notice The phase of the round does not allow the call.
    error WrongPhase(uint32 round, Phase expected, Phase actual);
    /// @notice The round is still live: it is neither finalized nor abandoned.
    error RoundIsLive(uint32 round, Phase actual);
    error FederationIsClosed();
    error FederationIsOpen();
    /// @notice Without an owner what is carried could never be withdrawn.
    error OwnerIsNeeded();
    error NeitherOwnerNorOperator(address actual);
    error AssetIsNotAContract(address asset);
    /// @notice The initial model can only be set before the first round opens.
    error RoundsHaveBegun(uint32 rounds);
    error NoInitialModel();
    error NoMembers();
    error AlreadyRegistered(address client, uint32 index);
    error NotRegistered(address client);
    /// @notice The federation admits clients the other way: `register` if open, else `registerWithVoucher`.
    error WrongAdmission(Admission expected, Admission actual);
    error VoucherExpired(uint40 expiry, uint256 time);
    /// @notice The voucher's id has been used or revoked.
    error VoucherSpent(uint256 id);
    /// @notice The signature is not the signer's, or not over this federation, client, id and expiry.
    error InvalidVoucher(address signer, address client);
    /// @notice The stake of an earlier membership is still held: `leave` returns it.
    error StakeNotReturned(address client, uint256 amount);
    /// @notice The client's update is in a live round: the stake can be returned once that is over.
    error StakeIsLocked(uint32 round);
    error NotSelected(uint32 round, address client);
    error AlreadySubmitted(uint32 round, address client);
    error NoUpdate(uint32 round, address client);
    error WrongSealingKey(uint32 round, bytes32 expected, bytes32 actual);
    error ComputeTimeOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    error PeriodOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    error MaxUpdatesOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    error SelectionRateOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    error ZeroValue(string field);
    /// @notice The coins sent are not the amount expected; none are where the asset is a token.
    error WrongAmount(uint256 expected, uint256 actual);
    /// @notice The token moved less, or more, than the amount: it takes a fee, for instance.
    error NotReceivedInFull(uint256 expected, uint256 actual);
    /// @notice The amount does not fit the width that the contract keeps it in.
    error AmountTooLarge(uint256 maximum, uint256 actual);
    /// @notice The updates that were aggregated (actual) are not the updates of the round (expected).
    error WrongUpdates(uint256 expectedCount, uint256 actualCount, uint256 expectedMs, uint256 actualMs);
    /// @notice Adjustments are in strictly ascending order of client address.
    error AdjustmentsNotAscending(address previous, address next);
    /// @notice An adjustment lowers the credited time, it never raises or keeps it.
    error AdjustmentNotLower(address client, uint32 claimedMs, uint32 creditedMs);
    error SlashRateTooHigh(uint256 maximum, uint256 actual);
    /// @notice Finalization publishes the secret if the audit policy is open, and only then.
    error SecretAgainstPolicy(AuditPolicy policy);

    // -------------------------------------------------------------------------------------------------- events

    event Registered(address indexed client, uint32 index);
    event Left(address indexed client, uint32 index);
    event StakeReturned(address indexed client, address to, uint256 amount);
    event VoucherRevoked(uint256 indexed id);
    event OperatorSet(address indexed operator);
    event InitialModelSet(bytes32 modelCid);
    event RoundOpened(
        uint32 indexed round,
        bytes32 indexed planCid,
        bytes32 sealingKey,
        bytes32 baseModelCid,
        uint40 trainingDeadline,
        uint40 aggregationDeadline,
        uint32 memberCount,
        uint16 selectedCount,
        uint32 selectionOffset,
        uint16 maxUpdates,
        uint32 maxComputeMs,
        uint128 rewardRateCap,
        uint128 pool
    );
    event UpdateSubmitted(
        uint32 indexed round, address indexed client, bytes32 updateCid, uint32 computeMs, uint64 samples
    );
    event UpdateAdjusted(uint32 round, address indexed client, uint32 creditedMs);
    event Slashed(uint32 indexed round, address indexed client, uint256 amount);
    event RoundFinalized(
        uint32 indexed round, bytes32 modelCid, bytes32 reportCid, bytes32 secret, uint48 claimedMs, uint48 creditedMs
    );
    event RewardClaimed(uint32 indexed round, address indexed client, address to, uint256 amount);
    event Funded(address indexed from, uint128 amount);
    event Closed(uint256 carried);
    event Withdrawn(address indexed to, uint256 amount);

    // -------------------------------------------------------------------------------------------------- clients

    /// @notice Becomes a member where admission is open, and stakes. Eligible from the next round that opens.
    function register() external payable returns (uint32 index);

    /// @notice Becomes a member with a voucher that the owner signed for the caller, and stakes.
    /// @param id The voucher's id: good for one registration.
    /// @param expiry The voucher is good before this block time.
    /// @param signature The owner's, over `voucherDigest`; checked by ERC-1271 where the owner is a contract.
    function registerWithVoucher(uint256 id, uint40 expiry, bytes calldata signature)
        external
        payable
        returns (uint32 index);

    /// @notice Ends the membership, at any time and with nobody's permission, and returns the stake to `to`. Where the
    /// client has an update in the live round the stake stays until that is over: `leave` again returns it.
    /// An update already submitted stays and is paid.
    function leave(address payable to) external returns (uint256 returned);

    /// @notice Submits the caller's one update of a round in Training.
    /// @param round The round, numbered from 1.
    /// @param sealingKey The round's sealing key: after a reorganization an update cannot land in another round.
    /// @param updateCid Where the sealed update is.
    /// @param computeMs Measured training time; 1 to min(maxComputeMs, (now - openedAt + 1) * 1000).
    /// @param samples Number of samples trained on, at least 1.
    function submitUpdate(uint32 round, bytes32 sealingKey, bytes32 updateCid, uint32 computeMs, uint64 samples)
        external;

    /// @notice Pays the caller's rewards of rounds that are over to `to`; skips what is already claimed.
    function claim(uint32[] calldata rounds, address payable to) external returns (uint256 amount);

    /// @notice Pays a client's rewards to its own address, whoever calls.
    function claimFor(address payable client, uint32[] calldata rounds) external returns (uint256 amount);

    // --------------------------------------------------------------------------------------------- organization

    /// @notice Makes the operator, who may set the initial model, open rounds and finalize them beside the owner; 0 for
    /// none. A new owner begins with none.
    function setOperator(address operator) external;

    /// @notice Stops new rounds, and nothing else, until `unpause`.
    function pause() external;

    function unpause() external;

    /// @notice Makes a voucher's id worthless, used or not.
    function revokeVoucher(uint256 id) external;

    /// @notice Sets the model that the first round starts from. Until then it may be set again.
    function setInitialModel(bytes32 modelCid) external;

    /// @notice Opens the next round; the one before must be over. Books what it left and escrows the reward.
    function openRound(RoundTerms calldata terms) external payable returns (uint32 round);

    /// @notice Releases the next model and, where the audit policy is open, the secret of the sealing key.
    /// @param round A round in Aggregating.
    /// @param updateCount How many updates were aggregated or rejected: all of the round's.
    /// @param claimedMs Their claimed compute time in total.
    /// @param modelCid The next base model; the base model itself where nothing could be learned.
    /// @param reportCid Every update with its weight, adjustment and reason.
    /// @param adjustments In strictly ascending order of client.
    /// @param secret The X25519 secret key that belongs to the round's sealing key, which the audit checks; 0 where the
    /// audit policy is appointed.
    function finalizeRound(
        uint32 round,
        uint16 updateCount,
        uint48 claimedMs,
        bytes32 modelCid,
        bytes32 reportCid,
        Adjustment[] calldata adjustments,
        bytes32 secret
    ) external;

    /// @notice Adds to what the next round's pool carries. Anyone may.
    function fund(uint128 amount) external payable;

    /// @notice Ends registration and rounds for good. What is owed stays reserved and never expires.
    function close() external;

    /// @notice After `close`, pays out what is carried.
    function withdraw(address payable to) external returns (uint256 amount);

    // ----------------------------------------------------------------------------------------------------- views

    /// @notice What was fixed for good at the creation.
    function terms() external view returns (FederationTerms memory);

    function operator() external view returns (address);

    /// @notice Whether a voucher's id was used or revoked.
    function voucherSpent(uint256 id) external view returns (bool);

    /// @notice What the owner signs to admit a client: the EIP-712 digest of
    /// Voucher(address client,uint256 id,uint40 expiry) in the domain ("Koinon", "1", chain id, this contract).
    function voucherDigest(address client, uint256 id, uint40 expiry) external view returns (bytes32);

    /// @notice Rounds opened so far; also the number of the latest.
    function roundCount() external view returns (uint32);

    function closed() external view returns (bool);

    /// @notice The latest release: what the next round starts from.
    function latestRelease() external view returns (Release memory);

    /// @notice What the next round's pool starts with, the surplus of a round that is over included.
    function carried() external view returns (uint256);

    function phase(uint32 round) external view returns (Phase);

    /// @notice A round and one client in it, `address(0)` for none. Never reverts: an unopened round has phase None.
    function roundView(uint32 round, address client) external view returns (RoundView memory);

    /// @notice Whether the member index takes part in the round.
    function isSelected(uint32 round, uint32 index) external view returns (bool);

    /// @notice How many indices were ever given out; an index is never given to anybody else.
    function memberCount() external view returns (uint32);

    /// @notice The clients registered at the indices `from` to `from + limit - 1`, those who left as address 0.
    function members(uint32 from, uint32 limit) external view returns (address[] memory);

    /// @notice The updates submitted by clients with the indices `from` to `from + limit - 1`, in that order.
    function updates(uint32 round, uint32 from, uint32 limit) external view returns (ClientView[] memory);
}
