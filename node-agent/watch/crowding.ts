// Keeps the queue of misses, which all networks of the host share, open to each: networks that fill it are shut out of it for a while,
// and so are those in which a guest was found scanning. What their guests ask is heard on their bridge instead, where it can be.
import type { Vni } from "../../schema/index.ts";
import type { ShutOutDevices } from "../kernel/sockets/miss-socket.ts";
import { Crowds } from "../misses/crowds.ts";
import type { Miss } from "../misses/miss.ts";

/** Between two looks at what was lost, and at who is to be read again. */
const everyMs = 250;

export interface CrowdingDependencies {
  /** Misses that the kernel has dropped since the start. */
  drops(): number;
  /** Of unknown MACs, too: those have no entry during that time. */
  shutOut(devices: ShutOutDevices): void;
  /** What is heard on the bridges of these networks, and of no others, stands for their misses. */
  hearInstead(vnis: readonly Vni[]): void;
  /** A network has begun to miss more than is read. */
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
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly deps: CrowdingDependencies) {
    this.timer = setInterval(() => this.look(), everyMs).unref();
  }

  /** @param ifindex of the vxlan device that missed */
  onMiss({ kind, vni }: Miss, ifindex: number): void {
    const name = `${kind} ${vni}`;
    if (this.sources.get(name)?.ifindex !== ifindex) this.sources.set(name, { kind, vni, ifindex });
    if (this.crowds.count(name, this.deps.nowMs())) this.begin(name);
  }

  /** Devices of networks in which a guest scans, by ifindex; those of an earlier call no longer count. */
  onScans(ifindexes: readonly number[]): void {
    this.scanned = ifindexes;
    this.apply();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const { drops, nowMs } = this.deps;
    const now = drops();
    const crowd = this.crowds.look(now > this.drops, nowMs());
    this.drops = now;
    if (crowd !== undefined) this.begin(crowd);
    if (this.crowds.forget(nowMs())) this.apply();
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
    this.deps.hearInstead(unknown("l3miss").map(({ vni }) => vni));
    this.deps.shutOut({
      l3: [...new Set([...this.scanned, ...indexes(unknown("l3miss"))])],
      l2: indexes(unknown("l2miss")),
    });
  }
}
