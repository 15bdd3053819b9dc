-- How hosts come to their certificates. Times are RFC 3339, UTC. Keys are SHA-256 of the SubjectPublicKeyInfo, in hex.
CREATE TABLE join_tokens (
  hash     BLOB PRIMARY KEY CHECK (length(hash) = 32),
  host     TEXT NOT NULL,
  -- NULL: the host was not registered, and its agent will.
  host_uid TEXT,
  expires  TEXT NOT NULL,
  -- The key that the token was used for; NULL: not yet.
  key      TEXT
) STRICT, WITHOUT ROWID;

-- Whoever had a certificate as this host, by uid: a host that is deleted and made again begins with nothing.
CREATE TABLE host_credentials (
  host_uid   TEXT PRIMARY KEY,
  host       TEXT NOT NULL,
  -- Counts revocations: certificates of an earlier generation are refused.
  generation INTEGER NOT NULL,
  -- Of the last certificate; NULL: revoked, and none since.
  key        TEXT,
  issuer     TEXT,
  expires    TEXT
) STRICT, WITHOUT ROWID;
