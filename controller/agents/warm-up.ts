// Answers made-up questions before the first real one: code that V8 has never run takes milliseconds where it later takes
// microseconds.
import { parseIp, parseMac, parseRevision } from "../../schema/address/index.ts";
import { parseAgentFrame, protocolVersions } from "../../schema/agent/index.ts";
import { parseHost, parseNetwork, type Vm } from "../../schema/rest/index.ts";
import { answerFor } from "../inventory/bindings.ts";
import { CommittedInventory } from "../inventory/committed-inventory.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { writerFor } from "./frames.ts";
import { InterestIndex } from "./interest.ts";
import { SeedCandidates, seedsFor } from "./seeding.ts";

/** Enough for V8's baseline code; more costs start-up time and gains little. */
const rounds = 300;

export function warmUp(): void {
  const stored = { uid: "warm-up", revision: parseRevision(1) };
  const vm = (n: number): Vm => ({
    name: `vm-${n}`,
    host: `h${n}`,
    interfaces: [
      {
        name: "eth0",
        network: "n",
        mac: parseMac(`02:00:00:00:00:0${n}`),
        ips: [parseIp(`192.0.2.${n}`), parseIp(`2001:db8::${n}`)],
      },
    ],
    labels: {},
    description: "",
    ...stored,
  });
  const state = CommittedInventory.of({
    networks: [{ ...parseNetwork("n", { vni: 1, subnets: ["192.0.2.0/24", "2001:db8::/64"] }), ...stored }],
    hosts: [1, 2].map((n) => ({ ...parseHost(`h${n}`, { vtep: `198.51.100.${n}` }, "operator"), ...stored })),
    vms: [vm(1), vm(2)],
  });
  for (let round = 0; round < rounds; round++) resolveOnce(state, round);
}

function resolveOnce(state: Inventory, id: number): void {
  const interest = new InterestIndex();
  const [ip, asker] = id % 2 === 0 ? ["192.0.2.2", "192.0.2.1"] : ["2001:db8::2", "2001:db8::1"];
  const frame = parseAgentFrame(
    JSON.stringify({ type: "resolve", id, questions: [{ kind: "ip", vni: 1, ip, asker }] }),
  );
  if (frame?.type !== "resolve") return;
  const asOf = parseRevision(1);
  const writer = writerFor(protocolVersions.max);
  for (const question of frame.questions) {
    const answer = answerFor(state, "h1", question, asOf);
    interest.holdAnswer("h1", answer, { asked: true });
    writer.answers(id, asOf, [answer]);
    if (!answer.binding) continue;
    const asked = new SeedCandidates(state, "h1").of(question);
    const seeds = seedsFor(state, interest, { host: "h1", asked, question, binding: answer.binding }, asOf);
    writer.seed(asOf, seeds);
  }
}
