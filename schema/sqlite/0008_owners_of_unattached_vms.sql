-- Networks that a VM without interfaces belongs to; NULL: none, or it has interfaces. Those of VMs that stand are what the log
-- last knew them in: where it is compacted, only tokens for all networks see them from now on.
ALTER TABLE vms ADD COLUMN owner_networks TEXT CHECK (json_valid(owner_networks));
UPDATE vms SET owner_networks = (
  SELECT (
    SELECT json_group_array(network) FROM (
      SELECT DISTINCT value ->> 'network' AS network FROM json_each(events.data, '$.before.interfaces') ORDER BY network
    )
  )
  FROM events
  WHERE events.kind = 'vm' AND events.name = vms.name AND events.data ->> '$.before.uid' = vms.uid
    AND json_array_length(events.data, '$.before.interfaces') > 0
  ORDER BY events.revision DESC, events.idx DESC LIMIT 1
) WHERE json_array_length(interfaces) = 0;
