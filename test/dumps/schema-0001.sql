-- What a controller with schema 1 wrote. It never changes.
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
INSERT INTO meta (name, value) VALUES ('epoch', 'edede73e-9d84-41cf-8da0-c699dc9f8d37');
INSERT INTO networks (name, uid, vni, subnets, mtu, revision) VALUES ('blue', 'ad728beb-d779-4f46-b186-a5336bcf4b51', 100, '["10.0.0.0/24","fd00::/64"]', 1450, 1);
INSERT INTO hosts (name, uid, vtep, port, origin, revision) VALUES ('a', '06774a6f-0fd4-48f2-8d2d-22e53ee9fd41', '192.0.2.1', 4789, 'operator', 2);
INSERT INTO hosts (name, uid, vtep, port, origin, revision) VALUES ('b', '1fc1a862-78ab-4dc2-aa23-b6d386f97c86', '192.0.2.2', 4790, 'operator', 3);
INSERT INTO vms (name, uid, host, interfaces, revision) VALUES ('web-1', '6ac9ad41-055d-4963-b608-b121c870668c', 'b', '[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}]', 6);
INSERT INTO macs (network, mac, vm) VALUES ('blue', '52:54:00:00:00:01', 'web-1');
INSERT INTO ips (network, ip, vm) VALUES ('blue', '10.0.0.1', 'web-1');
INSERT INTO ips (network, ip, vm) VALUES ('blue', 'fd00::1', 'web-1');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (1, 0, '2026-11-21T16:47:01.877Z', 'network', 'blue', 1, '{"before":null,"after":{"name":"blue","vni":100,"subnets":["10.0.0.0/24","fd00::/64"],"mtu":1450,"uid":"ad728beb-d779-4f46-b186-a5336bcf4b51","revision":1}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (2, 0, '2026-11-21T16:47:01.899Z', 'host', 'a', 1, '{"before":null,"after":{"name":"a","vtep":"192.0.2.1","port":4789,"origin":"operator","uid":"06774a6f-0fd4-48f2-8d2d-22e53ee9fd41","revision":2}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (3, 0, '2026-11-21T16:47:01.913Z', 'host', 'b', 1, '{"before":null,"after":{"name":"b","vtep":"192.0.2.2","port":4790,"origin":"operator","uid":"1fc1a862-78ab-4dc2-aa23-b6d386f97c86","revision":3}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (4, 0, '2026-11-21T16:47:01.942Z', 'vm', 'web-1', 1, '{"before":null,"after":{"name":"web-1","host":"a","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"uid":"6ac9ad41-055d-4963-b608-b121c870668c","revision":4}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (5, 0, '2026-11-21T16:47:01.955Z', 'vm', 'web-2', 1, '{"before":null,"after":{"name":"web-2","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:02","ips":["10.0.0.2"]}],"uid":"ee92f8a9-6c0d-45b5-a5ce-9ae0c44596d8","revision":5}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (6, 0, '2026-11-21T16:47:01.977Z', 'vm', 'web-1', 1, '{"before":{"name":"web-1","host":"a","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"uid":"6ac9ad41-055d-4963-b608-b121c870668c","revision":4},"after":{"name":"web-1","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":["10.0.0.1","fd00::1"],"port":"tap1"}],"uid":"6ac9ad41-055d-4963-b608-b121c870668c","revision":6}}');
INSERT INTO events (revision, idx, time, kind, name, data_version, data) VALUES (7, 0, '2026-11-21T16:47:01.988Z', 'vm', 'web-2', 1, '{"before":{"name":"web-2","host":"b","interfaces":[{"name":"eth0","network":"blue","mac":"52:54:00:00:00:02","ips":["10.0.0.2"]}],"uid":"ee92f8a9-6c0d-45b5-a5ce-9ae0c44596d8","revision":5},"after":null}');
CREATE INDEX macs_by_vm ON macs (vm);
CREATE INDEX ips_by_vm ON ips (vm);
PRAGMA user_version = 1;
