// From a miss to a question: what is local, known, absent or in flight already is not asked. No timers and no I/O but
// through the dependencies; time is injected.
import { type Answer, type BindingKey, keyText } from "../../schema/index.ts";
import type { Entry } from "../tables/entry.ts";
import type { Knowledge } from "../tables/held.ts";
import { type Miss, missKey } from "./miss.ts";
import type { Timeline } from "./timeline.ts";

/** For this long an address that the controller does not know is not asked for again; its creation is pushed anyway. */
export const quietMs = 5_000;
/** Questions without an answer; beyond, the oldest is given up: its guest asks again. */
const maxInFlight = 4_096;

export interface ResolverDependencies {
  lookUp(key: BindingKey, nowMs: number): Knowledge;
  /** Sends questions now, or keeps still while there is no session: `unanswered` are part of the next one's interest. */
  ask(keys: readonly BindingKey[]): void;
  /** Writes entries that are held but that the kernel has lost. */
  reassert(entries: readonly Entry[]): void;
  /** Runs once all that is already waiting to be read has been read. */
  afterReading(callback: () => void): void;
  nowMs(): number;
}

export interface MissCounters {
  missed: number;
  asked: number;
  joined: number;
  local: number;
  quiet: number;
  reasserted: number;
}

export class MissResolver {
  readonly counters: MissCounters = { missed: 0, asked: 0, joined: 0, local: 0, quiet: 0, reasserted: 0 };
  private readonly inFlight = new Map<string, Timeline>();
  private readonly waiting: BindingKey[] = [];
  private readonly lost = new Map<string, readonly Entry[]>();
  private scheduled = false;

  constructor(private readonly deps: ResolverDependencies) {}

  onMiss(miss: Miss): void {
    this.counters.missed++;
    const key = missKey(miss);
    const text = keyText(key);
    if (this.inFlight.has(text)) {
      this.counters.joined++;
      return;
    }
    const nowMs = this.deps.nowMs();
    const known = this.deps.lookUp(key, nowMs);
    if (known.kind === "local") this.counters.local++;
    else if (known.kind === "absent" && known.forMs < quietMs) this.counters.quiet++;
    else if (known.kind === "remote") this.keepForReassertion(text, known.entries);
    else this.keepForAsking(text, key, { miss, missedMs: nowMs });
  }

  /** The timelines that these answers end. */
  onAnswers(answers: readonly Answer[]): Timeline[] {
    const answeredMs = this.deps.nowMs();
    return answers.flatMap(({ key }) => {
      const text = keyText(key);
      const timeline = this.inFlight.get(text);
      if (!timeline) return [];
      this.inFlight.delete(text);
      return [{ ...timeline, answeredMs }];
    });
  }

  /** Keys that a guest waits for: part of the interest that a new session begins with, so that it answers them. */
  unanswered(): BindingKey[] {
    return [...this.inFlight.values()].map(({ miss }) => missKey(miss));
  }

  private keepForReassertion(text: string, entries: readonly Entry[]): void {
    this.counters.reasserted++;
    this.lost.set(text, entries);
    this.schedule();
  }

  private keepForAsking(text: string, question: BindingKey, timeline: Timeline): void {
    this.counters.asked++;
    const [oldest] = this.inFlight.keys();
    if (this.inFlight.size >= maxInFlight && oldest !== undefined) this.inFlight.delete(oldest);
    this.inFlight.set(text, timeline);
    this.waiting.push(question);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.deps.afterReading(() => this.flush());
  }

  private flush(): void {
    this.scheduled = false;
    const questions = this.waiting.splice(0);
    const entries = [...this.lost.values()].flat();
    this.lost.clear();
    const askedMs = this.deps.nowMs();
    for (const question of questions) {
      const timeline = this.inFlight.get(keyText(question));
      if (timeline) timeline.askedMs = askedMs;
    }
    if (entries.length > 0) this.deps.reassert(entries);
    if (questions.length > 0) this.deps.ask(questions);
  }
}
