CREATE TABLE identity (chain_id INTEGER NOT NULL, federation TEXT NOT NULL, address TEXT NOT NULL) STRICT;
CREATE TABLE intents (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    round INTEGER,
    nonce INTEGER NOT NULL,
    status TEXT,
    tx_hash TEXT,
    block INTEGER,
    block_hash TEXT,
    final INTEGER NOT NULL DEFAULT 0,
    gas INTEGER,
    most_fee INTEGER
) STRICT;
CREATE TABLE broadcasts (
    tx_hash TEXT PRIMARY KEY,
    intent INTEGER NOT NULL REFERENCES intents (id),
    max_fee INTEGER NOT NULL,
    priority_fee INTEGER NOT NULL,
    cancels INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    encrypted BLOB NOT NULL,
    gas_limit INTEGER
) STRICT;
CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
CREATE TABLE updates (
    round INTEGER NOT NULL,
    sealing_key BLOB NOT NULL,
    base TEXT NOT NULL,
    cid TEXT NOT NULL,
    file TEXT NOT NULL,
    compute_ms INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    claimed_ms INTEGER,
    seen_at INTEGER,
    final INTEGER NOT NULL DEFAULT 0,
    published INTEGER NOT NULL DEFAULT 0,
    state TEXT,
    epsilon REAL,
    PRIMARY KEY (round, sealing_key, base)
) STRICT;
CREATE TABLE metered (
    round INTEGER NOT NULL,
    sealing_key BLOB NOT NULL,
    ms INTEGER NOT NULL,
    PRIMARY KEY (round, sealing_key)
) STRICT;
CREATE TABLE secrets (
    public_key BLOB PRIMARY KEY,
    round INTEGER NOT NULL,
    base TEXT NOT NULL,
    plan TEXT NOT NULL,
    encrypted BLOB NOT NULL,
    broadcast INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE seen_keys (round INTEGER NOT NULL, sealing_key BLOB NOT NULL, PRIMARY KEY (round, sealing_key)) STRICT;
CREATE TABLE read_reports (
    cid TEXT PRIMARY KEY,
    round INTEGER NOT NULL,
    plan TEXT NOT NULL,
    stop TEXT,
    before TEXT NOT NULL
) STRICT;
CREATE TABLE named_lists (cid TEXT PRIMARY KEY, round INTEGER NOT NULL, digest BLOB NOT NULL) STRICT;
