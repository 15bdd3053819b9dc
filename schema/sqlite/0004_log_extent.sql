-- How much of the log there is: revisions up to `compacted` are gone, or going. The count is kept by triggers, so that it is
-- right in every transaction, whoever writes; counting would read the whole log.
CREATE TABLE log_extent (
  one       INTEGER PRIMARY KEY CHECK (one = 1),
  events    INTEGER NOT NULL CHECK (events >= 0),
  compacted INTEGER NOT NULL
) STRICT;
INSERT INTO log_extent SELECT 1, count(*), 0 FROM events;
CREATE TRIGGER log_grows AFTER INSERT ON events BEGIN
  UPDATE log_extent SET events = events + 1;
END;
CREATE TRIGGER log_shrinks AFTER DELETE ON events BEGIN
  UPDATE log_extent SET events = events - 1;
END;
