// A program in a guest that joins and leaves multicast groups, as any program does (setsockopt), sends to them and counts what it receives.
import { createInterface } from "node:readline";
import { type Guest, guestDevice } from "./guest.ts";
import type { Spawned } from "./namespace.ts";
import { waitFor } from "./wait.ts";

/** Answers each line of its input with `done`, and prints what it receives. */
const program = `
const [family, port, address, device] = process.argv.slice(1);
const socket = require("node:dgram").createSocket({ type: "udp" + family, reuseAddr: true });
const own = family === "4" ? address : "::%" + device;
socket.on("message", (message) => console.log("got " + message));
socket.bind(Number(port), () => {
  socket.setMulticastInterface(own);
  socket.setMulticastTTL(8);
  socket.setMulticastLoopback(false);
  console.log("done");
});
const carryOut = async ([verb, group, ...more]) => {
  if (verb === "join") return socket.addMembership(group, own);
  if (verb === "leave") return socket.dropMembership(group, own);
  await new Promise((sent) => socket.send(more.join(" "), Number(port), group, sent));
};
require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  try {
    await carryOut(line.split(" "));
    console.log("done");
  } catch (error) {
    console.log("failed " + error.message);
  }
});
`;

export class GroupMember {
  /** Content of datagrams, oldest first. */
  readonly received: string[] = [];
  private readonly child: Spawned;
  private readonly waiting: { resolve(): void; reject(error: Error): void }[] = [];
  private readonly ended: Promise<unknown>;

  private constructor(guest: Guest, family: 4 | 6, port: number) {
    const address = guest.ips.find((ip) => ip.includes(":") === (family === 6)) ?? "";
    this.child = guest.spawn([process.execPath, "-e", program, String(family), String(port), address, guestDevice], {});
    this.ended = new Promise((resolve) => this.child.on("close", resolve));
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      if (line.startsWith("got ")) this.received.push(line.slice(4));
      else if (line === "done") this.waiting.shift()?.resolve();
      else this.waiting.shift()?.reject(new Error(`${guest.name}: ${line}`));
    });
  }

  static async start(
    guest: Guest,
    { family = 4, port = 5_007 }: { family?: 4 | 6; port?: number } = {},
  ): Promise<GroupMember> {
    const member = new GroupMember(guest, family, port);
    await member.answer();
    return member;
  }

  join(group: string): Promise<void> {
    return this.command(`join ${group}`);
  }

  leave(group: string): Promise<void> {
    return this.command(`leave ${group}`);
  }

  send(group: string, text: string): Promise<void> {
    return this.command(`send ${group} ${text}`);
  }

  /** @throws WaitError */
  async untilReceived(text: string): Promise<void> {
    await waitFor(() => this.received.includes(text) || undefined, { what: `"${text}" to arrive` });
  }

  async stop(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  private command(line: string): Promise<void> {
    const answer = this.answer();
    this.child.stdin.write(`${line}\n`);
    return answer;
  }

  private answer(): Promise<void> {
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }
}
