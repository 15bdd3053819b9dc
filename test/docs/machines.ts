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

  /** The controller's, and two hosts. */
  static async build(): Promise<Machines> {
    const machines = new Machines(await createLab({ hosts: ["a", "b"], underlay: 4 }));
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
  /** The last of each program. */
  readonly #started = new Map<string, { readonly command: string; readonly pid: string }>();

  constructor(
    namespace: Namespace,
    private readonly home: string,
  ) {
    mkdirSync(join(home, "bin"), { recursive: true });
    const program = nearmiss().join(" ");
    writeFileSync(join(home, "bin", "nearmiss"), `#!/bin/sh\nexec ${program} "$@"\n`, { mode: 0o755 });
    // Each program that is started with `ip netns exec` has its own mounts.
    const furnish = "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && mkdir /run/netns && cd";
    const env = { HOME: home, PATH: `${join(home, "bin")}:${process.env.PATH}`, NO_COLOR: "1" };
    this.#shell = namespace.spawn(["bash", "-c", `${furnish} && exec bash --norc 2>&1`], env);
    this.#lines = createInterface({ input: this.#shell.stdout })[Symbol.asyncIterator]();
  }

  /** @throws WaitError if a long-running program does not start, Error if the shell has ended */
  async run(command: string): Promise<Ran> {
    const [, act, name = ""] = unit.exec(command) ?? [];
    const started = this.#started.get(name);
    if (act && !started) throw new RangeError(`no ${name} was started here`);
    if (act === "start" && started) return this.run(started.command);
    if (act === "stop" && started) return this.#obey(`kill ${started.pid} && wait ${started.pid}`);
    if (!lasting.test(command)) return this.#obey(command);
    const log = join(this.home, `terminal-${++this.#terminals}.log`);
    const ran = await this.#obey(`${command} > ${log} 2>&1 &`);
    const [pid = ""] = (await this.#obey("echo $!")).output;
    this.#started.set(/nearmiss (controller|agent)/.exec(command)?.[1] ?? "", { command, pid });
    const said = () => (existsSync(log) ? readFileSync(log, "utf8").split("\n") : []);
    await waitFor(() => said().some((line) => isUp.test(parseLogLine(line).msg)), {
      what: `\`${command}\` to come up`,
    });
    return ran;
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
