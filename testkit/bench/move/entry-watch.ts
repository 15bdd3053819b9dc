// Hears when the kernel of a host gets a tunnel entry, by any program.
import {
  AF_BRIDGE,
  NDA_DST,
  NDA_LLADDR,
  type NeighbourMessage,
  NTF_SELF,
  RTM_NEWNEIGH,
} from "../../../node-agent/kernel/codec/neighbour-codec.ts";
import { ChangeSocket } from "../../../node-agent/kernel/sockets/change-socket.ts";
import { findIp, findMac } from "../../../schema/address/index.ts";
import { inNamespace } from "../../lab/namespace.ts";

const deadlineMs = 10_000;
const nothing = Buffer.alloc(0);

export class EntryWatch {
  private readonly socket: ChangeSocket;
  private heard: (mac: string, vtep: string) => void = () => {};

  constructor(namespace: string) {
    const ignore = (): void => {};
    const handlers = { onLink: ignore, onPort: ignore, onAddress: ignore, onFilter: ignore };
    this.socket = inNamespace(
      namespace,
      () => new ChangeSocket({ ...handlers, onEntry: (message) => this.onEntry(message) }),
    );
  }

  /** When the next entry that leads from the MAC to the VTEP is written, as performance.now() has it. @throws Error after 10 s */
  next(mac: string, vtep: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no entry for ${mac} at ${vtep} in ${deadlineMs} ms`)),
        deadlineMs,
      );
      this.heard = (...entry) => {
        if (entry[0] !== mac || entry[1] !== vtep) return;
        clearTimeout(timer);
        resolve(performance.now());
      };
    });
  }

  close(): void {
    this.socket.close();
  }

  private onEntry({ type, family, flags, attributes }: NeighbourMessage): void {
    if (type !== RTM_NEWNEIGH || family !== AF_BRIDGE || (flags & NTF_SELF) === 0) return;
    const mac = findMac(attributes.get(NDA_LLADDR) ?? nothing);
    const vtep = findIp(attributes.get(NDA_DST) ?? nothing);
    if (mac && vtep) this.heard(mac, vtep);
  }
}
