// Thousands of entries are compared with the kernel's tables, and written again, while guests go on asking.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Core } from "../../node-agent/core.ts";
import { type Entry, entryKey } from "../../node-agent/tables/entry.ts";
import type { Answer } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { agentNetwork, describeKernel, epoch, kernelCore, kernelHost } from "../support/kernel.ts";

const network = vni(100);
const many = 2_000;

const answer = (n: number, revision = 1, to = "192.0.2.1"): Answer => {
  const [high, low] = [n >> 8, n & 255];
  const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
  return {
    key: { kind: "ip", vni: network, ip: ip(`10.20.${high}.${low}`) },
    revision: rev(revision),
    binding: { mac: mac(`52:54:00:00:${hex(high)}:${hex(low)}`), host: "b", vtep: vtep(to), vtepPort: 4789 },
  };
};
const gone = (n: number, revision: number): Answer => ({ ...answer(n, revision), binding: null });

describeKernel("a comparison of thousands of entries", () => {
  const host = kernelHost();
  let core: Core;

  beforeEach(async () => {
    core = kernelCore(host);
    core.held.take(
      Array.from({ length: many }, (_, n) => answer(n + 1)),
      0,
    );
    await core.networks.replace([agentNetwork(100)], epoch);
  });

  afterEach(() => core.close());

  const sorted = (entries: Iterable<Entry>): Entry[] =>
    [...entries].sort((a, b) => entryKey(a).localeCompare(entryKey(b)));

  async function expectInLine(): Promise<void> {
    const actual = await host.tables.list(network);
    expect(sorted(actual.flatMap(({ entry, own }) => (own ? entry : [])))).toEqual(
      sorted(core.held.desired(network).values()),
    );
  }

  /** Answers written while the networks are looked at, each in a turn of its own. @returns how many that were */
  async function answerConcurrently(answers: readonly Answer[]): Promise<number> {
    let isUnderWay = true;
    const looked = core.networks.idle.finally(() => {
      isUnderWay = false;
    });
    let written = 0;
    for (const each of answers) {
      await new Promise((resolve) => setImmediate(resolve));
      if (!isUnderWay) break;
      const results = await core.writer.write(core.held.take([each], 0).operations);
      expect(results.filter(({ ok }) => !ok)).toEqual([]);
      if (isUnderWay) written++;
    }
    await looked;
    return written;
  }

  /** Of VMs first and last and in between: new ones, some that move, some that go. */
  const changes = Array.from({ length: many / 4 }, (_, n) => [
    answer(many + n + 1, 2),
    answer(4 * n + 1, 2, "192.0.2.2"),
    gone(many - 4 * n, 2),
  ]).flat();

  // Between two dumps that are each read in one piece there would be two.
  test("lets answers be written before its end, and does not take them for foreign changes", async () => {
    core.networks.look("timer");
    expect(await answerConcurrently(changes)).toBeGreaterThan(4);
    expect(core.networks.repairs.get("timer")).toBeUndefined();
    await expectInLine();
  });

  test("that rewrites all entries lets answers be written in between, and never overwrites them", async () => {
    await host.namespace.ip("link set nmv100 down", "link set nmv100 up");
    core.networks.look("device");
    expect(await answerConcurrently(changes)).toBeGreaterThan(4);
    await expectInLine();
    core.networks.look("timer");
    await core.networks.idle;
    expect(core.networks.repairs.get("timer")).toBeUndefined();
  });
});
