// A dump as the kernel sends it: parts of up to 32 KiB with hundreds of messages each. It is read to its end at once and decoded
// later, because the kernel's position in a dump is only a count (br_fdb_dump() in net/bridge/br_fdb.c): entries that are
// deleted during a dump make it leave out as many others, without NLM_F_DUMP_INTR.
import type { Turns } from "../../../common/cooperative.ts";
import {
  type NetlinkMessage,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  splitMessages,
  surveyMessages,
} from "../codec/netlink-codec.ts";

export class Dump {
  /** The kernel reports that it may be incomplete. */
  interrupted = false;
  private readonly parts: Buffer[] = [];

  /** @returns whether that was the last part */
  add(part: Buffer): boolean {
    const { types, flags } = surveyMessages(part);
    this.parts.push(part);
    if ((flags & NLM_F_DUMP_INTR) !== 0) this.interrupted = true;
    return types.has(NLMSG_DONE) || types.has(NLMSG_ERROR);
  }

  /** The kernel's error instead of a dump. */
  get refusal(): NetlinkMessage | undefined {
    return splitMessages(this.parts.at(-1) ?? Buffer.alloc(0)).find(({ type }) => type === NLMSG_ERROR);
  }

  messages(): NetlinkMessage[] {
    return this.parts.flatMap(contentOf);
  }

  /** All messages in batches; other tasks run between them. */
  async *lots(turns: Turns): AsyncGenerator<NetlinkMessage[], void> {
    for (const part of this.parts) {
      if (turns.over) await turns.next();
      yield contentOf(part);
    }
  }
}

function contentOf(part: Buffer): NetlinkMessage[] {
  return splitMessages(part).filter(({ type }) => type !== NLMSG_DONE);
}
