-- The history of one resource, read from the log backwards.
CREATE INDEX events_by_resource ON events (kind, name, revision, idx);
