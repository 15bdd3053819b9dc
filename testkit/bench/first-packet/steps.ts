// Where the time of nearmiss's first packet goes: what passes the guests' ports and the hosts' underlay, by the kernel's
// clock. Nothing of it is told by the programs that are measured.
import { toThousandths } from "../../../common/round.ts";
import { etherTypes, findVxlan, readEthernet } from "../../lab/frames.ts";
import { controllerPort } from "../../lab/programs.ts";
import { underlayDevice } from "../../lab/underlay.ts";
import { median, percentile } from "../../statistics.ts";
import type { Family } from "../addresses.ts";
import type { ModeName } from "../modes/mode.ts";
import type { Actor, Stand } from "../stand.ts";
import { TimedCapture, type TimedFrame } from "./timed-capture.ts";

/** The meaning of one frame in the path of a first packet. */
type FrameKind = "asks" | "told" | "request" | "reply" | "tunnel" | "channel" | "other";

/** The moments of one trial, in the order of a cold one; each is the first frame of its kind after the one before. */
const moments = [
  { name: "the guest asks", place: "portA", outgoing: false, kind: "asks" },
  { name: "the agent's question leaves the host", place: "underlayA", outgoing: true, kind: "channel" },
  { name: "the controller's answer arrives", place: "underlayA", outgoing: false, kind: "channel" },
  { name: "the guest gets its answer", place: "portA", outgoing: true, kind: "told" },
  { name: "the guest's packet leaves it", place: "portA", outgoing: false, kind: "request" },
  { name: "it arrives at the other host", place: "underlayB", outgoing: false, kind: "tunnel" },
  { name: "it reaches the other guest", place: "portB", outgoing: true, kind: "request" },
  { name: "the other guest asks", place: "portB", outgoing: false, kind: "asks" },
  { name: "the other guest gets its answer", place: "portB", outgoing: true, kind: "told" },
  { name: "its reply leaves it", place: "portB", outgoing: false, kind: "reply" },
  { name: "the reply reaches the guest", place: "portA", outgoing: true, kind: "reply" },
] as const;

type Moment = (typeof moments)[number];
type Place = Moment["place"];

export interface Step {
  readonly mode: ModeName;
  readonly family: Family;
  /** How it ends; it begins where the one before ended. */
  readonly until: string;
  readonly trials: number;
  readonly medianMs: number;
  /** A tenth of the trials was as fast: on a busy machine, what the programs take. */
  readonly p10Ms: number;
}

export class StepWatch {
  readonly #spans: { readonly family: Family; readonly spansMs: readonly number[] }[] = [];

  private constructor(
    private readonly captures: Readonly<Record<Place, TimedCapture>>,
    private readonly moments: readonly Moment[],
  ) {}

  /** @param isAsked the agent asks the controller; it may send and receive anything else too */
  static async open({ guests: [a, b] }: Stand, isAsked: boolean): Promise<StepWatch> {
    if (!a || !b) throw new Error("steps need two guests");
    const captures = {
      portA: await TimedCapture.open(a.host, a.port),
      underlayA: await TimedCapture.open(a.host, underlayDevice),
      portB: await TimedCapture.open(b.host, b.port),
      underlayB: await TimedCapture.open(b.host, underlayDevice),
    };
    return new StepWatch(
      captures,
      moments.filter(({ kind }) => isAsked || kind !== "channel"),
    );
  }

  /** Discards the frames seen so far: a trial begins. */
  begin(): void {
    this.#take();
  }

  /** A trial has ended. One that did not pass all moments, because something was cached already, is not counted. */
  end(from: Actor): void {
    const seen = this.#take();
    const timesMs: number[] = [];
    for (const { place, outgoing, kind } of this.moments) {
      const since = timesMs.at(-1) ?? 0;
      const frame = seen[place].find(
        (each) => each.outgoing === outgoing && each.atMs >= since && kindOf(each.bytes) === kind,
      );
      if (!frame) return;
      timesMs.push(frame.atMs);
    }
    const spansMs = timesMs.slice(1).map((ms, i) => ms - (timesMs[i] ?? ms));
    this.#spans.push({ family: from.endpoint.family, spansMs });
  }

  steps(mode: ModeName, families: readonly Family[]): Step[] {
    return families.flatMap((family) => {
      const own = this.#spans.filter((each) => each.family === family);
      return this.moments.slice(1).map(({ name }, i) => ({
        mode,
        family,
        until: name,
        trials: own.length,
        ...summary(own.map(({ spansMs }) => spansMs[i] ?? Number.NaN)),
      }));
    });
  }

  close(): void {
    for (const capture of Object.values(this.captures)) capture.close();
  }

  #take(): Record<Place, TimedFrame[]> {
    const { portA, underlayA, portB, underlayB } = this.captures;
    return { portA: portA.take(), underlayA: underlayA.take(), portB: portB.take(), underlayB: underlayB.take() };
  }
}

function summary(spansMs: readonly number[]): Pick<Step, "medianMs" | "p10Ms"> {
  return { medianMs: toThousandths(median(spansMs)), p10Ms: toThousandths(percentile(spansMs, 0.1)) };
}

/** @param frame of a guest's port or of an IPv4 underlay */
function kindOf(frame: Buffer): FrameKind {
  const { type, payload } = readEthernet(frame);
  if (type === etherTypes.arp) return payload[7] === 1 ? "asks" : "told";
  if (findVxlan(frame)) return "tunnel";
  if (type === etherTypes.ipv6)
    return payload[6] === 58 ? icmpKind(payload[40], { request: 128, reply: 129 }) : "other";
  if (payload[9] === 1) return icmpKind(payload[20], { request: 8, reply: 0 });
  return payload[9] === 6 && carriesChannel(payload) ? "channel" : "other";
}

function icmpKind(type: number | undefined, echo: { request: number; reply: number }): FrameKind {
  if (type === echo.request) return "request";
  if (type === echo.reply) return "reply";
  if (type === 135) return "asks";
  return type === 136 ? "told" : "other";
}

/** A TCP segment with data, from or to the controller. */
function carriesChannel(packet: Buffer): boolean {
  const headers = 20 + ((packet[32] ?? 0) >> 4) * 4;
  const ports = [packet.readUInt16BE(20), packet.readUInt16BE(22)];
  return ports.includes(controllerPort) && packet.readUInt16BE(2) > headers;
}
