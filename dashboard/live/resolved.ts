// Whether a reported issue is resolved: queries the inventory once at first, and again when the stream shows a change
// of the affected resources.
import type { HoldersView } from "../../schema/rest/index.ts";
import { get, withQuery } from "../api.ts";
import type { Issue } from "./issues.ts";
import { bearsOn, isAnswered, type Question, type Vm } from "./questions.ts";
import { useLoaded } from "./resource.ts";

/** More are not asked about at a time. */
const maxAsked = 24;
/** That a host has followed a move comes with no event. */
const everyMs = 10_000;

/** Keys of the issues that the inventory shows as resolved. */
export function useResolved(issues: readonly Issue[]): ReadonlySet<string> {
  const open = issues.flatMap(({ key, question, end, last }) =>
    question && end === undefined ? [{ key, question, last }] : [],
  );
  const asked = open.slice(0, maxAsked);
  const key = asked.length === 0 ? undefined : asked.map((each) => `${each.key} ${each.last}`).join("\n");
  const look = async (): Promise<ReadonlySet<string>> => {
    const answers = await Promise.all(asked.map(({ question }) => isResolved(question)));
    return new Set(asked.filter((_, i) => answers[i]).map((each) => each.key));
  };
  const [resolved] = useLoaded(key, look, {
    changedBy: (event) => asked.some(({ question }) => bearsOn(question, event)),
    everyMs,
  });
  return asked.length > 0 && resolved.kind === "ready" ? resolved.value : none;
}

const none: ReadonlySet<string> = new Set();

async function isResolved(question: Question): Promise<boolean> {
  const { kind, network, subject } = question;
  if (kind === "followed") return hasFollowed(subject);
  const by = kind === "registered-otherwise" ? { ip: subject } : { mac: subject };
  const { vms } = await get<{ vms: Vm[] }>(withQuery("/v1/vms", { ...by, network }));
  return isAnswered(question, vms);
}

/** All holders have the current state of the VM, or it no longer exists. */
async function hasFollowed(name: string): Promise<boolean> {
  const { vms } = await get<{ vms: Vm[] }>(withQuery("/v1/vms", { name, limit: 1 }));
  if (vms[0]?.name !== name) return true;
  const { holders } = await get<HoldersView>(`/v1/vms/${encodeURIComponent(name)}/holders`);
  return holders.every(({ current }) => current);
}
