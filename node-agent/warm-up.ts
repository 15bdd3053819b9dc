// Runs the path of a miss with made-up data before the first real one: code takes milliseconds when V8 runs it for the first
// time, and microseconds later. Misses are rare, so any may be the first.
import { type BindingKey, type MacAddress, parseIp, parseMac, parseVni } from "../schema/address/index.ts";
import { parseControllerFrame, type Question } from "../schema/agent/index.ts";
import { decodeMiss, decodeNeighbourMessage, encodeEntry } from "./kernel/codec/neighbour-codec.ts";
import { encodeMessage, splitMessages } from "./kernel/codec/netlink-codec.ts";
import { decodeHeard, encodeReply } from "./kernel/codec/packet-codec.ts";
import { MissResolver } from "./misses/resolver.ts";
import { WaitingGuests } from "./misses/waiting.ts";
import { HeldAnswers } from "./tables/held.ts";

/** Enough for V8's baseline code; more costs start-up time and gains little. */
const rounds = 300;
const vni = parseVni(1);
const ifindex = 1;

/** An l3miss for 192.0.2.<n>, or for 2001:db8::<n>, as the kernel encodes it. */
function missMessage(n: number): Buffer {
  const address =
    n % 2 === 0 ? Buffer.of(192, 0, 2, n) : Buffer.from(`20010db8${n.toString(16).padStart(24, "0")}`, "hex");
  const body = Buffer.alloc(12 + 4 + address.length);
  body.writeUInt8(address.length === 4 ? 2 : 10, 0);
  body.writeInt32LE(ifindex, 4);
  body.writeUInt16LE(4, 8);
  body.writeUInt16LE(4 + address.length, 12);
  body.writeUInt16LE(1, 14);
  address.copy(body, 16);
  return encodeMessage(30, 0, 0, body);
}

export function warmUp(): void {
  for (let round = 0; round < rounds; round++) resolveOnce((round % 250) + 2);
}

function resolveOnce(n: number): void {
  const held = new HeldAnswers();
  const waiting = new WaitingGuests();
  const asker = { mac: macOf(1), ip: parseIp(n % 2 === 0 ? "192.0.2.1" : "2001:db8::1") };
  let decide = (): void => {};
  const resolver = new MissResolver({
    lookUp: (key, nowMs) => held.lookUp(key, nowMs),
    listen: () => {},
    askerOf: (on, target) => waiting.lastAsker(on, target),
    suspectIn: () => undefined,
    ask: (asked) => {
      const questions = asked.map(({ key, asker }): Question => (asker ? { ...key, asker: asker.ip } : key));
      JSON.stringify({ type: "resolve", id: n, questions });
      for (const { key } of asked) answer(key);
    },
    reassert: () => {},
    overBudget: () => {},
    afterReading: (callback) => {
      decide = callback;
    },
    nowMs: () => n,
  });

  function answer(key: BindingKey): void {
    const binding = { mac: macOf(n), host: "warm-up", vtep: "198.51.100.1", vtepPort: 4789 };
    const text = JSON.stringify({ type: "answers", id: n, asOf: n, answers: [{ key, revision: n, binding }] });
    const frame = parseControllerFrame(text);
    if (frame?.type !== "answers" || key.kind !== "ip") return;
    resolver.onAnswers(frame.answers);
    const { operations } = held.take(frame.answers, n);
    Buffer.concat(operations.map(({ entry }, i) => encodeMessage(28, 0, i, encodeEntry(entry, ifindex))));
    for (const guest of waiting.take(vni, key.ip, n).guests) {
      decodeHeard(encodeReply({ ip: key.ip, mac: macOf(n), router: false }, guest));
    }
  }

  for (const message of splitMessages(missMessage(n))) {
    const neighbour = decodeNeighbourMessage(message);
    const miss = neighbour && decodeMiss(neighbour, () => vni);
    if (miss?.kind !== "l3miss") continue;
    waiting.heard(vni, { asker, target: miss.ip }, n);
    resolver.onMiss(miss);
  }
  decide();
}

function macOf(n: number): MacAddress {
  return parseMac(`02:00:00:00:00:${n.toString(16).padStart(2, "0")}`);
}
