// Keeps the queue of misses, which all networks of the host share, usable for each: misses of networks that fill it are ignored
// for a while, and so are those of networks with a scanning guest. The agent reads the requests of their guests on their bridges
// instead, if possible.
import { every, type Repetition } from "../../common/every.ts";
import type { Vni } from "../../schema/address/index.ts";
import type { MissSocket } from "../kernel/sockets/miss-socket.ts";
import { Crowds } from "../misses/crowds.ts";
import type { Miss } from "../misses/miss.ts";
import type { Announcer } from "./announcer.ts";

/** Interval of checks for lost misses, and for networks to be read again; there are none while nothing is missed. */
const everyMs = 250;

export interface CrowdingDependencies {
  readonly misses: Pick<MissSocket, "drops" | "shutOut">;
  /** Absent with `--announce off`. */
  readonly announcer: Pick<Announcer, "hearInstead"> | undefined;
  /** A network raises more misses than are read. */
  began(vni: Vni): void;
  nowMs(): number;
}

interface Source extends Pick<Miss, "kind" | "vni"> {
  readonly ifindex: number;
}

export class Crowding {
  private readonly crowds = new Crowds();
  private readonly sources = new Map<string, Source>();
  private scanned: readonly number[] = [];
  private drops = 0;
  private timer: Repetition | undefined;
  private isMissed = false;
  private isClosed = false;

  constructor(private readonly deps: CrowdingDependencies) {}

  /** @param ifindex of the vxlan device that missed */
  readonly onMiss = ({ kind, vni }: Miss, ifindex: number): void => {
    const name = `${kind} ${vni}`;
    if (this.sources.get(name)?.ifindex !== ifindex) this.sources.set(name, { kind, vni, ifindex });
    this.isMissed = true;
    if (!this.isClosed) this.timer ??= every(everyMs, () => this.look(), { inStep: true });
    if (this.crowds.count(name, this.deps.nowMs())) this.begin(name);
  };

  /** Devices of networks in which a guest scans, by ifindex; those of an earlier call no longer count. */
  readonly onScans = (ifindexes: readonly number[]): void => {
    this.scanned = ifindexes;
    this.apply();
  };

  close(): void {
    this.isClosed = true;
    this.rest();
  }

  private rest(): void {
    this.timer?.stop();
    this.timer = undefined;
  }

  private look(): void {
    const { misses, nowMs } = this.deps;
    const now = misses.drops();
    const crowd = this.crowds.look(now > this.drops, nowMs());
    this.drops = now;
    if (crowd !== undefined) this.begin(crowd);
    if (this.crowds.forget(nowMs())) this.apply();
    if (!this.isMissed && this.crowds.list().length === 0) this.rest();
    this.isMissed = false;
  }

  private begin(name: string): void {
    this.apply();
    const source = this.sources.get(name);
    if (source) this.deps.began(source.vni);
  }

  private apply(): void {
    const crowded = this.crowds.list().flatMap((name) => this.sources.get(name) ?? []);
    const unknown = (kind: Miss["kind"]): Source[] => crowded.filter((each) => each.kind === kind);
    const indexes = (sources: readonly Source[]): number[] => sources.map(({ ifindex }) => ifindex);
    this.deps.announcer?.hearInstead(unknown("l3miss").map(({ vni }) => vni));
    // Unknown MACs too: those have no entry during that time.
    this.deps.misses.shutOut({
      l3: [...new Set([...this.scanned, ...indexes(unknown("l3miss"))])],
      l2: indexes(unknown("l2miss")),
    });
  }
}
