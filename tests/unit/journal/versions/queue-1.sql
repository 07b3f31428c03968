CREATE TABLE identity (chain_id INTEGER NOT NULL, federation TEXT NOT NULL, relay TEXT NOT NULL) STRICT;
CREATE TABLE taken (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    client TEXT NOT NULL,
    round INTEGER NOT NULL,
    sealing_key TEXT NOT NULL,
    taken_at INTEGER NOT NULL,
    gas INTEGER NOT NULL,
    handed BLOB NOT NULL,
    receipt BLOB NOT NULL,
    over TEXT,
    UNIQUE (kind, client, round, sealing_key)
) STRICT;
CREATE TABLE spent (day INTEGER NOT NULL, client TEXT NOT NULL, kind TEXT NOT NULL, gas INTEGER NOT NULL) STRICT;
CREATE INDEX spent_by_day ON spent (day, client);
