// What the controller has sent to this host about itself, as records of a file: its networks, its own VMs and the senders of its networks.
// They are frames of a session, version 2, so that reading them is what reading a session is.
import { defined } from "../../common/defined.ts";
import { AddressError, type Answer, type Revision } from "../../schema/address/index.ts";
import { chunk, FrameError, portText, recordText } from "../../schema/agent/index.ts";
import { type Frame, FrameAssembly } from "../controller-link/frame-assembly.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { HostsByNetwork } from "../tables/host-tables.ts";
import { json, parsed, StoredStateError, storedFormat } from "./stored-network.ts";

const kinds = { head: 1, frame: 2, seen: 3 } as const;
const protocol = 2;

/** The host had a session then, whose position was `asOf`. */
export interface Seen {
  readonly asOf: Revision;
  /** ms since 1970. */
  readonly atMs: number;
}

export interface StoredHost extends Seen {
  readonly welcome: Frame<"welcome">;
  readonly snapshot: Frame<"snapshot">;
  /** The other hosts of networks, where this host needs to know them. */
  readonly hosts: readonly Frame<"hosts">[];
}

export interface HostContent {
  readonly host: string;
  readonly epoch: string;
  readonly registeredEnd: NonNullable<RegisteredNetworks["registeredEnd"]>;
  readonly registered: RegisteredNetworks;
  readonly held: HeldAnswers;
  readonly others: HostsByNetwork;
}

/** Some answers at a time: a host with thousands of VMs is written in turns. */
export function* hostPayloads(content: HostContent, { asOf, atMs }: Seen): Generator<Buffer> {
  const { host, epoch, registeredEnd, registered, held, others } = content;
  const frame = (value: object): Buffer => json(kinds.frame, value);
  yield json(kinds.head, { format: storedFormat, host });
  yield frame({ type: "welcome", protocol, epoch, asOf, host, ...registeredEnd });
  for (const [vni, members] of others) {
    const hosts = [...members].map(([name, { vtep, port = registeredEnd.vtepPort }]) => ({ host: name, vtep, port }));
    const parts = chunk(hosts);
    for (const [i, part] of parts.entries())
      yield frame({ type: "hosts", asOf, vni, whole: i === 0, hosts: part, end: i === parts.length - 1 });
  }
  for (const networks of chunk(registered.list()))
    yield frame({ type: "snapshot", asOf, networks, records: [], end: false });
  for (const vni of registered.vnis()) {
    for (const guests of chunk(held.locals(vni))) {
      const answers = guests.flatMap(({ mac, ips, port, allowed }) =>
        [{ kind: "mac" as const, vni, mac }, ...ips.map((ip) => ({ kind: "ip" as const, vni, ip }))].map(
          (key): Answer => ({
            key,
            revision: held.find(key)?.revision ?? asOf,
            binding: { mac, host, ...registeredEnd, local: true, ...defined({ guestPort: port, allowed }) },
          }),
        ),
      );
      const ports = new Set(answers.flatMap((answer) => portText(answer) ?? []));
      const lists = `"records":[${answers.map(recordText).join()}],"ports":[${[...ports].join()}]`;
      const text = `{"type":"snapshot","asOf":${asOf},"networks":[],${lists},"end":false}`;
      yield Buffer.concat([Buffer.of(kinds.frame), Buffer.from(text)]);
    }
  }
  for (const prepared of chunk(registered.prepared.list()))
    yield frame({ type: "snapshot", asOf, networks: [], records: [], prepared, end: false });
  yield frame({ type: "snapshot", asOf, networks: [], records: [], end: true });
  yield seenPayload({ asOf, atMs });
}

export const seenPayload = (seen: Seen): Buffer => json(kinds.seen, seen);

/** Puts the frames of a file together. */
export class StoredHostReader {
  private isBegun = false;
  private seen: Seen | undefined;
  private welcome: Frame<"welcome"> | undefined;
  private snapshot: Frame<"snapshot"> | undefined;
  private readonly hosts: Frame<"hosts">[] = [];
  private readonly frames = new FrameAssembly();

  constructor(private readonly host: string) {}

  /** @throws StoredStateError */
  take(payload: Buffer): void {
    const kind = payload[0];
    const content = payload.subarray(1);
    if (!this.isBegun && kind !== kinds.head) throw new StoredStateError("it does not begin as it should");
    if (kind === kinds.head) this.begin(parsed(content));
    else if (kind === kinds.frame) this.add(content.toString());
    else if (kind === kinds.seen) this.seen = readSeen(parsed(content));
    else throw new StoredStateError(`it has a record of kind ${kind}, which this version does not know`);
  }

  /** @throws StoredStateError: not everything is there */
  end(): StoredHost {
    const { welcome, snapshot, hosts, seen } = this;
    if (!welcome || !snapshot || !seen) throw new StoredStateError("its end is missing");
    return { welcome, snapshot, hosts, ...seen };
  }

  private begin(value: unknown): void {
    const { format, host } = (value ?? {}) as { readonly format?: unknown; readonly host?: unknown };
    if (format !== storedFormat)
      throw new StoredStateError(`it has format ${format}, and this version reads ${storedFormat}`);
    if (host !== this.host) throw new StoredStateError(`it is of host "${host}"`);
    this.isBegun = true;
  }

  private add(text: string): void {
    try {
      const frame = this.frames.add(text);
      if (frame?.type === "welcome") this.welcome = frame;
      else if (frame?.type === "snapshot") this.snapshot = frame;
      else if (frame?.type === "hosts") this.hosts.push(frame);
    } catch (error) {
      if (error instanceof FrameError || error instanceof AddressError) throw new StoredStateError(error.message);
      throw error;
    }
  }
}

function readSeen(value: unknown): Seen {
  const { asOf, atMs } = (value ?? {}) as Partial<Seen>;
  if (!Number.isSafeInteger(asOf) || !Number.isFinite(atMs)) throw new StoredStateError("its time is not valid");
  return { asOf: asOf as Revision, atMs: atMs as number };
}
