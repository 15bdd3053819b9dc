-- The inventory, and the log of changes that every reader follows. `user_version` counts the applied files.
-- References are deferred: a change is written by removing what was and adding what is, in one transaction.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE networks (
  name     TEXT PRIMARY KEY,
  uid      TEXT NOT NULL UNIQUE,
  vni      INTEGER NOT NULL UNIQUE CHECK (vni BETWEEN 1 AND 16777215),
  subnets  TEXT NOT NULL CHECK (json_valid(subnets)),
  mtu      INTEGER NOT NULL,
  revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
  name     TEXT PRIMARY KEY,
  uid      TEXT NOT NULL UNIQUE,
  vtep     TEXT NOT NULL,
  port     INTEGER NOT NULL,
  origin   TEXT NOT NULL CHECK (origin IN ('operator', 'agent')),
  revision INTEGER NOT NULL,
  UNIQUE (vtep, port)
) STRICT, WITHOUT ROWID;

CREATE TABLE vms (
  name       TEXT PRIMARY KEY,
  uid        TEXT NOT NULL UNIQUE,
  host       TEXT NOT NULL REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED,
  interfaces TEXT NOT NULL CHECK (json_valid(interfaces)),
  revision   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The inventory checks uniqueness before it writes; these two make a breach impossible rather than unlikely.
CREATE TABLE macs (
  network TEXT NOT NULL REFERENCES networks (name) DEFERRABLE INITIALLY DEFERRED,
  mac     TEXT NOT NULL,
  vm      TEXT NOT NULL REFERENCES vms (name) ON DELETE CASCADE,
  PRIMARY KEY (network, mac)
) STRICT, WITHOUT ROWID;
CREATE INDEX macs_by_vm ON macs (vm);

CREATE TABLE ips (
  network TEXT NOT NULL REFERENCES networks (name) DEFERRABLE INITIALLY DEFERRED,
  ip      TEXT NOT NULL,
  vm      TEXT NOT NULL REFERENCES vms (name) ON DELETE CASCADE,
  PRIMARY KEY (network, ip)
) STRICT, WITHOUT ROWID;
CREATE INDEX ips_by_vm ON ips (vm);

CREATE TABLE events (
  revision     INTEGER NOT NULL,
  idx          INTEGER NOT NULL,
  time         TEXT NOT NULL,
  kind         TEXT NOT NULL CHECK (kind IN ('network', 'host', 'vm')),
  name         TEXT NOT NULL,
  data_version INTEGER NOT NULL,
  data         TEXT NOT NULL CHECK (json_valid(data)),
  PRIMARY KEY (revision, idx)
) STRICT, WITHOUT ROWID;
