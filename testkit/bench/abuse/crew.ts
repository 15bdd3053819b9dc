// Processes of the bench inside a namespace: honest clients, attackers and the discard server, each pinned to processors and
// asked over Node's channel.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

/** Where and how a program runs. */
export interface Post {
  readonly namespace: string;
  /** Processors, as taskset(1) takes them: "1" or "1-3". */
  readonly cpus: string;
  /** Niceness, -20 … 19; the lower, the sooner the scheduler runs the process. */
  readonly nice: number;
}

interface Question {
  readonly id: number;
  readonly order: unknown;
}

interface Reply {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The command that runs another one as `post` says, in the namespace that it is started in. */
export function pinned({ cpus, nice }: Omit<Post, "namespace">, command: readonly string[]): [string, ...string[]] {
  return ["taskset", "--cpu-list", cpus, "nice", "-n", String(nice), ...command];
}

export class CrewMember<Order> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: Promise<void>;
  #nextId = 1;

  /** @param program file of `programs/`, without its ending */
  constructor(
    readonly program: string,
    post: Post,
  ) {
    const file = join(import.meta.dirname, "programs", `${program}.js`);
    const args = ["netns", "exec", post.namespace, ...pinned(post, [process.execPath, file])];
    this.#child = spawn("ip", args, { stdio: ["ignore", "ignore", "inherit", "ipc"], detached: true });
    this.#child.on("message", (message) => {
      const { id, answer, error } = message as Reply;
      if (error === undefined) this.#waiting.get(id)?.resolve(answer);
      else this.#waiting.get(id)?.reject(new Error(`${program}: ${error}`));
      this.#waiting.delete(id);
    });
    this.#ended = new Promise((resolve) => {
      const end = (how: string) => {
        for (const { reject } of this.#waiting.values()) reject(new Error(`the ${program} ended with ${how}`));
        this.#waiting.clear();
        resolve();
      };
      this.#child.once("error", (error) => end(error.message));
      this.#child.once("exit", (code, signal) => end(String(code ?? signal)));
    });
  }

  /** taskset and nice become the program, so this is the process that does the work. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @throws Error where the order fails, or the program ends before it has answered */
  ask<Answer>(order: Order): Promise<Answer> {
    const id = this.#nextId++;
    return new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject });
      if (!this.#child.connected) reject(new Error(`the ${this.program} has ended`));
      else this.#child.send({ id, order } satisfies Question, (error) => error && reject(error));
    });
  }

  /** Orders that have no answer yet get none. */
  async end(): Promise<void> {
    this.#waiting.clear();
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

/** The other end: answers each order. A program whose parent has ended ends too. */
export function serveOrders<Order>(act: (order: Order) => unknown): void {
  process.on("message", async (message) => {
    const { id, order } = message as { readonly id: number; readonly order: Order };
    const reply = async (): Promise<Reply> => {
      try {
        return { id, answer: (await act(order)) ?? null };
      } catch (error) {
        return { id, error: error instanceof Error ? error.message : String(error) };
      }
    };
    process.send?.(await reply());
  });
  process.on("disconnect", () => process.exit());
}
