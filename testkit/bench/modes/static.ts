// Everything programmed beforehand on every host that will need it: the floor, since nothing is left to be found out.
import type { Host } from "../../lab/host.ts";
import type { Lab } from "../../lab/lab.ts";
import { bridgeBatch, makeDevices, tunnel } from "./devices.ts";
import type { Mode, Placement } from "./mode.ts";

export const staticMode: Mode = {
  name: "static",
  slow: false,
  prepare: async (lab) => {
    await Promise.all(lab.hosts.map((host) => makeDevices(host, "miss")));
  },
  place: async (lab, come, gone) => {
    await Promise.all(hostsOf(lab, [...come, ...gone]).map((host) => program(host, come, gone)));
  },
};

/** The hosts of the VMs at hand: they are each other's peers. */
function hostsOf(lab: Lab, placements: readonly Placement[]): Host[] {
  return lab.hosts.filter((host) => placements.some((placement) => placement.host === host));
}

async function program(host: Host, come: readonly Placement[], gone: readonly Placement[]): Promise<void> {
  const remote = (placements: readonly Placement[]) => placements.filter((placement) => placement.host !== host);
  await host.ip(
    ...remote(gone).map(({ endpoint }) => `neigh del ${endpoint.ip} dev ${tunnel}`),
    ...remote(come).map(
      ({ endpoint }) => `neigh replace ${endpoint.ip} lladdr ${endpoint.mac} dev ${tunnel} nud permanent`,
    ),
  );
  await bridgeBatch(host, [
    ...remote(gone).flatMap(({ host: where, endpoint: { mac } }) => [
      `fdb del ${mac} dev ${tunnel} self dst ${where.address}`,
      `fdb del ${mac} dev ${tunnel} master`,
    ]),
    ...remote(come).flatMap(({ host: where, endpoint: { mac } }) => [
      `fdb replace ${mac} dev ${tunnel} self permanent dst ${where.address}`,
      `fdb replace ${mac} dev ${tunnel} master extern_learn`,
    ]),
  ]);
}
