-- Where a narrowed token places VMs, and how much its networks may hold by it; NULL: any host, and no quota.
ALTER TABLE tokens ADD COLUMN hosts TEXT CHECK (json_valid(hosts));
ALTER TABLE tokens ADD COLUMN quota TEXT CHECK (json_valid(quota));
