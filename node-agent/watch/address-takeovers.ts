// Hears guests that announce an address which they may take, and asks the controller for it. Only ports of such guests are listened to. A
// guest that has an address and does not say so is found by asking it.
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import type { IpAddress, MacAddress, Subnet, Vni } from "../../schema/address/index.ts";
import type { AgentFrame, ControllerFrame } from "../../schema/agent/index.ts";
import type { HostCondition } from "../findings/condition.ts";
import { encodeAsk, encodeOwnerAsk } from "../kernel/codec/packet-codec.ts";
import { readPortIfindex } from "../kernel/devices/port-devices.ts";
import type { ClaimSocket } from "../kernel/sockets/claim-socket.ts";
import { SystemCallError } from "../kernel/sockets/libc.ts";
import type { PortRegister } from "../networks/port-register.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import { type AskedGuest, inTurn, OwnerProbes } from "../tables/address-questions.ts";
import type { GuestAllowances } from "../tables/guest-allowances.ts";
import type { HeldAnswers } from "../tables/held.ts";
import { type Claim, Takeovers } from "../tables/takeovers.ts";

/** Part of every failover. */
const everyMs = 10;
/** Ports appear, claims are repeated, and some guests are asked: each of them every ten times. */
const lookEveryMs = 500;
/** Of one port at a time: a guest announces an address five times in a row. */
const maxHeard = 32;

/** What became of announcements, since the start. */
export type TakeoverCounter = "claimed" | "granted" | "refused";

/** Questions to guests, by what they have, since the start. */
export type QuestionCounter = "owner" | "others";

export interface AddressTakeoversDependencies {
  readonly register: Pick<PortRegister, "list">;
  readonly registered: Pick<RegisteredNetworks, "nameOf">;
  readonly held: Pick<HeldAnswers, "find">;
  /** What guests may take is kept there. */
  readonly allowances: Pick<GuestAllowances, "replace">;
  /** In the host's network namespace. Absent: nothing is heard. */
  readonly listen: ((ifindex: number) => Pick<ClaimSocket, "drain" | "close">) | undefined;
  /** Out of a device. Absent: no guest is asked. */
  readonly send: ((frame: Buffer, ifindex: number) => boolean) | undefined;
  /** To the controller. `send`: false where there is no session. */
  readonly uplink: { send(frame: AgentFrame): boolean; nextId(): number };
  readonly log: Logger;
  nowMs(): number;
}

interface Heard {
  readonly vni: Vni;
  readonly port: string;
  /** By MAC, what its guest may take. */
  readonly allowed: ReadonlyMap<MacAddress, ReadonlySet<IpAddress | Subnet>>;
  readonly socket: { readonly ifindex: number; readonly source: Pick<ClaimSocket, "drain" | "close"> } | undefined;
}

export class AddressTakeovers {
  readonly counters = new Map<TakeoverCounter, number>([
    ["claimed", 0],
    ["granted", 0],
    ["refused", 0],
  ]);
  readonly questions = new Map<QuestionCounter, number>([
    ["owner", 0],
    ["others", 0],
  ]);
  private readonly takeovers = new Takeovers();
  private readonly probes = new OwnerProbes();
  /** Guests of this host, and what they may take. */
  private asking: readonly AskedGuest[] = [];
  private turn = 0;
  /** The controller has sent its snapshot. */
  private isLive = false;
  private ports = new Map<string, Heard>();
  /** By the id of the frame. */
  private readonly asked = new Map<number, Claim>();
  private hearing: Repetition | undefined;
  private looking: Repetition | undefined;

  readonly conditions: readonly HostCondition[] = [];
  readonly settled = true;

  constructor(private readonly deps: AddressTakeoversDependencies) {}

  /** Guests of this host, or their ports, may have changed. */
  settle(): Promise<void> {
    if (this.deps.listen) this.follow();
    return Promise.resolve();
  }

  private follow(): void {
    const wanted = new Map<string, Heard>();
    for (const { vni, port, guest, verdict } of this.deps.register.list()) {
      const movable = (guest.allowed ?? []).filter((ip) => !ip.includes("/"));
      if (movable.length === 0 || typeof verdict !== "string") continue;
      const allowed = new Map(wanted.get(port)?.allowed ?? []).set(guest.mac, new Set(movable));
      wanted.set(port, { vni, port, allowed, socket: this.ports.get(port)?.socket });
    }
    for (const [port, { socket }] of this.ports) if (!wanted.has(port)) socket?.source.close();
    this.ports = wanted;
    this.asking = [...wanted.values()].flatMap(({ vni, port, allowed }) =>
      [...allowed].flatMap(([mac, ips]) => [...ips].map((ip) => ({ vni, port, mac, ip: ip as IpAddress }))),
    );
    this.deps.allowances.replace(
      [...wanted.values()].flatMap(({ vni, allowed }) => [...allowed].map(([mac, ips]) => ({ vni, mac, ips }))),
    );
    this.open();
    this.watch();
  }

  /** Claims are answered from now on. */
  start(): void {
    this.isLive = true;
  }

