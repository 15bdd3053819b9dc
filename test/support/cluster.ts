// A lab with controller and agents running, and shorthands for what kernel tests register there.
import { afterAll, beforeAll } from "vitest";
import { askAgent } from "../../node-agent/status/client.ts";
import type { StatusReport } from "../../node-agent/status/report.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { createLab, type Lab, type LabOptions } from "../../testkit/lab/lab.ts";
import { waitFor } from "../../testkit/lab/wait.ts";

export interface Cluster {
  lab: Lab;
  /** PUTs a network. */
  network(name: string, vni: number, fields?: object): Promise<void>;
  /** Registers the VM, waits for its host, boots the guest. IPs with prefix length. */
  vm(
    name: string,
    host: string,
    network: string,
    vni: number,
    mac: string,
    ips: readonly string[],
    /** Of the interface as it is registered (`pin`: with its `port`), and of the guest. */
    options?: { readonly port?: string; readonly pin?: boolean; readonly bridge?: string },
  ): Promise<Guest>;
  /** A REST call that must succeed. */
  call<Body = unknown>(method: string, path: string, body?: unknown): Promise<Body>;
  /** `ip neigh` and `bridge fdb` of a network on a host, without the kernel's own entries. */
  entries(host: string, vni: number): Promise<{ neighbours: string[]; fdb: string[] }>;
}

/** The status of the host's agent. */
export async function statusOf(host: Host): Promise<StatusReport> {
  return (await askAgent(host.agentSocket, { type: "status" })).result as StatusReport;
}

/** VM web-1 on host a and db-1 on host b, in network blue (VNI 100), with 10.20.1.1 and 10.20.1.2. @returns the guest of web-1, which has reached db-1 */
export async function webAndDb(it: Cluster): Promise<Guest> {
  await it.network("blue", 100);
  const web = await it.vm("web-1", "a", "blue", 100, "52:54:00:00:00:01", ["10.20.1.1/24"]);
  await it.vm("db-1", "b", "blue", 100, "52:54:00:00:00:02", ["10.20.1.2/24"]);
  const { received } = await web.ping("10.20.1.2");
  if (received !== 1) throw new Error("web-1 does not reach db-1");
  return web;
}

/** Starts with the calling block and ends with it. */
export function cluster(
  options: LabOptions & { readonly agentArgs?: readonly string[]; readonly controllerArgs?: readonly string[] },
): Cluster {
  const self: Cluster = {
    lab: undefined as unknown as Lab,
    network: async (name, vni, fields = {}) => {
      await self.call("PUT", `/v1/networks/${name}`, {
        vni,
        subnets: ["10.20.1.0/24", "fd00:20::/64"],
        ...(options.underlay === 6 ? { mtu: 1430 } : {}),
        ...fields,
      });
    },
    vm: async (name, host, network, vni, mac, ips, { pin = false, ...attached } = {}) => {
      const port = pin ? { port: attached.port } : {};
      const interfaces = [{ network, mac, ips: ips.map((ip) => ip.split("/")[0]), ...port }];
      const vm = await self.call<{ ready: boolean }>("POST", "/v1/vms?wait=ready", { name, host, interfaces });
      if (!vm.ready) throw new Error(`host ${host} is not ready for ${name}: ${JSON.stringify(vm)}`);
      return self.lab
        .host(host)
        .addGuest({ name, vni, mac, ips, ...attached, ...(options.underlay === 6 ? { mtu: 1430 } : {}) });
    },
    call: async <Body>(method: string, path: string, body?: unknown): Promise<Body> => {
      const reply = await self.lab.api<Body>(method, path, body);
      if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
      return reply.body;
    },
    entries: async (host, vni) => {
      const { exec } = self.lab.host(host);
      const run = exec.bind(self.lab.host(host));
      const lines = (text: string): string[] =>
        text
          .split("\n")
          .map((line) => line.trim())
          .filter(Boolean)
          .sort();
      const fdb = lines(await run(["bridge", "fdb", "show", "dev", `nmv${vni}`]));
      return {
        neighbours: lines(await run(["ip", "neigh", "show", "dev", `nmv${vni}`])),
        // The entry of the device's own address on its port.
        fdb: fdb.filter((line) => line.includes("extern_learn")),
      };
    },
  };
  beforeAll(async () => {
    self.lab = await createLab(options);
    await self.lab.startController({ extraArgs: options.controllerArgs ?? [] });
    if (options.secured) await Promise.all(self.lab.hosts.map((host) => host.enrol()));
    for (const host of self.lab.hosts) host.startAgent({ extraArgs: options.agentArgs ?? [] });
    for (const { name } of self.lab.hosts) {
      await waitFor(
        async () => (await self.lab.api<{ connected?: boolean }>("GET", `/v1/hosts/${name}`)).body.connected,
        {
          what: `host ${name} to connect`,
        },
      );
    }
  });
  afterAll(() => self.lab?.remove());
  return self;
}
