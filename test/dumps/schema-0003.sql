-- What a controller with schema 3 wrote. It never changes.
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
, labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)), description TEXT NOT NULL DEFAULT '', pool TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(pool))) STRICT, WITHOUT ROWID;
CREATE TABLE hosts (
  name     TEXT PRIMARY KEY,
  uid      TEXT NOT NULL UNIQUE,
  vtep     TEXT NOT NULL,
  port     INTEGER NOT NULL,
  origin   TEXT NOT NULL CHECK (origin IN ('operator', 'agent')),
  revision INTEGER NOT NULL, labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)), description TEXT NOT NULL DEFAULT '',
  UNIQUE (vtep, port)
) STRICT, WITHOUT ROWID;
CREATE TABLE vms (
  name       TEXT PRIMARY KEY,
  uid        TEXT NOT NULL UNIQUE,
  host       TEXT NOT NULL REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED,
  interfaces TEXT NOT NULL CHECK (json_valid(interfaces)),
  revision   INTEGER NOT NULL
, labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)), description TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
CREATE TABLE macs (
  network TEXT NOT NULL REFERENCES networks (name) DEFERRABLE INITIALLY DEFERRED,
  mac     TEXT NOT NULL,
  vm      TEXT NOT NULL REFERENCES vms (name) ON DELETE CASCADE,
  PRIMARY KEY (network, mac)
) STRICT, WITHOUT ROWID;
CREATE TABLE ips (
  network TEXT NOT NULL REFERENCES networks (name) DEFERRABLE INITIALLY DEFERRED,
  ip      TEXT NOT NULL,
  vm      TEXT NOT NULL REFERENCES vms (name) ON DELETE CASCADE,
  PRIMARY KEY (network, ip)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE releases (
  network TEXT NOT NULL,
  ip      TEXT NOT NULL,
  at_ms   INTEGER NOT NULL,
  PRIMARY KEY (network, ip)
) STRICT, WITHOUT ROWID;
CREATE TABLE receipts (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  key         TEXT NOT NULL UNIQUE,
  fingerprint TEXT NOT NULL,
  at_ms       INTEGER NOT NULL,
  outcome     TEXT NOT NULL CHECK (json_valid(outcome))
) STRICT;
INSERT INTO meta (name, value) VALUES ('epoch', '9e24db52-963a-4de1-855d-e0e5b1d6eab1');
INSERT INTO meta (name, value) VALUES ('first_token', '70e7c83e');
INSERT INTO networks (name, uid, vni, subnets, mtu, revision, labels, description, pool) VALUES ('blue', '3f6aefbf-99ae-4648-bf95-461f908bcf0a', 100, '["10.0.0.0/24","fd00::/64"]', 1450, 1, '{}', '', '{}');
INSERT INTO hosts (name, uid, vtep, port, origin, revision, labels, description) VALUES ('a', '8ff8581b-9ddb-4b65-8d4c-522e57efbec5', '192.0.2.1', 4789, 'operator', 2, '{}', '');
INSERT INTO hosts (name, uid, vtep, port, origin, revision, labels, description) VALUES ('b', '870931e2-1d2b-4124-9ddf-b8f5ca77ca4d', '192.0.2.2', 4790, 'operator', 3, '{}', '');
INSERT INTO vms (name, uid, host, interfaces, revision, labels, description) VALUES ('web-1', '5336839f-53ed-4038-a041-1da738a37bfa', 'b', '[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}]', 6, '{}', '');
INSERT INTO macs (network, mac, vm) VALUES ('blue', '52:54:00:00:00:01', 'web-1');
INSERT INTO ips (network, ip, vm) VALUES ('blue', '10.0.0.1', 'web-1');
INSERT INTO ips (network, ip, vm) VALUES ('blue', 'fd00::1', 'web-1');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (1, 0, '2026-11-21T16:46:22.159Z', 'network', 'blue', 2, '{"before":null,"after":{"name":"blue","vni":100,"subnets":["10.0.0.0/24","fd00::/64"],"mtu":1450,"labels":{},"description":"","uid":"3f6aefbf-99ae-4648-bf95-461f908bcf0a","revision":1}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (2, 0, '2026-11-21T16:46:22.229Z', 'host', 'a', 2, '{"before":null,"after":{"name":"a","vtep":"192.0.2.1","port":4789,"origin":"operator","labels":{},"description":"","uid":"8ff8581b-9ddb-4b65-8d4c-522e57efbec5","revision":2}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (3, 0, '2026-11-21T16:46:22.287Z', 'host', 'b', 2, '{"before":null,"after":{"name":"b","vtep":"192.0.2.2","port":4790,"origin":"operator","labels":{},"description":"","uid":"870931e2-1d2b-4124-9ddf-b8f5ca77ca4d","revision":3}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (4, 0, '2026-11-21T16:46:22.301Z', 'vm', 'web-1', 2, '{"before":null,"after":{"name":"web-1","host":"a","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"labels":{},"description":"","uid":"5336839f-53ed-4038-a041-1da738a37bfa","revision":4}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (5, 0, '2026-11-21T16:46:22.323Z', 'vm', 'web-2', 2, '{"before":null,"after":{"name":"web-2","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:02","ips":["10.0.0.2"]}],"labels":{},"description":"","uid":"4a4e0353-d954-4ee5-8eb9-f27b342e4da0","revision":5}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (6, 0, '2026-11-21T16:46:22.332Z', 'vm', 'web-1', 2, '{"before":{"name":"web-1","host":"a","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"labels":{},"description":"","uid":"5336839f-53ed-4038-a041-1da738a37bfa","revision":4},"after":{"name":"web-1","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"labels":{},"description":"","uid":"5336839f-53ed-4038-a041-1da738a37bfa","revision":6}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (7, 0, '2026-11-21T16:46:22.352Z', 'vm', 'web-2', 2, '{"before":{"name":"web-2","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:02","ips":["10.0.0.2"]}],"labels":{},"description":"","uid":"4a4e0353-d954-4ee5-8eb9-f27b342e4da0","revision":5},"after":null}');
INSERT INTO tokens (id, hash, role, networks, note, created, created_by, expires, last_used) VALUES ('70e7c83e', x'a55b7e9599e1df8baee7d8f22453c90b8e5f19304431ba74704812d26f498831', 'admin', NULL, 'made at the first start', '2026-11-21T16:46:21.769Z', 'the first start', NULL, '2026-11-21T16:46:22.352Z');
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (1, '2026-11-21T16:46:21.769Z', 'the first start', 'admin', NULL, '["token.created tokens/70e7c83e (admin)"]', 1, NULL);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (2, '2026-11-21T16:46:22.159Z', 'token 70e7c83e (made at the first start)', 'admin', '127.0.0.1', '["network.created networks/blue"]', 1, 1);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (3, '2026-11-21T16:46:22.229Z', 'token 70e7c83e (made at the first start)', 'admin', '127.0.0.1', '["host.created hosts/a"]', 1, 2);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (4, '2026-11-21T16:46:22.287Z', 'token 70e7c83e (made at the first start)', 'admin', '127.0.0.1', '["host.created hosts/b"]', 1, 3);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (5, '2026-11-21T16:46:22.301Z', 'token 70e7c83e (made at the first start)', 'admin', '127.0.0.1', '["vm.created vms/web-1"]', 1, 4);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (6, '2026-11-21T16:46:22.323Z', 'token 70e7c83e (made at the first start)', 'admin', '127.0.0.1', '["vm.created vms/web-2"]', 1, 5);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (7, '2026-11-21T16:46:22.332Z', 'token 70e7c83e (made at the first start)', 'admin', '127.0.0.1', '["vm.updated vms/web-1"]', 1, 6);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (8, '2026-11-21T16:46:22.352Z', 'token 70e7c83e (made at the first start)', 'admin', '127.0.0.1', '["vm.deleted vms/web-2"]', 1, 7);
INSERT INTO releases (network, ip, at_ms) VALUES ('blue', '10.0.0.2', 1795279582352);
CREATE INDEX macs_by_vm ON macs (vm);
CREATE INDEX ips_by_vm ON ips (vm);
CREATE INDEX audit_by_time ON audit (time);
CREATE INDEX releases_by_time ON releases (at_ms);
CREATE INDEX receipts_by_time ON receipts (at_ms);
PRAGMA user_version = 3;
