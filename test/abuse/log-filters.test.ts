// Filters of the log are applied to what the caller may see: otherwise they would reveal hidden resources.
import { expect, test } from "vitest";
import { call, populate, startSecured } from "../integration/harness.ts";

test("a filter of the log does not reveal that a VM has interfaces in other tenants' networks", async () => {
  const secured = await startSecured();
  await populate(secured.admin);
  const interfaces = [{ network: "blue" }, { network: "red" }];
  await call(secured.admin, 201, "PUT", "/v1/vms/both", { host: "a", interfaces });
  const blue = secured.as((await secured.issue({ role: "viewer", networks: ["blue"] })).token);
  const log = async (query: string) => (await call(blue, 200, "GET", `/v1/log?name=both&${query}`)).events;
  expect(await log("network=blue")).toHaveLength(1);
  expect(await log("network=red")).toEqual([]);
  expect(await log("host=a")).toHaveLength(1);
});
