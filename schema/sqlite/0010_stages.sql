-- Imports are written beside the log first. The commit of one is a few rows; then its records go to `events` and to the tables of resources, in
-- small transactions. Until that is done, later revisions are in `events` alone, and go to the tables after it, in order.
CREATE TABLE stages (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  -- Networks and hosts, which are the first records.
  places   INTEGER NOT NULL,
  changes  INTEGER NOT NULL,
  -- Some of its VMs were there before.
  replaces INTEGER NOT NULL CHECK (replaces IN (0, 1)),
  -- NULL: it is not committed, and nothing of it counts.
  revision INTEGER UNIQUE,
  time     TEXT,
  -- Of the data of its records, as `events` has it.
  data_version INTEGER NOT NULL,
  -- Records whose VM has left the tables as it was before.
  removed  INTEGER NOT NULL DEFAULT 0,
  -- Records that are in `events` and in the tables, and no longer in `staged`.
  moved    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE staged (
  stage INTEGER NOT NULL,
  idx   INTEGER NOT NULL,
  kind  TEXT NOT NULL,
  name  TEXT NOT NULL,
  -- As `events` will have it, but for the revision.
  data  TEXT NOT NULL,
  PRIMARY KEY (stage, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX staged_by_resource ON staged (kind, name, stage, idx);

-- The revision that the tables of resources are at, where the log is further.
CREATE TABLE tables_behind (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  revision INTEGER NOT NULL
) STRICT;

CREATE VIEW log_head (revision) AS
  SELECT max(
    (SELECT coalesce(max(revision), 0) FROM events),
    (SELECT coalesce(max(revision), 0) FROM stages)
  );
