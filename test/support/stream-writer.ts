// Makes changes of all sizes, and knows of each revision how many it has: also of those whose answer was lost.
import type { ControllerProcess } from "./controller-process.ts";

const networks = 4;
export const soakHosts = 8;
const vms = 800;
/** Beyond 256 the controller reads a revision back from the log, beyond 512 a thread writes it. */
export const largestImport = 600;
const patchesAtOnce = 8;

interface VmState {
  host: number;
  network: number;
  exists: boolean;
}

/** Pseudo-random in 0 … n-1, the same in every run (Numerical Recipes' generator). */
export function generator(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

export class StreamWriter {
  /** By revision, from 1: how many changes it has. */
  readonly sizes: number[] = [0];
  events = 0;
  private readonly random = generator(7);
  private readonly state: VmState[] = Array.from({ length: vms }, () => ({ host: 0, network: 0, exists: false }));
  /** The requests without an answer. */
  private pending = 0;
  private step = 0;

  get revision(): number {
    return this.sizes.length - 1;
  }

  async furnish(controller: ControllerProcess): Promise<void> {
    const lines: object[] = [];
    for (let n = 0; n < networks; n++) {
      lines.push({ kind: "network", name: `net-${n}`, vni: 100 + n, subnets: [`10.${n}.0.0/16`] });
    }
    for (let n = 0; n < soakHosts; n++) lines.push({ kind: "host", name: `host-${n}`, vtep: `192.0.2.${n + 1}` });
    await this.import(controller, lines);
  }

  /** One step: an import, or some patches together. @throws if the controller has ended */
  async write(controller: ControllerProcess): Promise<void> {
    this.step += 1;
    if (this.random(4) === 0) await this.patch(controller);
    else await this.import(controller, this.lines());
  }

  /** After a restart: was the change without answer made or not? @throws where something acknowledged is missing */
  async settle(controller: ControllerProcess): Promise<void> {
    const { revision } = await controller.call<{ revision: number }>("GET", "/readyz");
    if (revision < this.revision) throw new Error(`revision ${this.revision} was acknowledged, ${revision} is there`);
    while (this.revision < revision) this.note(this.pending);
    this.pending = 0;
    await this.readBack(controller);
  }

  private note(size: number): void {
    this.sizes.push(size);
    this.events += size;
  }

  private lines(): object[] {
    const size = 1 + this.random(this.random(8) === 0 ? largestImport : 120);
    const first = this.random(vms);
    return Array.from({ length: size }, (_, i) => this.line((first + i) % vms));
  }

  /** Always a change: the label differs. */
  private line(n: number): object {
    const vm = this.state[n] as VmState;
    vm.exists = !(vm.exists && this.random(10) === 0);
    if (!vm.exists) return { kind: "vm", name: `vm-${n}`, delete: true };
    vm.host = this.random(soakHosts);
    if (this.random(5) === 0) vm.network = this.random(networks);
    const hex = n.toString(16).padStart(4, "0");
    const mac = `52:54:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
    const interfaces = [{ network: `net-${vm.network}`, mac, ips: [`10.${vm.network}.${(n >> 8) + 1}.${n & 255}`] }];
    return { kind: "vm", name: `vm-${n}`, host: `host-${vm.host}`, interfaces, labels: { step: `${this.step}` } };
  }

  private async import(controller: ControllerProcess, lines: readonly object[]): Promise<void> {
    this.pending = lines.length;
    const response = await fetch(new URL("/v1/import", controller.url), {
      method: "POST",
      headers: { authorization: `Bearer ${controller.token}`, "content-type": "application/x-ndjson" },
      body: lines.map((line) => JSON.stringify(line)).join("\n"),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`import: ${response.status} ${text}`);
    const { revision } = JSON.parse(text.trim().split("\n").at(-1) ?? "");
    this.note(lines.length);
    this.pending = 0;
    if (revision !== this.revision) throw new Error(`the import became ${revision}, expected ${this.revision}`);
  }

  /** Each is a separate revision with one change. */
  private async patch(controller: ControllerProcess): Promise<void> {
    const there = [...this.state.entries()].filter(([, { exists }]) => exists).slice(0, patchesAtOnce);
    this.pending = 1;
    const replies = await Promise.allSettled(
      there.map(([n, vm]) => {
        vm.host = (vm.host + 1) % soakHosts;
        return controller.call("PATCH", `/v1/vms/vm-${n}`, {
          host: `host-${vm.host}`,
          labels: { step: `patch-${this.step}` },
        });
      }),
    );
    for (const reply of replies) if (reply.status === "fulfilled") this.note(1);
    const failed = replies.find((reply) => reply.status === "rejected");
    if (failed) throw failed.reason;
    this.pending = 0;
  }

  private async readBack(controller: ControllerProcess): Promise<void> {
    const everything = await controller.everything();
    this.state.forEach((vm, n) => {
      const stored = everything.get(`vm/vm-${n}`) as { host: string; interfaces: { network: string }[] } | undefined;
      vm.exists = stored !== undefined;
      vm.host = Number(stored?.host.slice("host-".length) ?? 0);
      vm.network = Number(stored?.interfaces[0]?.network.slice("net-".length) ?? 0);
    });
  }
}
