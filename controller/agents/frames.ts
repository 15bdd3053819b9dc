// Controller frames of any size as texts of at most `maxFrameBytes`, in both versions of the protocol. Each answer is written once,
// and its size is that of its text.
import type { AgentNetwork, Answer, PreparedChange, PreparedGuest, Revision, Vni } from "../../schema/address/index.ts";
import { type ControllerFrame, maxFrameBytes, portText, preparedText, recordText } from "../../schema/agent/index.ts";
import type { Push } from "./fan-out.ts";
import type { TablePart } from "./host-table.ts";

export function frameText(frame: ControllerFrame): string {
  return JSON.stringify(frame);
}

/** Frames whose form depends on the version of a session. */
export interface FrameWriter {
  /** Several frames with one id where the answers do not fit into one: each answers its part of the questions. */
  answers(id: number, asOf: Revision, answers: readonly Answer[]): string[];
  seed(asOf: Revision, answers: readonly Answer[]): string;
  /**
   * Made one by one, as they are asked for; undefined is a pause, after many answers that are not sent.
   * @param answers undefined in place of each that the host has
   * @param since the position to which the host has them
   */
  snapshot(asOf: Revision, content: SnapshotContent, since?: Revision): Generator<string | undefined, void, void>;
  /** The first frame carries `self`. @param isPart more of the set follows, in frames that are made later */
  changes(asOf: Revision, push: Push, isPart?: boolean): Generator<string, void, void>;
  /** @param reader the host that it is for. @returns undefined where it has nothing that concerns the reader */
  table(asOf: Revision, part: TablePart, reader: string): string | undefined;
}

export interface SnapshotContent {
  readonly networks: readonly AgentNetwork[];
  /** Undefined in place of each that the host has. */
  readonly answers: Iterable<Answer | undefined>;
  /** VMs that are being migrated to the host. */
  readonly prepared: Iterable<PreparedGuest>;
}

type ListName = "networks" | "gone" | "answers" | "records" | "ports" | "prepared";
/** Left out where they are empty. */
const optionalLists: readonly ListName[] = ["ports", "prepared"];

/** What goes into a frame as a whole. */
interface Item {
  readonly list: ListName;
  readonly text: string;
  readonly port?: string | undefined;
}

interface Form {
  /** The first has the answers. */
  readonly lists: readonly [ListName, ...ListName[]];
  item(answer: Answer): Item;
  /** Absent: this version does not say which VMs are being migrated to the host. */
  readonly preparedItem?: (change: PreparedChange) => Item;
}

const answersForm: Form = {
  lists: ["answers"],
  item: (answer) => ({ list: "answers", text: JSON.stringify(answer) }),
};
const recordsForm: Form = {
  lists: ["records", "ports", "prepared"],
  item: (answer) => ({ list: "records", text: recordText(answer), port: portText(answer) }),
  preparedItem: (change) => ({ list: "prepared", text: preparedText(change) }),
};

/** For the other fields of a frame. */
const headroomBytes = 1_024;
/** Bytes of a frame of a snapshot: about 100 answers, so that making one holds the event loop for less than a millisecond. */
const snapshotFrameBytes = 16 * 1_024;
/** Look-ups between two pauses: some tenths of a millisecond. */
const skipsPerPause = 128;

const frameWriter = (form: Form, table: FrameWriter["table"]): FrameWriter => ({
  answers: (id, asOf, answers) => {
    const head = `{"type":"answers","id":${id},"asOf":${asOf}`;
    const whole = `${head}${listsText(form, answers)}}`;
    if (Buffer.byteLength(whole) <= maxFrameBytes) return [whole];
    return [...present(framesOf(form.lists, mapped(answers, form.item), { head: () => head, end: () => "}" }))];
  },
  seed: (asOf, answers) => `{"type":"seed","asOf":${asOf}${listsText(form, answers)}}`,
  snapshot: (asOf, content, since) => {
    const position = since === undefined ? "" : `,"since":${since}`;
    return framesOf(["networks", ...form.lists], snapshotItems(content, form), {
      head: () => `{"type":"snapshot","asOf":${asOf}${position}`,
      end: (isLast) => `,"end":${isLast}}`,
      maxBytes: snapshotFrameBytes,
    });
  },
  changes: (asOf, push, isPart = false) =>
    present(
      framesOf(["networks", "gone", ...form.lists], changesItems(push, form), {
        head: (isFirst) =>
          `{"type":"changes","asOf":${asOf}${isFirst && push.self ? `,"self":${JSON.stringify(push.self)}` : ""}`,
        end: (isLast) => `,"end":${isLast && !isPart}}`,
      }),
    ),
  table,
});

const writer1 = frameWriter(answersForm, (asOf, { vni, whole, members, end }, reader) => {
  const hosts = members.flatMap(({ host, vtep }) => (host === reader ? [] : [{ host, vtep }]));
  if (hosts.length === 0 && !whole && end) return undefined;
  return frameText({ type: "senders", asOf, vni, whole, hosts, end });
});

const writer2 = frameWriter(recordsForm, (asOf, part) => {
  part.text ??= `"vni":${part.vni},"whole":${part.whole},"hosts":${JSON.stringify(part.members)},"end":${part.end}}`;
  return `{"type":"hosts","asOf":${asOf},${part.text}`;
});

