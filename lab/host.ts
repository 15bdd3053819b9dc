// A host of the lab: a namespace on the underlay that runs an agent and holds guests.
import { join } from "node:path";
import { bootGuest, Guest, type GuestOptions } from "./guest.ts";
import { Namespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";
import { type ProgramOptions, startAgent } from "./programs.ts";
import type { Attachment } from "./underlay.ts";

/** What a host needs of the lab that it is in. */
export interface HostSurroundings {
  readonly controllerUrl: string;
  readonly directory: string;
  readonly switch: Namespace;
  nextPort(): string;
  /** Reserves the name and the namespace, before anything is made. @throws Error where the name is taken */
  admit(name: string): string;
  dismiss(guest: Guest): void;
  track(process: LabProcess): void;
}

export class Host extends Namespace {
  /** Underlay address, which is also the VTEP. */
  readonly address: string;
  readonly #switchPort: string;
  readonly #lab: HostSurroundings;
  #agent: LabProcess | undefined;

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

  /** What `nearmiss agent status` and `explain` ask. */
  get agentSocket(): string {
    return join(this.#lab.directory, `${this.name}.sock`);
  }

  /** The agent that was started last. @throws Error before the first */
  get agent(): LabProcess {
    if (!this.#agent) throw new Error(`no agent was started on host ${this.name}`);
    return this.#agent;
  }

  /** Returns as soon as the process is started; `agent.waitForLog` tells how far it is. */
  startAgent(options: ProgramOptions = {}): LabProcess {
    const { address, name, agentSocket: socket } = this;
    this.#agent = startAgent(this, { ...options, controllerUrl: this.#lab.controllerUrl, name, vtep: address, socket });
    this.#lab.track(this.#agent);
    return this.#agent;
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
