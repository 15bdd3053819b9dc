// A kernel that accepts no more entries: existing ones work, the operator is informed, and the rest is written when
// there is room.
import { pino } from "pino";
import { expect, test } from "vitest";
import type { OperationResult, Tables } from "../../node-agent/tables/entry.ts";
import type { Answer } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { agentNetwork, describeKernel, epoch, kernelCore, kernelHost } from "../support/kernel.ts";

const network = vni(100);
const reason = "ENOBUFS, the kernel's table is full";

const answer = (n: number, to = "192.0.2.1", revision = 1): Answer => ({
  key: { kind: "ip", vni: network, ip: ip(`10.20.1.${n}`) },
  revision: rev(revision),
  binding: { mac: mac(`52:54:00:00:00:0${n}`), host: "b", vtep: vtep(to), vtepPort: 4789 },
});

describeKernel("a full kernel table", () => {
  const host = kernelHost();
  let full = false;

  /** Permanent entries have no limit in the kernel: this refuses new ones in the same way. */
  const tables: Tables = {
    list: (on) => host.tables.list(on),
    hiding: (on) => host.tables.hiding(on),
    idleMs: (on) => host.tables.idleMs(on),
    apply: async (operations) => {
      const results: OperationResult[] = [];
      for (const operation of operations) {
        if (full && operation.verb === "put") results.push({ operation, ok: false, reason, full });
        else results.push(...(await host.tables.apply([operation])));
      }
      return results;
    },
  };
  const neighbours = async (): Promise<string[]> => {
    const entries = (await host.tables.list(network)).map(({ entry }) => entry);
    return entries.flatMap((entry) => (entry.kind === "neighbour" ? entry.ip : [])).sort();
  };

  test("is reported at the host, harms nothing that works, and is made good when there is room", async () => {
    const lines: string[] = [];
    const log = pino({ level: "warn" }, { write: (line: string) => void lines.push(line) });
    const core = kernelCore(host, { tables, log });
    const { held, networks, writer, reporter } = core;
    const take = (...answers: Answer[]) => writer.write(held.take(answers, 0).operations);
    const problems = () => networks.conditions.map(({ says }) => says);
    await networks.replace([agentNetwork(100)], epoch);
    await take(answer(1), answer(2));
    expect([networks.settled, problems()]).toEqual([true, []]);

    full = true;
    await take(...[3, 4, 5, 6].map((n) => answer(n)));
    expect(networks.settled).toBe(false);
    expect(problems()).toEqual([`network net100: the kernel does not take all entries: ${reason}`]);
    expect(lines.filter((line) => line.includes("the kernel refused"))).toHaveLength(1);
    expect(await neighbours()).toEqual(["10.20.1.1", "10.20.1.2"]);
    const reported = { kind: "table-full", vni: network, count: 12, detail: reason };
    expect(reporter.list()).toMatchObject([reported]);
    // Trying again changes nothing as long as it is full, and a deletion still works.
    await networks.retry();
    expect(problems()).toHaveLength(1);
    await take({ ...answer(2, "192.0.2.1", 2), binding: null });
    expect(await neighbours()).toEqual(["10.20.1.1"]);

    full = false;
    await networks.retry();
    expect([networks.settled, problems()]).toEqual([true, []]);
    expect(await neighbours()).toEqual([1, 3, 4, 5, 6].map((n) => `10.20.1.${n}`));
    await core.close();
  });
});
