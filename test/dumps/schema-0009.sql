-- What a controller with schema 9 wrote. It never changes.
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
  revision INTEGER NOT NULL, labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)), description TEXT NOT NULL DEFAULT '', down INTEGER NOT NULL DEFAULT 0 CHECK (down IN (0, 1)),
  UNIQUE (vtep, port)
) STRICT, WITHOUT ROWID;
CREATE TABLE vms (
  name       TEXT PRIMARY KEY,
  uid        TEXT NOT NULL UNIQUE,
  host       TEXT NOT NULL REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED,
  interfaces TEXT NOT NULL CHECK (json_valid(interfaces)),
  revision   INTEGER NOT NULL
, labels TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)), description TEXT NOT NULL DEFAULT '', prepared_host TEXT REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED, owner_networks TEXT CHECK (json_valid(owner_networks))) STRICT, WITHOUT ROWID;
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
, hosts TEXT CHECK (json_valid(hosts)), quota TEXT CHECK (json_valid(quota))) STRICT, WITHOUT ROWID;
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
CREATE TABLE log_extent (
  one       INTEGER PRIMARY KEY CHECK (one = 1),
  events    INTEGER NOT NULL CHECK (events >= 0),
  compacted INTEGER NOT NULL
) STRICT;
CREATE TABLE join_tokens (
  hash     BLOB PRIMARY KEY CHECK (length(hash) = 32),
  host     TEXT NOT NULL,
  -- NULL: the host was not registered, and its agent will.
  host_uid TEXT,
  expires  TEXT NOT NULL,
  -- The key that the token was used for; NULL: not yet.
  key      TEXT
) STRICT, WITHOUT ROWID;
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
INSERT INTO meta (name, value) VALUES ('epoch', '3165384e-be09-407e-afda-6ff595fd3572');
INSERT INTO meta (name, value) VALUES ('first_token', 'af7004e0');
INSERT INTO networks (name, uid, vni, subnets, mtu, revision, labels, description, pool) VALUES ('blue', '5c37b516-fb49-45fb-be50-60f7ee980501', 100, '["10.0.0.0/24","fd00::/64"]', 1450, 1, '{}', '', '{}');
INSERT INTO hosts (name, uid, vtep, port, origin, revision, labels, description, down) VALUES ('a', '1f9d5436-37fb-43cc-bed4-33fd9261e433', '192.0.2.1', 4789, 'operator', 2, '{}', '', 0);
INSERT INTO hosts (name, uid, vtep, port, origin, revision, labels, description, down) VALUES ('b', '8b05589b-9dcb-4000-9b03-abf87ffc2043', '192.0.2.2', 4790, 'operator', 3, '{}', '', 0);
INSERT INTO vms (name, uid, host, interfaces, revision, labels, description, prepared_host, owner_networks) VALUES ('web-1', '925ee6e7-9eb1-4a2a-94f6-e973b4cb9295', 'b', '[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}]', 6, '{}', '', NULL, NULL);
INSERT INTO macs (network, mac, vm) VALUES ('blue', '52:54:00:00:00:01', 'web-1');
INSERT INTO ips (network, ip, vm) VALUES ('blue', '10.0.0.1', 'web-1');
INSERT INTO ips (network, ip, vm) VALUES ('blue', 'fd00::1', 'web-1');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (1, 0, '2026-12-01T00:05:32.264Z', 'network', 'blue', 2, '{"before":null,"after":{"name":"blue","vni":100,"subnets":["10.0.0.0/24","fd00::/64"],"mtu":1450,"labels":{},"description":"","uid":"5c37b516-fb49-45fb-be50-60f7ee980501","revision":1}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (2, 0, '2026-12-01T00:05:33.378Z', 'host', 'a', 2, '{"before":null,"after":{"name":"a","vtep":"192.0.2.1","port":4789,"origin":"operator","labels":{},"description":"","uid":"1f9d5436-37fb-43cc-bed4-33fd9261e433","revision":2}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (3, 0, '2026-12-01T00:05:33.417Z', 'host', 'b', 2, '{"before":null,"after":{"name":"b","vtep":"192.0.2.2","port":4790,"origin":"operator","labels":{},"description":"","uid":"8b05589b-9dcb-4000-9b03-abf87ffc2043","revision":3}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (4, 0, '2026-12-01T00:05:33.444Z', 'vm', 'web-1', 2, '{"before":null,"after":{"name":"web-1","host":"a","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"labels":{},"description":"","uid":"925ee6e7-9eb1-4a2a-94f6-e973b4cb9295","revision":4}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (5, 0, '2026-12-01T00:05:33.535Z', 'vm', 'web-2', 2, '{"before":null,"after":{"name":"web-2","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:02","ips":["10.0.0.2"]}],"labels":{},"description":"","uid":"72dbe959-a488-4594-af2f-678b66652529","revision":5}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (6, 0, '2026-12-01T00:05:33.542Z', 'vm', 'web-1', 2, '{"before":{"name":"web-1","host":"a","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"labels":{},"description":"","uid":"925ee6e7-9eb1-4a2a-94f6-e973b4cb9295","revision":4},"after":{"name":"web-1","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"labels":{},"description":"","uid":"925ee6e7-9eb1-4a2a-94f6-e973b4cb9295","revision":6}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (7, 0, '2026-12-01T00:05:33.558Z', 'vm', 'web-2', 2, '{"before":{"name":"web-2","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:02","ips":["10.0.0.2"]}],"labels":{},"description":"","uid":"72dbe959-a488-4594-af2f-678b66652529","revision":5},"after":null}');
INSERT INTO tokens (id, hash, role, networks, note, created, created_by, expires, last_used, hosts, quota) VALUES ('af7004e0', x'77f4b84e7a8199d32c9fd012e4585d07b7e3cd8416115af478c19bb87490c815', 'admin', NULL, 'made at the first start', '2026-12-01T00:05:30.652Z', 'the first start', NULL, '2026-12-01T00:05:33.557Z', NULL, NULL);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (1, '2026-12-01T00:05:30.652Z', 'the first start', 'admin', NULL, '["token.created tokens/af7004e0 (admin)"]', 1, NULL);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (2, '2026-12-01T00:05:32.264Z', 'token af7004e0 (made at the first start)', 'admin', '127.0.0.1', '["network.created networks/blue"]', 1, 1);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (3, '2026-12-01T00:05:33.378Z', 'token af7004e0 (made at the first start)', 'admin', '127.0.0.1', '["host.created hosts/a"]', 1, 2);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (4, '2026-12-01T00:05:33.417Z', 'token af7004e0 (made at the first start)', 'admin', '127.0.0.1', '["host.created hosts/b"]', 1, 3);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (5, '2026-12-01T00:05:33.444Z', 'token af7004e0 (made at the first start)', 'admin', '127.0.0.1', '["vm.created vms/web-1"]', 1, 4);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (6, '2026-12-01T00:05:33.535Z', 'token af7004e0 (made at the first start)', 'admin', '127.0.0.1', '["vm.created vms/web-2"]', 1, 5);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (7, '2026-12-01T00:05:33.542Z', 'token af7004e0 (made at the first start)', 'admin', '127.0.0.1', '["vm.updated vms/web-1"]', 1, 6);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (8, '2026-12-01T00:05:33.558Z', 'token af7004e0 (made at the first start)', 'admin', '127.0.0.1', '["vm.deleted vms/web-2"]', 1, 7);
INSERT INTO releases (network, ip, at_ms) VALUES ('blue', '10.0.0.2', 1796083533558);
INSERT INTO log_extent (one, events, compacted) VALUES (1, 7, 0);
CREATE INDEX macs_by_vm ON macs (vm);
CREATE INDEX ips_by_vm ON ips (vm);
CREATE INDEX audit_by_time ON audit (time);
CREATE INDEX releases_by_time ON releases (at_ms);
CREATE INDEX receipts_by_time ON receipts (at_ms);
CREATE TRIGGER log_grows AFTER INSERT ON events BEGIN
  UPDATE log_extent SET events = events + 1;
END;
CREATE TRIGGER log_shrinks AFTER DELETE ON events BEGIN
  UPDATE log_extent SET events = events - 1;
END;
CREATE INDEX events_by_resource ON events (kind, name, revision, idx);
PRAGMA user_version = 9;
