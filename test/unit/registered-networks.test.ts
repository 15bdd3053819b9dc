// The tunnel end of a host behind address translation.
import { expect, test } from "vitest";
import { RegisteredNetworks } from "../../node-agent/networks/registered-networks.ts";
import { vtep } from "../support/addresses.ts";

const registered = { vtep: vtep("198.51.100.7"), vtepPort: 4_790 };

test("the tunnel end is the registered one", () => {
  const networks = new RegisteredNetworks();
  expect(networks.tunnelEnd).toBeUndefined();
  networks.registeredEnd = registered;
  expect(networks.tunnelEnd).toEqual(registered);
});

test("a local address replaces the registered one, with the registered port", () => {
  const networks = new RegisteredNetworks(vtep("10.0.0.7"));
  networks.registeredEnd = registered;
  expect(networks.tunnelEnd).toEqual({ vtep: "10.0.0.7", vtepPort: 4_790, registered: "198.51.100.7" });
  expect(networks.registeredEnd).toEqual(registered);
});

test("a local address of the other family is not used", () => {
  const networks = new RegisteredNetworks(vtep("2001:db8::7"));
  networks.registeredEnd = registered;
  expect(networks.tunnelEnd).toEqual(registered);
});
