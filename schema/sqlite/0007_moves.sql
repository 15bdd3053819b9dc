-- Hosts that an operator says are dead, and live migrations that are under way.
ALTER TABLE hosts ADD COLUMN down INTEGER NOT NULL DEFAULT 0 CHECK (down IN (0, 1));
ALTER TABLE vms ADD COLUMN prepared_host TEXT REFERENCES hosts (name) DEFERRABLE INITIALLY DEFERRED;
