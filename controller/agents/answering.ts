// Answers to hosts: their snapshot, answers to questions, and the seeded return path. A host that gets an answer is
// registered as interested.
import type { Answer, BindingKey, Vni } from "../../schema/address/index.ts";
import type { AgentFrame, Question } from "../../schema/agent/index.ts";
import type { Network } from "../../schema/rest/index.ts";
import { answerFor, answerKnown } from "../inventory/bindings.ts";
import { findKnownNetwork } from "../inventory/known-networks.ts";
import type { Metrics } from "../metrics.ts";
import { countAnswers } from "../observe/answer-counts.ts";
import type { Rates } from "../observe/rates.ts";
import type { Committer } from "../write/committer.ts";
import type { Declaration } from "./declaration.ts";
import type { InterestIndex } from "./interest.ts";
import { SeedCandidates, seedsFor } from "./seeding.ts";
import type { AgentSession } from "./session.ts";
import { Snapshots } from "./snapshots.ts";

export interface AnsweringDeps {
  readonly committer: Pick<Committer, "current" | "revision">;
  readonly epoch: string;
  readonly interests: InterestIndex;
  /** By host. */
  readonly sessions: ReadonlyMap<string, AgentSession>;
  readonly metrics: Pick<Metrics, "resolved" | "released" | "seeded">;
  readonly rates: Pick<Rates, "answered">;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export class Answering {
  private readonly snapshots: Snapshots;

  constructor(private readonly deps: AnsweringDeps) {
    this.snapshots = new Snapshots(deps);
  }

  /** The snapshot: all state of the host, and the current answer to each key that it holds. */
  declare(session: AgentSession, declaration: Declaration): Promise<void> {
    const host = session.host;
    return this.snapshots.send(session, host, declaration, (key) =>
      this.answer(host, key, findKnownNetwork(this.deps.committer.current, host, key.vni)),
    );
  }

  /** @returns number of seeds sent to other hosts, which the asking host is charged for */
  resolve(session: AgentSession, frame: Extract<AgentFrame, { type: "resolve" }>): number {
    const startedAt = this.deps.nowMs();
    const host = session.host;
    const answers = this.answersTo(host, frame.questions);
    // The seed first: it must arrive before the packet that follows answer and announcement.
    const seeded = session.hello?.seeding ? this.seed(host, frame.questions, answers) : 0;
    session.send(session.writer.answers(frame.id, this.deps.committer.revision, answers));
    const tookMs = this.deps.nowMs() - startedAt;
    const counts = countAnswers(answers);
    this.deps.metrics.resolved(counts, tookMs / 1_000);
    this.deps.rates.answered(host, counts, tookMs);
    return seeded;
  }

  release(session: AgentSession, { id, keys }: Extract<AgentFrame, { type: "release" }>): void {
    const host = session.host;
    for (const key of keys) this.deps.interests.release(host, key);
    // In the same turn: nothing may be sent for these keys between the release and its answer.
    session.send(session.writer.answers(id, this.deps.committer.revision, []));
    this.deps.metrics.released(keys.length);
  }

  /** The host's kernel has these keys from its memory of the network: their changes concern it as those of what it has asked for. */
  used(host: string, keys: readonly BindingKey[]): void {
    const { current, revision } = this.deps.committer;
    for (const key of keys) {
      const answer = answerFor(current, host, key, revision);
      // What is not registered any more was a delta before this frame was read.
      if (answer.binding) this.deps.interests.holdAnswer(host, answer, { asked: true });
    }
  }

  /** Questions of one frame are nearly always about one network. */
  private answersTo(host: string, questions: readonly Question[]): Answer[] {
    const { current } = this.deps.committer;
    let vni: Vni | undefined;
    let network: Network | undefined;
    return questions.map((question) => {
      if (question.vni !== vni) {
        vni = question.vni;
        network = findKnownNetwork(current, host, vni);
      }
      return this.answer(host, keyOf(question), network);
    });
  }

  /**
   * Answers, and records the host's interest in changes of the answer.
   * @param network of the key's VNI; undefined where the host may not know it
   */
  private answer(host: string, key: BindingKey, network: Network | undefined): Answer {
    const { current, revision } = this.deps.committer;
    if (!network) return { key, revision, binding: null };
    const answer = answerKnown(current, host, key, revision, network);
    this.deps.interests.holdAnswer(host, answer, { asked: true });
    return answer;
  }

  /** In the same message: the asked host should know the return path when the first packet arrives. */
  private seed(host: string, questions: readonly Question[], answers: readonly Answer[]): number {
    const { current, revision } = this.deps.committer;
    const candidates = new SeedCandidates(current, host);
    let seeded = 0;
    questions.forEach((question, i) => {
      const binding = answers[i]?.binding;
      if (!binding || binding.local) return;
      const session = this.deps.sessions.get(binding.host);
      if (!session?.takesSeeds) return;
      const seeds = seedsFor(
        current,
        this.deps.interests,
        { host, asked: candidates.of(question), question, binding },
        revision,
      );
      if (seeds.length === 0) return;
      session.send([session.writer.seed(revision, seeds)]);
      this.deps.metrics.seeded(seeds.length);
      seeded += seeds.length;
    });
    return seeded;
  }
}

function keyOf(question: Question): BindingKey {
  const { vni } = question;
  return question.kind === "ip" ? { kind: "ip", vni, ip: question.ip } : { kind: "mac", vni, mac: question.mac };
}
