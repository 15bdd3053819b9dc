-- What a controller with schema 2 wrote. It never changes.
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
INSERT INTO meta (name, value) VALUES ('epoch', '15c9c08d-66d1-4ae0-8946-9b0ae0a823c2');
INSERT INTO meta (name, value) VALUES ('first_token', '566c58b4');
INSERT INTO networks (name, uid, vni, subnets, mtu, revision) VALUES ('blue', '392bbb2e-0b0d-4908-9276-64d9d4e56255', 100, '["10.0.0.0/24","fd00::/64"]', 1450, 1);
INSERT INTO hosts (name, uid, vtep, port, origin, revision) VALUES ('a', 'b43e478e-28e0-46df-af6d-81ad17ee4d10', '192.0.2.1', 4789, 'operator', 2);
INSERT INTO hosts (name, uid, vtep, port, origin, revision) VALUES ('b', 'fb32fba3-d27d-460c-b5c9-f53a32b392ce', '192.0.2.2', 4790, 'operator', 3);
INSERT INTO vms (name, uid, host, interfaces, revision) VALUES ('web-1', '8f9dfab6-7307-4851-90ba-83644416978d', 'b', '[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}]', 6);
INSERT INTO macs (network, mac, vm) VALUES ('blue', '52:54:00:00:00:01', 'web-1');
INSERT INTO ips (network, ip, vm) VALUES ('blue', '10.0.0.1', 'web-1');
INSERT INTO ips (network, ip, vm) VALUES ('blue', 'fd00::1', 'web-1');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (1, 0, '2026-11-21T16:46:13.501Z', 'network', 'blue', 1, '{"before":null,"after":{"name":"blue","vni":100,"subnets":["10.0.0.0/24","fd00::/64"],"mtu":1450,"uid":"392bbb2e-0b0d-4908-9276-64d9d4e56255","revision":1}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (2, 0, '2026-11-21T16:46:13.564Z', 'host', 'a', 1, '{"before":null,"after":{"name":"a","vtep":"192.0.2.1","port":4789,"origin":"operator","uid":"b43e478e-28e0-46df-af6d-81ad17ee4d10","revision":2}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (3, 0, '2026-11-21T16:46:13.627Z', 'host', 'b', 1, '{"before":null,"after":{"name":"b","vtep":"192.0.2.2","port":4790,"origin":"operator","uid":"fb32fba3-d27d-460c-b5c9-f53a32b392ce","revision":3}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (4, 0, '2026-11-21T16:46:13.697Z', 'vm', 'web-1', 1, '{"before":null,"after":{"name":"web-1","host":"a","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"uid":"8f9dfab6-7307-4851-90ba-83644416978d","revision":4}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (5, 0, '2026-11-21T16:46:13.716Z', 'vm', 'web-2', 1, '{"before":null,"after":{"name":"web-2","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:02","ips":["10.0.0.2"]}],"uid":"944b95fc-a459-42e7-9bad-53707e295986","revision":5}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (6, 0, '2026-11-21T16:46:13.729Z', 'vm', 'web-1', 1, '{"before":{"name":"web-1","host":"a","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"uid":"8f9dfab6-7307-4851-90ba-83644416978d","revision":4},"after":{"name":"web-1","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"uid":"8f9dfab6-7307-4851-90ba-83644416978d","revision":6}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (7, 0, '2026-11-21T16:46:13.749Z', 'vm', 'web-2', 1, '{"before":{"name":"web-2","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:02","ips":["10.0.0.2"]}],"uid":"944b95fc-a459-42e7-9bad-53707e295986","revision":5},"after":null}');
INSERT INTO tokens (id, hash, role, networks, note, created, created_by, expires, last_used) VALUES ('566c58b4', x'6f97cef6e7d997f7cf7dc56d8b2631aeec59a6335750d97f008acb07bac0d52a', 'admin', NULL, 'made at the first start', '2026-11-21T16:46:13.149Z', 'the first start', NULL, '2026-11-21T16:46:13.748Z');
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (1, '2026-11-21T16:46:13.149Z', 'the first start', 'admin', NULL, '["token.created tokens/566c58b4 (admin)"]', 1, NULL);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (2, '2026-11-21T16:46:13.501Z', 'token 566c58b4 (made at the first start)', 'admin', '127.0.0.1', '["network.created networks/blue"]', 1, 1);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (3, '2026-11-21T16:46:13.564Z', 'token 566c58b4 (made at the first start)', 'admin', '127.0.0.1', '["host.created hosts/a"]', 1, 2);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (4, '2026-11-21T16:46:13.627Z', 'token 566c58b4 (made at the first start)', 'admin', '127.0.0.1', '["host.created hosts/b"]', 1, 3);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (5, '2026-11-21T16:46:13.697Z', 'token 566c58b4 (made at the first start)', 'admin', '127.0.0.1', '["vm.created vms/web-1"]', 1, 4);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (6, '2026-11-21T16:46:13.716Z', 'token 566c58b4 (made at the first start)', 'admin', '127.0.0.1', '["vm.created vms/web-2"]', 1, 5);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (7, '2026-11-21T16:46:13.729Z', 'token 566c58b4 (made at the first start)', 'admin', '127.0.0.1', '["vm.updated vms/web-1"]', 1, 6);
INSERT INTO audit (id, time, actor, role, address, what, changes, revision) VALUES (8, '2026-11-21T16:46:13.749Z', 'token 566c58b4 (made at the first start)', 'admin', '127.0.0.1', '["vm.deleted vms/web-2"]', 1, 7);
CREATE INDEX macs_by_vm ON macs (vm);
CREATE INDEX ips_by_vm ON ips (vm);
CREATE INDEX audit_by_time ON audit (time);
PRAGMA user_version = 2;
