-- What operators add to a resource, and what requests must find again after a restart.
ALTER TABLE networks ADD COLUMN labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels));
ALTER TABLE networks ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE networks ADD COLUMN pool TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(pool));
ALTER TABLE hosts ADD COLUMN labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels));
ALTER TABLE hosts ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE vms ADD COLUMN labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels));
ALTER TABLE vms ADD COLUMN description TEXT NOT NULL DEFAULT '';

-- Addresses that VMs lost lately, with the time: they are not assigned to others for a while. An address in it may have
-- been taken again.
CREATE TABLE releases (
  network TEXT NOT NULL,
  ip      TEXT NOT NULL,
  at_ms   INTEGER NOT NULL,
  PRIMARY KEY (network, ip)
) STRICT, WITHOUT ROWID;
CREATE INDEX releases_by_time ON releases (at_ms);

-- Requests with an idempotency key that were carried out, and what came of them.
CREATE TABLE receipts (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  key         TEXT NOT NULL UNIQUE,
  fingerprint TEXT NOT NULL,
  at_ms       INTEGER NOT NULL,
  outcome     TEXT NOT NULL CHECK (json_valid(outcome))
) STRICT;
CREATE INDEX receipts_by_time ON receipts (at_ms);
