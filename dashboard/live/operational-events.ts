// Recent events on hosts, which are in no log: those that the controller has stored, and live ones.
import { signal } from "@preact/signals";
import type { OperationalCloudEvent } from "../../schema/events/index.ts";
import { get, withQuery } from "../api.ts";
import { isChange } from "./events.ts";
import { merged } from "./order.ts";
import { stream } from "./stream.ts";

interface KeptEvents {
  readonly run: string;
  readonly events: readonly OperationalCloudEvent[];
}

/** In the order in which they came: those of one run of the controller by their sequence. */
export const operationalEvents = signal<readonly OperationalCloudEvent[]>([]);

/** Until `stop` is called. */
export function followOperationalEvents(): () => void {
  operationalEvents.value = [];
  let ended = false;
  const fill = async () => {
    const newest = operationalEvents.peek().at(-1);
    const after = newest && Number(newest.sequence);
    const kept = await get<KeptEvents>(withQuery("/v1/operational-events", { after }));
    // A sequence of another run is no position in this one, so all of its events are read.
    const all = newest && newest.run !== kept.run ? await get<KeptEvents>("/v1/operational-events") : kept;
    if (!ended) operationalEvents.value = merged(operationalEvents.peek(), all.events);
  };
  const stop = stream.listen({
    onEvents: (events) => {
      const added = events.filter((event) => !isChange(event)) as OperationalCloudEvent[];
      if (added.length > 0) operationalEvents.value = merged(operationalEvents.peek(), added);
    },
    // Only after the stream is open: otherwise events between the query and the opening would be missing.
    onLive: () => void fill().catch(() => {}),
  });
  return () => {
    ended = true;
    stop();
  };
}
