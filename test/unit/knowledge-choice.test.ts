// What the controller chooses for a network with `knowledge: auto`.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseKnowledge, type NetworkLoad } from "../../controller/inventory/knowledge-choice.ts";
import {
  describeKnowledge,
  effectiveKnowledge,
  type HostKnowledgeMode,
  hostKnowledgeModes,
} from "../../schema/plain/index.ts";
import { runs } from "../support/property-runs.ts";

const modeOf = (present: HostKnowledgeMode | undefined, addresses: number, hosts = 3, changesPerMinute = 0) =>
  chooseKnowledge(present, { addresses, hosts, changesPerMinute }).mode;

describe("a network with knowledge auto", () => {
  test("is chosen for by its size, at half of the bound first", () => {
    expect([0, 256, 257, 65_536, 65_537].map((addresses) => modeOf(undefined, addresses))).toEqual([
      "prefetch",
      "prefetch",
      "replicate",
      "replicate",
      "on-demand",
    ]);
  });

  test("keeps its mode up to the bound, and returns at half of it", () => {
    expect([512, 513].map((addresses) => modeOf("prefetch", addresses))).toEqual(["prefetch", "replicate"]);
    expect([257, 256].map((addresses) => modeOf("replicate", addresses))).toEqual(["replicate", "prefetch"]);
    expect([131_072, 131_073].map((addresses) => modeOf("replicate", addresses))).toEqual(["replicate", "on-demand"]);
    expect([65_537, 65_536].map((addresses) => modeOf("on-demand", addresses))).toEqual(["on-demand", "replicate"]);
    // From everything in the kernel to memory alone, not further.
    expect(modeOf("prefetch", 100_000)).toBe("replicate");
  });

  test("is chosen for by its changes, each counted for each of its hosts", () => {
    expect([12, 13].map((changes) => modeOf("prefetch", 100, 100, changes))).toEqual(["prefetch", "replicate"]);
    expect([6, 7].map((changes) => modeOf("replicate", 100, 100, changes))).toEqual(["prefetch", "replicate"]);
    expect([600, 601].map((changes) => modeOf("replicate", 100, 100, changes))).toEqual(["replicate", "on-demand"]);
    expect([300, 301].map((changes) => modeOf("on-demand", 100, 100, changes))).toEqual(["replicate", "on-demand"]);
  });

  test("is chosen for by what its hosts have together", () => {
    expect([127, 129].map((hosts) => modeOf(undefined, 65_536, hosts))).toEqual(["replicate", "on-demand"]);
    expect([255, 257].map((hosts) => modeOf("replicate", 65_536, hosts))).toEqual(["replicate", "on-demand"]);
    expect([2_048, 2_049].map((hosts) => modeOf(undefined, 256, hosts))).toEqual(["prefetch", "replicate"]);
  });

  const someLoad: fc.Arbitrary<NetworkLoad> = fc.record({
    addresses: fc.nat(300_000),
    hosts: fc.nat(1_000),
    changesPerMinute: fc.nat(2_000),
  });

  test("has a choice that stays while nothing changes, and says with what it was made", () => {
    fc.assert(
      fc.property(fc.option(fc.constantFrom(...hostKnowledgeModes), { nil: undefined }), someLoad, (present, load) => {
        const { mode, ...counted } = chooseKnowledge(present, load);
        expect(counted).toEqual(load);
        expect(chooseKnowledge(mode, load).mode).toBe(mode);
      }),
      { numRuns: runs(500) },
    );
  });

  test("does not change back and forth while its size varies by less than half", () => {
    fc.assert(
      fc.property(
        someLoad,
        fc.array(fc.double({ min: 0.75, max: 1.25, noNaN: true }), { maxLength: 20 }),
        (load, factors) => {
          const modes: HostKnowledgeMode[] = [];
          for (const factor of factors)
            modes.push(modeOf(modes.at(-1), load.addresses * factor, load.hosts, load.changesPerMinute));
          const changes = modes.filter((mode, i) => i > 0 && mode !== modes[i - 1]).length;
          expect(changes).toBeLessThanOrEqual(2);
        },
      ),
      { numRuns: runs(500) },
    );
  });

  test("is described with the reason", () => {
    expect(describeKnowledge({})).toBe("on-demand, the default");
    expect(describeKnowledge({ knowledge: "prefetch" })).toBe("prefetch");
    expect(describeKnowledge({ knowledge: "auto" })).toBe("auto: on-demand, until the network's size is known");
    expect(describeKnowledge({ knowledge: "auto", knowledgeChosen: { mode: "replicate" } })).toMatch(
      /^auto: replicate, until/,
    );
    const knowledgeChosen = chooseKnowledge(undefined, { addresses: 12, hosts: 3, changesPerMinute: 4 });
    expect(describeKnowledge({ knowledge: "auto", knowledgeChosen })).toBe(
      "auto: prefetch, chosen with 12 addresses on 3 hosts and 4 changes a minute",
    );
    expect(effectiveKnowledge({ knowledge: "on-demand", knowledgeChosen })).toBe("on-demand");
  });
});
