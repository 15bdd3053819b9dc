// The controller and the agents under development: started, started again when their sources change, and left stopped until
// the next change where they fail.
import { SerialQueue } from "../../common/serial-queue.ts";
import type { LabProcess, LogLine } from "../lab/process.ts";

export interface Program {
  readonly name: string;
  /** Its sources: a change in one of these folders starts it again. */
  readonly folders: readonly string[];
  /** Resolves when it works. */
  start(): Promise<LabProcess>;
}

export const controllerFolders = ["bin", "common", "controller", "schema"] as const;
export const agentFolders = ["bin", "common", "node-agent", "schema"] as const;

/** One line for a person. */
export type Say = (who: string, text: string) => void;

/** pino's number of "warn". */
const warnLevel = 40;

export class Programs {
  readonly #running = new Map<Program, LabProcess>();
  readonly #due = new Set<Program>();
  readonly #stopped = new WeakSet<LabProcess>();
  readonly #work = new SerialQueue();
  #isStopping = false;

  /** @param programs in the order in which they start */
  constructor(
    private readonly programs: readonly Program[],
    private readonly say: Say,
  ) {}

  /** @throws Error where one does not start */
  startAll(): Promise<void> {
    return this.#work.run(() => this.#startEach());
  }

  /**
   * Restarts the programs that a change of this file concerns, one after the other, when pending starts are complete.
   */
  changed(file: string): void {
    const concerned = this.programs.filter(({ folders }) => folders.some((folder) => file.startsWith(`${folder}/`)));
    for (const program of concerned) this.#due.add(program);
    void this.#work.run(() => this.#restartDue());
  }

  /** Resolves when nothing is started any more. The lab stops the processes. */
  async settle(): Promise<void> {
    this.#isStopping = true;
    await this.#work.idle;
  }

  async #startEach(): Promise<void> {
    for (const program of this.programs) {
      if (this.#isStopping) return;
      await this.#start(program);
    }
  }

  async #restartDue(): Promise<void> {
    while (this.#due.size > 0 && !this.#isStopping) {
      const turn = this.programs.filter((program) => this.#due.has(program));
      this.#due.clear();
      for (const program of turn) {
        if (this.#isStopping) return;
        const startMs = performance.now();
        try {
          await this.#stop(program);
          await this.#start(program);
          this.say(program.name, `restarted in ${Math.round(performance.now() - startMs)} ms`);
        } catch (error) {
          this.say(
            program.name,
            `${error instanceof Error ? error.message : String(error)}\nIt starts again after the next change.`,
          );
        }
      }
    }
  }

  async #stop(program: Program): Promise<void> {
    const process = this.#running.get(program);
    if (!process) return;
    this.#stopped.add(process);
    await process.stop();
  }

  async #start(program: Program): Promise<void> {
    const started = await program.start();
    this.#running.set(program, started);
    for (const line of started.logs) this.#show(program, line);
    started.onLog((line) => this.#show(program, line));
    void started.ended.then((result) => {
      const isExpected = this.#isStopping || this.#stopped.has(started);
      if (!isExpected) this.say(program.name, `ended with ${result}. It starts again after the next change.`);
    });
  }

  /** Warnings and errors, and lines that are not pino's. */
  #show({ name }: Program, line: LogLine): void {
    const { level, time: _time, pid: _pid, hostname: _hostname, msg, ...fields } = line;
    if (typeof level === "number" && level < warnLevel) return;
    const more = Object.keys(fields).length > 0 ? ` ${JSON.stringify(fields)}` : "";
    this.say(name, `${msg}${more}`);
  }
}
