// Runs made-up work now and then, so that real work of the same kind, which is rare, finds its code compiled and in the processor's caches.
// What is run is given; this decides when. (docs/adr/0248)
import { Pace } from "./pace.ts";

export interface MadeUpWork {
  /** @param done called when the last step is done, perhaps some turns of the event loop later */
  run(done: () => void): void;
  close(): void;
}

export interface HeatOptions {
  /** @throws Error where the kernel refuses its sockets */
  open(): Promise<MadeUpWork>;
  /** It runs no more until it is wanted anew. */
  failed(error: unknown): void;
  /** Monotonic. */
  nowMs(): number;
}

export type HeatState = "off" | "warming up" | "warm" | "failed";

/** First runs, one after the other: V8 compiles the code in several stages, of which the last one halves its time. */
export const firstRuns = 500;
const firstEveryMs = 5;
/** Interval of the runs after that, ms, and the longest on a busy machine. */
export const heatMs = 200;
const maxHeatMs = 1_600;
/** Interval of the runs while no real work has come for a long time. */
export const idleHeatMs = 1_000;
const idleAfterMs = 600_000;
/** A run that is not done after this time never will be, ms. */
const maxRunMs = 10_000;

export class Heat {
  state: HeatState = "off";
  /** So far, and the time from their begin to their end, ms. */
  runs = 0;
  ms = 0;
  private pace = new Pace(heatMs, maxHeatMs);
  private work: MadeUpWork | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isRunning = false;
  private startedMs = 0;
  private usedMs: number;
  /** Counts what `want` has begun: what an earlier one opened is closed. */
  private turn = 0;
  private isWanted = false;

  constructor(private readonly options: HeatOptions) {
    this.usedMs = options.nowMs();
  }

  /** ms; 0: it does not run. */
  get everyMs(): number {
    if (this.state === "warming up") return firstEveryMs;
    if (this.state !== "warm") return 0;
    const isIdle = this.options.nowMs() - this.usedMs > idleAfterMs;
    return Math.max(this.pace.heatMs(true), isIdle ? idleHeatMs : 0);
  }

  /** Real work has come. */
  used(nowMs: number): void {
    this.usedMs = nowMs;
  }

  want(isWanted: boolean): void {
    if (isWanted === this.isWanted) return;
    this.isWanted = isWanted;
    if (!isWanted) this.stop();
    else void this.start(++this.turn);
  }

  private async start(turn: number): Promise<void> {
    this.state = "warming up";
    try {
      const work = await this.options.open();
      if (turn !== this.turn) {
        work.close();
        return;
      }
      this.work = work;
      this.schedule();
    } catch (error) {
      if (turn === this.turn) this.fail(error);
    }
  }

  private stop(): void {
    this.turn += 1;
    this.state = "off";
    clearTimeout(this.timer);
    this.work?.close();
    this.work = undefined;
    this.isRunning = false;
    this.pace = new Pace(heatMs, maxHeatMs);
  }

  private fail(error: unknown): void {
    this.stop();
    this.state = "failed";
    this.options.failed(error);
  }

  private schedule(): void {
    const { everyMs } = this;
    const startMs = this.options.nowMs();
    this.timer = setTimeout(() => {
      if (everyMs === this.pace.heatMs(true)) this.pace.waited(this.options.nowMs() - startMs);
      this.tick();
    }, everyMs).unref();
  }

  private tick(): void {
    try {
      if (!this.isRunning) this.run(this.turn);
      else if (this.options.nowMs() - this.startedMs > maxRunMs) throw new Error("made-up work is not answered");
    } catch (error) {
      this.fail(error);
      return;
    }
    this.schedule();
  }

  private run(turn: number): void {
    const startMs = this.options.nowMs();
    this.isRunning = true;
    this.startedMs = startMs;
    this.work?.run(() => {
      if (turn !== this.turn || !this.isRunning) return;
      this.isRunning = false;
      this.runs += 1;
      this.ms += this.options.nowMs() - startMs;
      if (this.state === "warming up" && this.runs >= firstRuns) this.state = "warm";
    });
  }
}
