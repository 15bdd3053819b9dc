// Memberships against a model that keeps every record: whatever guests report, leave and answer, a group has members exactly as long as one
// was reported, and what the controller was sent adds up to the same on every other host. No bytes of a guest make the parser throw.
import fc from "fast-check";
import { expect, test } from "vitest";
import { GroupMembers, type GroupSession } from "../../controller/agents/group-members.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { decodeReports } from "../../node-agent/kernel/codec/group-codec.ts";
import { GroupTables } from "../../node-agent/tables/group-tables.ts";
import { lastMemberMs, Memberships, membershipMs } from "../../node-agent/tables/memberships.ts";
import { parseGroup } from "../../schema/address/index.ts";
import { parseControllerFrame } from "../../schema/agent/index.ts";
import { parseVm } from "../../schema/rest/index.ts";
import { vni } from "../support/addresses.ts";
import { runs } from "../support/property-runs.ts";
import { Driven, furnished } from "./inventory-model.ts";

const groups = ["239.1.1.1", "239.1.1.2", "ff05::1"].map(parseGroup);
const ports = ["tap1", "tap2"];
const someGroup = fc.constantFrom(...groups);
const somePort = fc.constantFrom(...ports);

const someStep = fc.oneof(
  fc.record({ what: fc.constant("join" as const), port: somePort, group: someGroup }),
  fc.record({ what: fc.constant("leave" as const), port: somePort, group: someGroup }),
  fc.record({ what: fc.constant("gone" as const), port: somePort, group: someGroup }),
  fc.record({
    what: fc.constant("wait" as const),
    port: somePort,
    group: someGroup,
    ms: fc.integer({ min: 1, max: 300_000 }),
  }),
);

test("a group has members as long as one was reported and has not left or gone silent", () => {
  fc.assert(
    fc.property(fc.array(someStep, { maxLength: 60 }), (steps) => {
      let nowMs = 0;
      const all = new Memberships(() => true);
      /** When each membership ends; of a port that is gone, that of the question to the others. */
      const ends = new Map<string, number>();
      const sent = new Set<string>();
      for (const step of steps) {
        const key = `${step.group} ${step.port}`;
        if (step.what === "join") {
          all.join(step.port, step.group, nowMs);
          ends.set(key, nowMs + membershipMs);
        } else if (step.what === "leave") {
          all.leave(step.port, step.group, nowMs);
          const end = ends.get(key);
          if (end !== undefined && end > nowMs + 12_000) ends.set(key, nowMs + lastMemberMs);
        } else if (step.what === "gone") {
          all.portGone(step.port, nowMs);
          for (const group of groups) {
            const others = [...ends].some(
              ([each, end]) => each.startsWith(`${group} `) && each !== `${group} ${step.port}` && end > nowMs,
            );
            if (ends.delete(`${group} ${step.port}`) && !others) ends.set(`${group} `, nowMs + lastMemberMs);
          }
        } else nowMs += step.ms;
        all.tick(nowMs);
        for (const [each, end] of ends) if (end <= nowMs) ends.delete(each);
        const expected = new Set([...ends.keys()].map((each) => each.split(" ")[0] ?? ""));
        expect(new Set<string>(all.groups)).toEqual(expected);
        for (const group of all.takeChanges()) {
          if (all.has(group)) sent.add(group);
          else sent.delete(group);
        }
        expect(sent).toEqual(expected);
      }
    }),
    { numRuns: runs(200) },
  );
});

test("no frame makes the parser throw, whatever its length and lengths say", () => {
  const head = fc.constantFrom(
    Buffer.from("01005e000016020000000001080046c00030000000000102", "hex"),
    Buffer.from("333300000016020000000001" + "86dd" + "6000000000240001", "hex"),
  );
  fc.assert(
    fc.property(head, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
      for (const { verb } of decodeReports(Buffer.concat([start, rest]))) expect(["join", "leave"]).toContain(verb);
    }),
    { numRuns: runs(5_000) },
  );
});

const blue = vni(100);
const names = ["a", "b", "c"];
/** A VM of the network on the third host, too. */
const placed: Mutation[] = [
  { kind: "network.patch", name: "blue", patch: { broadcast: "replicate" } },
  {
    kind: "vm.put",
    spec: parseVm("v3", { host: "c", interfaces: [{ network: "blue", mac: "52:54:00:00:00:03", ips: ["10.0.0.3"] }] }),
  },
];
const someReport = fc.record({
  host: fc.constantFrom(...names),
  whole: fc.boolean(),
  joined: fc.uniqueArray(someGroup),
  left: fc.uniqueArray(someGroup),
});
const someAct = fc.oneof(
  { weight: 4, arbitrary: someReport.map((report) => ({ kind: "report" as const, ...report })) },
  { weight: 1, arbitrary: fc.constantFrom(...names).map((host) => ({ kind: "reconnect" as const, host })) },
);

test("what hosts are sent adds up to what each of the others has reported, also over lost sessions", () => {
  fc.assert(
    fc.property(fc.array(someAct, { maxLength: 40 }), (acts) => {
      const driven = new Driven();
      driven.apply([...furnished, ...placed]);
      let nowMs = 0;
      const tables = new Map(names.map((name) => [name, new GroupTables()]));
      const hear = (name: string) => (frames: readonly string[]) => {
        for (const text of frames) {
          const frame = parseControllerFrame(text, { host: name, protocol: 2 });
          if (frame?.type === "groups")
            tables.get(name)?.take(
              frame.vni,
              frame.hosts.filter(({ host }) => host !== name),
            );
        }
      };
      const sessions = new Map<string, GroupSession>(
        names.map((name) => [name, { isSynced: true, resumes: true, hello: { groups: true }, send: hear(name) }]),
      );
      const members = new GroupMembers({ current: () => driven.state, sessions, nowMs: () => nowMs });
      const truth = new Map<string, Set<string>>();
      const known = [...driven.state.hostsIn("blue").keys()];
      expect(known.sort()).toEqual(names);
      for (const act of acts) {
        nowMs += 1_000;
        const session = sessions.get(act.host);
        if (act.kind === "reconnect" && session) members.begin(act.host, session);
        if (act.kind !== "report" || !known.includes(act.host)) continue;
        const { host, whole, joined, left } = act;
        members.reported(host, { type: "memberships", vni: blue, whole, joined, left: whole ? [] : left });
        const set = whole ? new Set<string>() : (truth.get(host) ?? new Set<string>());
        if (!whole) for (const each of left) set.delete(each);
        for (const each of joined) set.add(each);
        truth.set(host, set);
        for (const reader of known)
          for (const writer of known)
            if (reader !== writer)
              expect(new Set<string>(tables.get(reader)?.of(blue, writer)?.groups ?? [])).toEqual(
                truth.get(writer) ?? new Set(),
              );
      }
      members.stop();
    }),
    { numRuns: runs(200) },
  );
});
