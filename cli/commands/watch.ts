// `--watch`: prints a list, then each of its resources again when it changes. The event stream names the resource; its
// content, and whether it is in the list, are queried from the controller, so that all filters are the controller's
// own.
import type { Client, Query } from "../client.ts";
import { CliError } from "../errors.ts";
import { followEvents } from "../event-stream.ts";
import { columnWidths, type Format, formatNext, formatRow, formatTable } from "../output.ts";
import type { Resource, View } from "./resource-kind.ts";

export async function* watch<V extends View>(
  client: Client,
  resource: Resource<V>,
  query: Query,
  format: Format,
): AsyncGenerator<string> {
  const { plural, header, row } = resource;
  // Read before the list: a change in between arrives as an event, and is not printed twice if nothing differs.
  const { revision: since } = await client.call<{ revision: number }>("GET", "/readyz");
  const shown = new Map<string, string>();
  const first: V[] = [];
  for await (const view of client.list<V>(plural, query)) {
    first.push(view);
    shown.set(view.name, JSON.stringify(view));
  }
  const widths = columnWidths(header, first.map(row));
  if (format === "table") yield formatTable(header, first.map(row));
  else for (const view of first) yield formatNext(format, view, () => "");

  for await (const event of followEvents(client, { since: String(since) })) {
    const name = "subject" in event ? nameOf(event.subject, plural) : undefined;
    if (name === undefined) continue;
    const view = await find(client, resource, name, query);
    const text = view && JSON.stringify(view);
    if (text === shown.get(name)) continue;
    if (text === undefined) shown.delete(name);
    else shown.set(name, text);
    const cells = view ? row(view) : [name, { text: "gone", colour: "dim" } as const];
    yield formatNext(format, view ?? { name, gone: true }, () => formatRow(cells, widths));
  }
}

/** The resource as the list has it; undefined where the list has it no longer. */
async function find<V extends View>(
  client: Client,
  { plural }: Resource<V>,
  name: string,
  query: Query,
): Promise<V | undefined> {
  // Names that begin with this one follow behind it.
  if (query.name !== undefined && !name.startsWith(String(query.name))) return undefined;
  let page: Record<string, V[]>;
  try {
    page = await client.call("GET", `/v1/${plural}`, { query: { ...query, name, limit: 1 } });
  } catch (error) {
    // The network or host of the filter is deleted, and nothing is in it any more.
    if (error instanceof CliError && error.status === 3) return undefined;
    throw error;
  }
  return page[plural]?.find((each) => each.name === name);
}

function nameOf(subject: string | undefined, plural: string): string | undefined {
  return subject?.startsWith(`${plural}/`) ? subject.slice(plural.length + 1) : undefined;
}
