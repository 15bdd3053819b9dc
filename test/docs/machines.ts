// The machines of pages, each a network namespace on one underlay, with its own root shell and its own files: files in
// /run, /var/lib or the home of one machine are not visible to the others, nor kept afterwards.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createLab, type Lab } from "../../testkit/lab/lab.ts";
import type { Namespace, Spawned } from "../../testkit/lab/namespace.ts";
import { parseLogLine } from "../../testkit/lab/process.ts";
import { nearmiss } from "../../testkit/lab/programs.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import type { Ran } from "./page-run.ts";

/** A program that runs until it is stopped: the reader gives it a separate terminal. */
const lasting = /(?:^|\s)nearmiss (?:controller|agent)(?: --|$)/;
/** A unit of systemd, which these machines do not have: stands for the program that was started by hand. */
const unit = /^systemctl (start|stop) nearmiss-(\S+)$/;
/** Its output when it is ready. */
const isUp = /^(?:listening|session with the controller)$/;

export class Machines {
  readonly #machines = new Map<string, Machine>();

  private constructor(private readonly lab: Lab) {}

  /** The controller's, and three hosts. */
  static async build(): Promise<Machines> {
    const machines = new Machines(await createLab({ hosts: ["a", "b", "c"], underlay: 4 }));
    machines.#add("controller", machines.lab.controllerNamespace);
    for (const host of machines.lab.hosts) machines.#add(host.name, host);
    return machines;
  }

  get(name: string): Machine {
    const machine = this.#machines.get(name);
    if (!machine) throw new RangeError(`there is no machine ${name} but ${[...this.#machines.keys()].join(", ")}`);
    return machine;
  }

  remove(): Promise<void> {
    return this.lab.remove();
  }

  #add(name: string, namespace: Namespace): void {
    this.#machines.set(name, new Machine(namespace, join(this.lab.directory, name)));
  }
}

export class Machine {
  readonly #shell: Spawned;
  readonly #lines: AsyncIterator<string>;
  #terminals = 0;
  /** Of each program the one that runs, or ran last. */
  readonly #started = new Map<string, { readonly command: string; pid?: string }>();

  constructor(
    namespace: Namespace,
    private readonly home: string,
  ) {
    mkdirSync(join(home, "bin"), { recursive: true });
    const program = nearmiss().join(" ");
    writeFileSync(join(home, "bin", "nearmiss"), `#!/bin/sh\nexec ${program} "$@"\n`, { mode: 0o755 });
    // Each program that is started with `ip netns exec` has its own mounts.
    const own = ["/run", "/var/lib", "/var/backups"].map((path) => `mount -t tmpfs tmpfs ${path}`).join(" && ");
    const furnish = `${own} && mkdir /run/netns && cd`;
    const env = { HOME: home, PATH: `${join(home, "bin")}:${process.env.PATH}`, NO_COLOR: "1" };
    this.#shell = namespace.spawn(["bash", "-c", `${furnish} && exec bash --norc 2>&1`], env);
    this.#lines = createInterface({ input: this.#shell.stdout })[Symbol.asyncIterator]();
  }

  static isLasting(command: string): boolean {
    return lasting.test(command);
  }

  /** @returns of a program that runs on, its log so far. @throws WaitError, Error if the shell has ended */
  async run(command: string): Promise<Ran> {
    const [, act, name = ""] = unit.exec(command) ?? [];
    const started = this.#started.get(name);
    if (act && !started) throw new RangeError(`no ${name} was started here`);
    if (act === "start" && started) return { ...(await this.run(started.command)), output: [] };
    if (act === "stop" && started) {
      const { pid } = started;
      delete started.pid;
      return this.#obey(`kill ${pid} && wait ${pid}`);
    }
    return Machine.isLasting(command) ? this.#start(command) : this.#obey(command);
  }

  async #start(command: string): Promise<Ran> {
    const log = join(this.home, `terminal-${++this.#terminals}.log`);
    await this.#obey(`${command} > ${log} 2>&1 &`);
    const [pid = ""] = (await this.#obey("echo $!")).output;
    const said = () => (existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n") : []);
    const isOver = async () => (await this.#obey(`kill -0 ${pid}`)).status !== 0;
    let ended = false;
    await waitFor(
      async () => {
        ended = await isOver();
        return ended || said().some((line) => isUp.test(parseLogLine(line).msg));
      },
      { what: `\`${command}\` to come up, or to refuse` },
    );
    if (ended) return { output: said(), status: (await this.#obey(`wait ${pid}`)).status };
    const program = /nearmiss (controller|agent)/.exec(command)?.[1] ?? "";
    if (!this.#started.get(program)?.pid) this.#started.set(program, { command, pid });
    return { output: said(), status: 0 };
  }

  async #obey(command: string): Promise<Ran> {
    const marker = "end of step";
    this.#shell.stdin.write(`{ ${command}\n} < /dev/null\nprintf '\\n${marker} %s\\n' "$?"\n`);
    const output: string[] = [];
    for (;;) {
      const { value: line, done } = await this.#lines.next();
      if (done) throw new Error(`the shell ended in \`${command}\`: ${output.join("\n")}`);
      if (line.startsWith(`${marker} `)) {
        // printf's own line break ends the last line, or is a separate line.
        if (output.at(-1) === "") output.pop();
        return { output, status: Number(line.slice(marker.length)) };
      }
      output.push(line);
    }
  }
}
