// Asks hosts whether a guest of theirs still has an address that a guest of another host uses.
import type { IpAddress, MacAddress, Vni } from "../../schema/address/index.ts";
import { frameText } from "./frames.ts";
import type { AgentSession } from "./session.ts";

/** The agent asks the guest for a second. An older one does not answer. */
const answerMs = 3_000;

export interface ProbedGuest {
  readonly vni: Vni;
  readonly mac: MacAddress;
  readonly ip: IpAddress;
  readonly port: string;
}

type Asked = Pick<AgentSession, "send">;

interface Waiting {
  readonly session: Asked;
  readonly settle: (answers: boolean | undefined) => void;
}

export class OwnerProbes {
  private lastId = 0;
  private readonly waiting = new Map<number, Waiting>();
  /** Several guests may claim an address at a time. */
  private readonly byGuest = new Map<string, Promise<boolean | undefined>>();

  /** @param session of the guest's host. @returns whether the guest answered; undefined: the host did not say */
  ask(session: Asked, guest: ProbedGuest): Promise<boolean | undefined> {
    const key = `${guest.vni} ${guest.mac} ${guest.ip}`;
    const known = this.byGuest.get(key);
    if (known) return known;
    const id = ++this.lastId;
    const answer = new Promise<boolean | undefined>((resolve) => {
      const settle = (answers: boolean | undefined): void => {
        clearTimeout(timer);
        this.waiting.delete(id);
        this.byGuest.delete(key);
        resolve(answers);
      };
      const timer = setTimeout(() => settle(undefined), answerMs).unref();
      this.waiting.set(id, { session, settle });
    });
    this.byGuest.set(key, answer);
    session.send([frameText({ type: "probe", id, ...guest })]);
    return answer;
  }

  answered(session: Asked, id: number, answers: boolean): void {
    const waiting = this.waiting.get(id);
    if (waiting?.session === session) waiting.settle(answers);
  }

  ended(session: Asked): void {
    for (const waiting of this.waiting.values()) if (waiting.session === session) waiting.settle(undefined);
  }
}