  onClaimed({ id, granted, reason }: Extract<ControllerFrame, { type: "claimed" }>): void {
    const claim = this.asked.get(id);
    if (!claim) return;
    this.asked.delete(id);
    this.takeovers.answered(claim, granted, this.deps.nowMs());
    this.count(granted ? "granted" : "refused");
    const { vni, ip, mac, port } = claim;
    const network = this.deps.registered.nameOf(vni);
    if (granted) this.deps.log.info({ network, vni, ip, mac, port }, "a guest has taken an address");
    else
      this.deps.log[claim.announces ? "warn" : "debug"](
        { network, vni, ip, mac, port, reason },
        "a guest was refused an address",
      );
  }

  onProbe({ id, vni, mac, ip, port }: Extract<ControllerFrame, { type: "probe" }>): void {
    const { send, nowMs } = this.deps;
    const heard = this.ports.get(port);
    if (send && heard?.vni === vni && heard.allowed.get(mac)?.has(ip))
      this.probes.begin({ id, vni, mac, ip, port }, nowMs());
  }

  onClosed(): void {
    this.isLive = false;
    this.asked.clear();
    this.probes.clear();
    this.takeovers.closed();
  }

  close(): void {
    this.hearing?.stop();
    this.looking?.stop();
    for (const { socket } of this.ports.values()) socket?.source.close();
    this.ports.clear();
  }

  /** A VM that was started again has another device of the same name. */
  private open(): void {
    for (const [port, each] of this.ports) {
      const ifindex = readPortIfindex(port);
      if (each.socket?.ifindex === ifindex) continue;
      each.socket?.source.close();
      this.ports.set(port, { ...each, socket: ifindex === undefined ? undefined : this.listen(ifindex) });
    }
  }

  private listen(ifindex: number): Heard["socket"] {
    try {
      const source = this.deps.listen?.(ifindex);
      return source && { ifindex, source };
    } catch (error) {
      // It is gone again: the next look finds the next one.
      if (error instanceof SystemCallError) return undefined;
      throw error;
    }
  }

  private watch(): void {
    if (this.ports.size === 0) {
      this.hearing?.stop();
      this.looking?.stop();
      this.hearing = undefined;
      this.looking = undefined;
      return;
    }
    this.hearing ??= every(everyMs, () => this.hear());
    this.looking ??= every(
      lookEveryMs,
      () => {
        this.open();
        if (this.isLive) this.look();
      },
      { inStep: true },
    );
  }

  private look(): void {
    const { held, nowMs } = this.deps;
    const { claims, questions } = this.takeovers.due(nowMs());
    for (const claim of claims) this.claim(claim);
    for (const guest of questions) this.question("others", guest, encodeAsk);
    for (const guest of inTurn(this.asking, this.turn++)) {
      const { vni, mac, ip } = guest;
      const fact = held.find({ kind: "ip", vni, ip });
      // It has it, or is being migrated.
      if (fact && fact.kind !== "absent" && fact.mac === mac) continue;
      this.question("others", guest, encodeAsk);
    }
  }

  private question(
    what: QuestionCounter,
    { port, ip, mac }: AskedGuest,
    encode: (ip: IpAddress, mac: MacAddress) => Buffer,
  ): void {
    const ifindex = this.ports.get(port)?.socket?.ifindex;
    if (ifindex === undefined || !this.deps.send?.(encode(ip, mac), ifindex)) return;
    this.questions.set(what, (this.questions.get(what) ?? 0) + 1);
  }

  private followProbes(): void {
    if (this.probes.size === 0) return;
    const { questions, silent } = this.probes.due(this.deps.nowMs());
    for (const { isLast, ...guest } of questions) this.question("owner", guest, isLast ? encodeOwnerAsk : encodeAsk);
    for (const id of silent) this.deps.uplink.send({ type: "probed", id, answers: false });
  }

  private hear(): void {
    const { held, uplink, nowMs } = this.deps;
    for (const { vni, port, allowed, socket } of this.ports.values()) {
      for (const { mac, ip, announces } of socket?.source.drain(maxHeard) ?? []) {
        if (!allowed.get(mac)?.has(ip)) continue;
        if (this.probes.size > 0)
          for (const id of this.probes.heard({ vni, mac, ip })) uplink.send({ type: "probed", id, answers: true });
        const claim = this.takeovers.heard(
          { vni, mac, ip, port, announces },
          held.find({ kind: "ip", vni, ip }),
          nowMs(),
        );
        if (claim) this.claim(claim);
      }
    }
    this.followProbes();
  }

  private claim(claim: Claim): void {
    const { uplink, nowMs } = this.deps;
    const { vni, mac, ip, port, announces, heardMs } = claim;
    const id = uplink.nextId();
    const agoMs = Math.max(0, Math.round(nowMs() - heardMs));
    if (!uplink.send({ type: "claim", id, vni, mac, ip, port, agoMs, ...(announces ? {} : { ifFree: true }) })) return;
    this.takeovers.sent(claim, nowMs());
    for (const [each, other] of this.asked)
      if (other.ip === ip && other.vni === vni && other.mac === mac) this.asked.delete(each);
    this.asked.set(id, claim);
    this.count("claimed");
  }

  private count(what: TakeoverCounter): void {
    this.counters.set(what, (this.counters.get(what) ?? 0) + 1);
  }
}