/** @param protocol the version of the session */
export const writerFor = (protocol: number): FrameWriter => (protocol === 1 ? writer1 : writer2);

/**
 * Parts of a network's base; undefined is a pause, as in a snapshot. @param asOf the position of each when it is made
 * @param answers undefined in place of each that the host has at `since`
 */
export function baseFrames(
  asOf: () => Revision,
  { id, vni }: { readonly id: number; readonly vni: Vni },
  answers: Iterable<Answer | undefined>,
  since?: Revision,
): Generator<string | undefined, void, void> {
  const position = since === undefined ? "" : `,"since":${since}`;
  const items = mapped(answers, (answer) => answer && recordsForm.item(answer));
  return framesOf(["records"], items, {
    head: () => `{"type":"base","id":${id},"asOf":${asOf()}${position},"vni":${vni}`,
    end: (isLast) => `,"end":${isLast}}`,
    maxBytes: snapshotFrameBytes,
    isLive: true,
  });
}

/** The same for all subscribers of the network. */
export function deltaFrames(asOf: Revision, vni: Vni, answers: readonly Answer[]): Generator<string, void, void> {
  return present(
    framesOf(["records"], mapped(answers, recordsForm.item), {
      head: () => `{"type":"delta","asOf":${asOf},"vni":${vni}`,
      end: () => "}",
    }),
  );
}

function* mapped<T, U>(items: Iterable<T>, map: (item: T) => U): Generator<U, void, void> {
  for (const item of items) yield map(item);
}

function* snapshotItems(
  { networks, answers, prepared }: SnapshotContent,
  { item, preparedItem }: Form,
): Generator<Item | undefined> {
  for (const network of networks) yield { list: "networks", text: JSON.stringify(network) };
  for (const answer of answers) yield answer && item(answer);
  if (preparedItem) yield* mapped(prepared, preparedItem);
}

function* changesItems(push: Push, { item, preparedItem }: Form): Generator<Item> {
  for (const network of push.networks) yield { list: "networks", text: JSON.stringify(network) };
  for (const gone of push.gone) yield { list: "gone", text: String(gone) };
  for (const answer of push.answers) yield item(answer);
  if (preparedItem) yield* mapped(push.prepared, preparedItem);
}

/** The lists of a frame as they are filled. */
class Lists {
  bytes = 0;
  private readonly texts: Map<ListName, string[]>;

  constructor(names: readonly ListName[]) {
    this.texts = new Map(names.map((name) => [name, []]));
  }

  add({ list, text, port }: Item): void {
    this.texts.get(list)?.push(text);
    if (port !== undefined) this.texts.get("ports")?.push(port);
    this.bytes += bytesOf({ list, text, port });
  }

  text(): string {
    let text = "";
    for (const [name, texts] of this.texts) {
      if (!optionalLists.includes(name) || texts.length > 0) text += listText(name, texts.join(","));
    }
    return text;
  }
}

const listText = (name: ListName, items: string): string => `,"${name}":[${items}]`;

/** The lists of a frame that has nothing but answers. */
function listsText({ lists: [list], item }: Form, answers: readonly Answer[]): string {
  let texts = "";
  let ports = "";
  for (const answer of answers) {
    const { text, port } = item(answer);
    texts += texts === "" ? text : `,${text}`;
    if (port !== undefined) ports += ports === "" ? port : `,${port}`;
  }
  return listText(list, texts) + (ports === "" ? "" : listText("ports", ports));
}

const bytesOf = ({ text, port }: Item): number =>
  Buffer.byteLength(text) + 1 + (port === undefined ? 0 : Buffer.byteLength(port) + 1);

interface Around {
  head(isFirst: boolean): string;
  end(isLast: boolean): string;
  readonly maxBytes?: number;
  /** No item waits for a frame of a later turn: a frame goes before each pause, and may exceed `maxBytes` by an item. */
  readonly isLive?: boolean;
}

/** At least one frame, so that an empty set still has an end. Every item must be far smaller than a frame. */
function* framesOf(
  names: readonly ListName[],
  items: Iterable<Item | undefined>,
  { head, end, maxBytes = maxFrameBytes - headroomBytes, isLive = false }: Around,
): Generator<string | undefined, void, void> {
  let lists = new Lists(names);
  let isFirst = true;
  let skips = 0;
  const take = (isLast: boolean): string => {
    const text = `${head(isFirst)}${lists.text()}${end(isLast)}`;
    lists = new Lists(names);
    isFirst = false;
    return text;
  };
  for (const item of items) {
    if (!item) {
      skips += 1;
      if (skips % skipsPerPause === 0) yield isLive && lists.bytes > 0 ? take(false) : undefined;
      continue;
    }
    if (!isLive && lists.bytes > 0 && lists.bytes + bytesOf(item) > maxBytes) yield take(false);
    lists.add(item);
    if (isLive && lists.bytes >= maxBytes) yield take(false);
  }
  yield take(true);
}

function* present(frames: Iterable<string | undefined>): Generator<string, void, void> {
  for (const frame of frames) if (frame !== undefined) yield frame;
}
