// An event as a line that a person can read. Pure.
import type { CloudEvent, OperationalCloudEvent } from "../schema/events/index.ts";
import type { StreamEvent } from "./event-stream.ts";
import { changesWithin, textOf } from "./fleet/changes.ts";
import type { Fields, InterfaceFields } from "./fleet/fleet.ts";

/** Time, position in the log and what happened; undefined for a bookmark, which says nothing to people. */
export function describeEvent(event: StreamEvent): string | undefined {
  if (!("data" in event)) return undefined;
  const time = `${event.time.slice(0, 19).replace("T", " ")}Z`;
  const [position, text] =
    "operational" in event ? ["-", describeOperational(event)] : [event.id, describeChange(event)];
  return `${time}  ${position.padEnd(8)}  ${text}`;
}

function describeChange({ type, data }: CloudEvent): string {
  const [, kind = "", verb] = type.split(".");
  const before = data.before as Fields | null;
  const after = data.after as Fields | null;
  const subject = `${kind} ${(after ?? before)?.name}`;
  if (verb === "created" && after) return `${subject} created${placeOf(after)}: ${contentOf(after)}`;
  if (verb === "deleted" && before) return `${subject} deleted${placeOf(before)}`;
  if (!before || !after) return `${subject} ${verb}`;
  const changes = Object.keys({ ...before, ...after })
    .filter((field) => field !== "revision" && field !== "uid" && field !== "name")
    .flatMap((field) => changesWithin(field, before[field], after[field]));
  const moved = changes.some(({ field }) => field === "host") ? ` moved ${before.host} → ${after.host}` : "";
  const others = changes.filter(({ field }) => field !== "host");
  const rest = others.map(({ field, from, to }) => `${field}: ${textOf(from)} → ${textOf(to)}`).join("; ");
  return `${subject}${moved || " changed"}${rest === "" ? "" : `, ${rest}`}`;
}

/** Of a VM. */
function placeOf({ host }: Fields): string {
  return host === undefined ? "" : ` on ${host}`;
}

function contentOf({ vni, subnets, vtep, interfaces }: Fields): string {
  if (vni !== undefined) return `VNI ${vni}, ${textOf(subnets)}`;
  if (vtep !== undefined) return String(vtep);
  const each = ((interfaces ?? []) as readonly InterfaceFields[]).map(
    ({ name, network, mac, ips = [] }) => `${name} ${[network, mac, ...ips].join(" ")}`,
  );
  return each.join("; ") || "no interfaces";
}

function describeOperational({ type, data }: OperationalCloudEvent): string {
  const { host, network, subject, detail, count } = data;
  const where = network === undefined ? "" : ` in ${network}`;
  const times = count > 1 ? ` (${count} times)` : "";
  const what = type.replace("nearmiss.operational.", "").replaceAll("-", " ");
  return `host ${host}: ${what}${where}${subject === undefined ? "" : ` ${subject}`}${detail === undefined ? "" : `: ${detail}`}${times}`;
}
