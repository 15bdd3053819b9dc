// Linux alone: broadcasts and frames to unknown addresses are sent to all hosts (head-end replication), and each learns
// from received frames (RFC 7348 §4.2, with unicast instead of an underlay multicast group).
import { bridgeBatch, makeDevices, tunnel } from "./devices.ts";
import type { Mode } from "./mode.ts";

export const floodAndLearnMode: Mode = {
  name: "flood-and-learn",
  slow: false,
  prepare: async (lab) => {
    await Promise.all(
      lab.hosts.map(async (host) => {
        await makeDevices(host, "learn");
        const others = lab.hosts.filter((other) => other !== host);
        await bridgeBatch(
          host,
          others.map(({ address }) => `fdb append 00:00:00:00:00:00 dev ${tunnel} self permanent dst ${address}`),
        );
      }),
    );
  },
  // No host is notified of anything: that is the point. Addresses learned from earlier VMs are different ones.
  place: async () => {},
};
