import { describe, expect, test } from "vitest";
import { WaitingGuests, waitingMs } from "../../node-agent/misses/waiting.ts";
import { ip, mac, vni } from "../support/addresses.ts";

const network = vni(100);
const target = ip("10.0.0.9");
const guest = (n: number) => ({ mac: mac(`52:54:00:00:00:${n.toString(16).padStart(2, "0")}`), ip: ip(`10.0.0.${n}`) });
const nobody = { guests: [], unheard: false };
/** A moment after the start of the machine, whose clock it is: nothing has happened before. */
const now = 1;

describe("guests that wait for an address", () => {
  test("are those that asked for it in this network, in the order of their last question, until they are answered", () => {
    const waiting = new WaitingGuests();
    for (const n of [1, 2, 1]) waiting.heard(network, { asker: guest(n), target }, now);
    expect(waiting.take(vni(200), target, now)).toEqual(nobody);
    expect(waiting.take(network, ip("10.0.0.8"), now)).toEqual(nobody);
    expect(waiting.take(network, target, now)).toEqual({ guests: [guest(2), guest(1)], unheard: false });
    expect(waiting.take(network, target, now)).toEqual(nobody);
  });

  test("have given up a while after their last question", () => {
    const waiting = new WaitingGuests();
    waiting.heard(network, { asker: guest(1), target }, now);
    waiting.heard(network, { asker: guest(2), target }, now + 1);
    expect(waiting.take(network, target, now + waitingMs + 1)).toEqual({ guests: [guest(2)], unheard: false });
  });

  test("ask again under another address: the last one counts", () => {
    const waiting = new WaitingGuests();
    waiting.heard(network, { asker: guest(1), target }, now);
    const moved = { ...guest(1), ip: ip("10.0.0.77") };
    waiting.heard(network, { asker: moved, target }, now);
    expect(waiting.take(network, target, now).guests).toEqual([moved]);
  });

  test("are 64 at most, and those may ask again", () => {
    const waiting = new WaitingGuests();
    for (let n = 1; n <= 65; n++) waiting.heard(network, { asker: guest(n), target }, now);
    waiting.heard(network, { asker: guest(1), target }, now);
    const { guests } = waiting.take(network, target, now);
    expect(guests).toHaveLength(64);
    expect(guests.at(-1)).toEqual(guest(1));
    expect(guests).not.toContainEqual(guest(65));
  });

  test("wait for 4,096 addresses at most, and those that were used least recently are given up", () => {
    const waiting = new WaitingGuests();
    const address = (i: number) => ip(`10.1.${i >> 8}.${i & 255}`);
    for (let i = 1; i <= 4_096; i++) waiting.heard(network, { asker: guest(1), target: address(i) }, now);
    waiting.missed(network, address(1), now);
    waiting.heard(network, { asker: guest(1), target: address(5_000) }, now);
    expect(waiting.take(network, address(2), now)).toEqual(nobody);
    for (const i of [1, 3, 4_096, 5_000]) expect(waiting.take(network, address(i), now).guests).toHaveLength(1);
  });
});

describe("the guest that asked last", () => {
  test("is the one of this address, whether it has given up or not", () => {
    const waiting = new WaitingGuests();
    expect(waiting.lastAsker(network, target)).toBeUndefined();
    for (const n of [1, 2, 3]) waiting.heard(network, { asker: guest(n), target }, now);
    waiting.heard(network, { asker: guest(4), target: ip("10.0.0.8") }, now);
    expect(waiting.lastAsker(network, target)).toEqual(guest(3));
    expect(waiting.lastAsker(vni(200), target)).toBeUndefined();
  });

  test("is unknown where only a miss or a probe is", () => {
    const waiting = new WaitingGuests();
    waiting.missed(network, target, now);
    waiting.heard(network, { target }, now);
    expect(waiting.lastAsker(network, target)).toBeUndefined();
  });
});

describe("a guest that was not heard", () => {
  const missed = (atMs = now) => {
    const waiting = new WaitingGuests();
    waiting.missed(network, target, atMs);
    return waiting;
  };

  test("waits where an address was missed lately and no asker is known", () => {
    expect(missed().take(network, target, now)).toEqual({ guests: [], unheard: true });
    expect(missed().take(network, target, now + waitingMs)).toEqual({ guests: [], unheard: true });
    expect(missed().take(network, target, now + waitingMs + 1)).toEqual(nobody);
  });

  test("does not wait where one was heard that asks", () => {
    const waiting = missed();
    waiting.heard(network, { asker: guest(1), target }, now);
    expect(waiting.take(network, target, now)).toEqual({ guests: [guest(1)], unheard: false });
  });

  test("does not wait where a probe explains the miss: it must not be answered", () => {
    const waiting = missed();
    waiting.heard(network, { target }, now);
    expect(waiting.take(network, target, now)).toEqual(nobody);
    const probedBefore = () => {
      const earlier = missed(now + 2);
      earlier.heard(network, { target }, now);
      return earlier;
    };
    expect(probedBefore().take(network, target, now + waitingMs)).toEqual(nobody);
    expect(probedBefore().take(network, target, now + waitingMs + 1)).toEqual({ guests: [], unheard: true });
  });

  test("does not wait where nothing was missed", () => {
    const waiting = new WaitingGuests();
    waiting.heard(network, { asker: guest(1), target }, now);
    expect(waiting.take(network, target, now + waitingMs + 1)).toEqual(nobody);
  });
});

describe("an address", () => {
  test("is awaited where it was missed or asked for lately", () => {
    const waiting = new WaitingGuests();
    expect(waiting.isAwaited(network, target, now)).toBe(false);
    waiting.missed(network, target, now);
    expect(waiting.isAwaited(network, target, now + waitingMs)).toBe(true);
    expect(waiting.isAwaited(network, target, now + waitingMs + 1)).toBe(false);
    waiting.heard(network, { asker: guest(1), target }, now + 5);
    waiting.heard(network, { asker: guest(2), target }, now + 10);
    expect(waiting.isAwaited(network, target, now + 10 + waitingMs)).toBe(true);
    expect(waiting.isAwaited(network, target, now + 11 + waitingMs)).toBe(false);
    expect(waiting.isAwaited(vni(200), target, now)).toBe(false);
  });

  test("is awaited no more by a guest that has its answer", () => {
    const waiting = new WaitingGuests();
    waiting.answered(network, target, guest(1).mac);
    for (const n of [1, 2]) waiting.heard(network, { asker: guest(n), target }, now);
    waiting.answered(network, target, guest(1).mac);
    expect(waiting.take(network, target, now).guests).toEqual([guest(2)]);
  });
});
