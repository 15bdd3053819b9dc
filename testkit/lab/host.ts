// A host of the lab: a namespace on the underlay with an agent and guests.
import { join } from "node:path";
import { bootGuest, Guest, type GuestOptions } from "./guest.ts";
import { Namespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";
import { type ProgramOptions, startAgent } from "./programs.ts";
import type { Attachment } from "./underlay.ts";

/** The host's view of its lab. */
export interface HostSurroundings {
  readonly controllerUrl: string;
  /** With TLS: hosts enrol before their agents start. */
  readonly secured: boolean;
  readonly directory: string;
  /** The command that an operator would run on the host, whose VTEP is `vtep`. */
  joinLine(name: string, vtep: string): Promise<string>;
  readonly switch: Namespace;
  nextPort(): string;
  /** Reserves the name and the namespace, before anything is made. @throws Error where the name is taken */
  admit(name: string): string;
  dismiss(guest: Guest): void;
  track(process: LabProcess): void;
}

interface JoinLine {
  /** Flags of the agent. */
  readonly identity: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** `NAME=value nearmiss agent …`, in the form of a shell. @throws Error for another line */
function parseJoinLine(text: string): JoinLine {
  const [, name, value, flags] = /^(\w+)=(\S+) nearmiss agent (.+)\n$/.exec(text) ?? [];
  if (!name || !value || !flags) throw new Error(`this is no line to run on a host: ${text}`);
  return { identity: flags.split(" "), env: { [name]: value } };
}

export class Host extends Namespace {
  /** Underlay address, which is also the VTEP. */
  readonly address: string;
  readonly #switchPort: string;
  readonly #lab: HostSurroundings;
  #agent: LabProcess | undefined;
  #join: JoinLine | undefined;

  constructor(
    readonly name: string,
    attachment: Attachment,
    lab: HostSurroundings,
  ) {
    super(attachment.namespace);
    this.address = attachment.address;
    this.#switchPort = attachment.switchPort;
    this.#lab = lab;
  }

  /** The socket for `nearmiss agent status` and `explain`. */
  get agentSocket(): string {
    return join(this.#lab.directory, `${this.name}.sock`);
  }

  /** The agent that was started last. @throws Error before the first */
  get agent(): LabProcess {
    if (!this.#agent) throw new Error(`no agent was started on host ${this.name}`);
    return this.#agent;
  }

  /** Lets the host in, as an operator does with `nearmiss host add`. @returns the line that is to be run on the host */
  async enrol(): Promise<string> {
    const text = await this.#lab.joinLine(this.name, this.address);
    this.#join = parseJoinLine(text);
    return text;
  }

  /**
   * Returns as soon as the process is started; wait for its progress with `agent.waitForLog`. @throws Error if it has
   * to enrol
   */
  startAgent(options: ProgramOptions = {}): LabProcess {
    const { name, agentSocket: socket } = this;
    this.#agent = startAgent(this, { ...options, ...this.#identity(), name, socket });
    this.#lab.track(this.#agent);
    return this.#agent;
  }

  /** The line may be run again and again: the host remembers that it has enrolled with it. */
  #identity(): JoinLine {
    const { controllerUrl, secured, directory } = this.#lab;
    if (!secured)
      return { identity: ["--controller", controllerUrl, "--host", this.name, "--vtep", this.address], env: {} };
    if (!this.#join) throw new Error(`host ${this.name} is not enrolled`);
    const { identity, env } = this.#join;
    return { identity: [...identity, "--state-dir", join(directory, `state-${this.name}`)], env };
  }

  /** Boots a guest on this host's bridge of the network, once the agent has made that. @throws WaitError */
  async addGuest(options: GuestOptions): Promise<Guest> {
    const lab = this.#lab;
    const namespace = lab.admit(options.name);
    const port = options.port ?? lab.nextPort();
    const guest = new Guest(namespace, this, { ...options, port }, (gone) => lab.dismiss(gone));
    try {
      await bootGuest(guest, options);
      return guest;
    } catch (error) {
      await guest.remove();
      throw error;
    }
  }

  /** Pulls the underlay cable at the switch: the host keeps its addresses and loses the carrier. */
  linkDown(): Promise<void> {
    return this.#lab.switch.ip(`link set ${this.#switchPort} down`);
  }

  linkUp(): Promise<void> {
    return this.#lab.switch.ip(`link set ${this.#switchPort} up`);
  }
}
