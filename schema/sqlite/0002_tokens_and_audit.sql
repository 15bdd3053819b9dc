-- Who may do what, and who did what. Tokens are kept as SHA-256 hashes: 256 random bits need no salt and no slow hash.
CREATE TABLE tokens (
  id         TEXT PRIMARY KEY,
  hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  role       TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'viewer')),
  networks   TEXT CHECK (json_valid(networks)),
  note       TEXT NOT NULL,
  created    TEXT NOT NULL,
  created_by TEXT NOT NULL,
  expires    TEXT,
  last_used  TEXT
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: an id is never given twice, so that readers can go on behind the last one that they have seen.
CREATE TABLE audit (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  time     TEXT NOT NULL,
  actor    TEXT NOT NULL,
  role     TEXT NOT NULL,
  address  TEXT,
  what     TEXT NOT NULL CHECK (json_valid(what)),
  changes  INTEGER NOT NULL,
  revision INTEGER
) STRICT;
CREATE INDEX audit_by_time ON audit (time);
