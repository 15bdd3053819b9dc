// Promise P1: acknowledged writes are kept, however the controller ended. `npm run crash` is the long form.
import { join } from "node:path";
import { expect, test } from "vitest";
import { ControllerProcess, interfaceOf, temporaryDirectory } from "../support/controller-process.ts";

const kills = Number(process.env.NEARMISS_KILLS ?? 4);
const writesPerLife = Number(process.env.NEARMISS_WRITES ?? 125);
const writers = 8;

interface Step {
  readonly vm: string;
  readonly host: string | null;
  readonly request: readonly [method: string, path: string, body?: unknown];
}

/** Made, moved, moved back; then every other one is deleted. */
function stepOf(number: number, step: number): Step {
  const vm = `vm-${number}`;
  const path = `/v1/vms/${vm}`;
  const move = (host: string): Step => ({ vm, host, request: ["PATCH", path, { host }] });
  if (step === 0) {
    return { vm, host: "a", request: ["POST", "/v1/vms", { name: vm, host: "a", interfaces: [interfaceOf(number)] }] };
  }
  if (step === 3 && number % 2 === 0) return { vm, host: null, request: ["DELETE", path] };
  return move(step === 2 ? "a" : "b");
}

/** Writes to its own VMs, one after the other, and remembers the answers. */
class Writer {
  /** By VM: the host in the last acknowledged answer; null where it was deleted. */
  readonly acknowledged = new Map<string, string | null>();
  acknowledgements = 0;
  /** The request without an answer. */
  pending: { readonly vm: string; readonly host: string | null } | undefined;
  private step = 0;

  constructor(private readonly id: number) {}

  /** Until the controller has ended. */
  async write(controller: ControllerProcess, acknowledged: () => void): Promise<void> {
    for (;;) {
      const number = this.id * 4_000 + (this.step >> 2);
      const { vm, host, request } = stepOf(number, this.step & 3);
      this.pending = { vm, host };
      let reply: { status: number };
      try {
        reply = await controller.request(...request);
      } catch {
        return;
      }
      // Done in the life before, but its answer was lost.
      const repeated = reply.status === (request[0] === "POST" ? 409 : 404);
      if (reply.status >= 300 && !repeated) throw new Error(`${request.join(" ")}: ${JSON.stringify(reply)}`);
      this.acknowledged.set(vm, host);
      this.pending = undefined;
      this.acknowledgements++;
      this.step++;
      acknowledged();
    }
  }
}

test(`${kills} × SIGKILL under load: every acknowledged write is present`, { timeout: 3_600_000 }, async () => {
  const db = join(temporaryDirectory(), "nearmiss.db");
  const all = Array.from({ length: writers }, (_, i) => new Writer(i));
  let controller = await ControllerProcess.start(db);
  await controller.furnish();
  for (let life = 0; life < kills; life++) {
    let left = writesPerLife;
    const victim = controller.process;
    const acknowledged = () => {
      if (--left === 0) victim.signal("SIGKILL");
    };
    await Promise.all(all.map((writer) => writer.write(controller, acknowledged)));
    expect(left).toBeLessThanOrEqual(0);
    expect(await victim.ended).toBe("SIGKILL");
    controller = await ControllerProcess.start(db);
    const stored = await controller.everything();
    for (const { acknowledged, pending } of all) {
      for (const [vm, host] of acknowledged) {
        const actual = (stored.get(`vm/${vm}`) as { host: string } | undefined)?.host ?? null;
        // A request without an answer may have been carried out.
        const allowed = vm === pending?.vm ? [host, pending.host] : [host];
        expect(allowed, `${vm} in life ${life}`).toContain(actual);
      }
    }
  }
  const written = all.reduce((sum, { acknowledgements }) => sum + acknowledgements, 0);
  expect(written).toBeGreaterThanOrEqual(kills * writesPerLife);
  process.stderr.write(`${kills} kills, ${written} acknowledged writes, none missing\n`);
});
