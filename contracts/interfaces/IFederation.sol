// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The specification of a federation.
/// @notice An organization owns a federation. It opens rounds one after the other; clients that registered before a
/// round opened and that it selects submit one update each; the organization averages them into the next model and
/// finalizes; clients claim a reward in proportion to their credited compute time. No phase waits for anyone for ever.
///
/// Units. Compute time is in integer milliseconds, block times and periods are in seconds, amounts are in wei. A CID is
/// a CIDv0: its sha2-256 digest, without the two bytes of multihash prefix.
///
/// Money of a round. With T the claimed and T' the credited total and P(t) = min(pool, rewardRateCap * t / 1000):
/// a client gets floor(P(T') * credited / T'); pool - P(T) is carried to the next round; P(T) - P(T') and the rounding
/// are forfeited: nobody can withdraw them, so rejecting an update never pays the organization.
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

    /// @notice A model and the report that explains how it came to be (0 for the initial model).
    struct Release {
        bytes32 modelCid;
        bytes32 reportCid;
    }

    /// @notice What the owner fixes when it opens a round.
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
        /// @dev Wei per second of compute, like a wage; never 0.
        uint128 rewardRateCap;
        /// @dev Wei escrowed with the opening; the pool is this plus what was carried.
        uint128 reward;
    }

    /// @notice Lowers what one client is credited; 0 rejects its update.
    struct Adjustment {
        address client;
        uint32 creditedMs;
    }

    /// @notice A client as one round sees it.
    struct ClientView {
        address client;
        /// @dev Registered now.
        bool member;
        /// @dev The one the round's update was submitted with, else the current one, else 0.
        uint32 index;
        bool selected;
        bytes32 updateCid;
        uint64 samples;
        uint32 computeMs;
        uint32 creditedMs;
        /// @dev Wei owed or paid for the round; 0 while it is live.
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
        /// @dev The secret of the sealing key: zero unless the round is finalized.
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
        /// @dev Wei that every credited second of compute is paid at least, whatever others claim:
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
    /// @notice The initial model can only be set before the first round opens.
    error RoundsHaveBegun(uint32 rounds);
    error NoInitialModel();
    error NoMembers();
    error AlreadyRegistered(address client, uint32 index);
    error NotRegistered(address client);
    error NotSelected(uint32 round, address client);
    error AlreadySubmitted(uint32 round, address client);
    error NoUpdate(uint32 round, address client);
    error WrongSealingKey(uint32 round, bytes32 expected, bytes32 actual);
    error ComputeTimeOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    error PeriodOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    error MaxUpdatesOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    error SelectionRateOutOfBounds(uint256 minimum, uint256 maximum, uint256 actual);
    error ZeroValue(string field);
    /// @notice The coins sent are not the amount named.
    error WrongAmount(uint256 expected, uint256 actual);
    /// @notice The amount does not fit the width that the contract keeps it in.
    error AmountTooLarge(uint256 maximum, uint256 actual);
    /// @notice The updates that were aggregated (actual) are not the updates of the round (expected).
    error WrongUpdates(uint256 expectedCount, uint256 actualCount, uint256 expectedMs, uint256 actualMs);
    /// @notice Adjustments are in strictly ascending order of client address.
    error AdjustmentsNotAscending(address previous, address next);
    /// @notice An adjustment lowers the credited time, it never raises or keeps it.
    error AdjustmentNotLower(address client, uint32 claimedMs, uint32 creditedMs);

    // -------------------------------------------------------------------------------------------------- events

    event Registered(address indexed client, uint32 index);
    event Left(address indexed client, uint32 index);
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
    event UpdateAdjusted(uint32 indexed round, address indexed client, uint32 creditedMs);
    event RoundFinalized(
        uint32 indexed round, bytes32 modelCid, bytes32 reportCid, bytes32 secret, uint48 claimedMs, uint48 creditedMs
    );
    event RewardClaimed(uint32 indexed round, address indexed client, address to, uint256 amount);
    event Funded(address indexed from, uint128 amount);
    event Closed(uint256 carried);
    event Withdrawn(address indexed to, uint256 amount);

    // -------------------------------------------------------------------------------------------------- clients

    /// @notice Becomes a member. Eligible from the next round that opens.
    function register() external returns (uint32 index);

    /// @notice Ends the membership, at any time and with nobody's permission. An update already submitted stays.
    function leave() external;

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

    /// @notice Sets the model that the first round starts from. Until then it may be set again.
    function setInitialModel(bytes32 modelCid) external;

    /// @notice Opens the next round; the one before must be over. Books what it left and escrows the reward.
    function openRound(RoundTerms calldata terms) external payable returns (uint32 round);

    /// @notice Releases the next model and publishes the secret of the sealing key.
    /// @param round A round in Aggregating.
    /// @param updateCount How many updates were aggregated or rejected: all of the round's.
    /// @param claimedMs Their claimed compute time in total.
    /// @param modelCid The next base model; the base model itself where nothing could be learned.
    /// @param reportCid Every update with its weight, adjustment and reason.
    /// @param adjustments In strictly ascending order of client.
    /// @param secret The X25519 secret key that belongs to the round's sealing key. The audit checks that it does.
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
