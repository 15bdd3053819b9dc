// Recent events on hosts, which are in no log: those that the controller has stored, and live ones.
import { signal } from "@preact/signals";
import type { OperationalCloudEvent } from "../../schema/operational.ts";
import { get, withQuery } from "../api.ts";
import { type HappeningEvent, isChange } from "./events.ts";
import { merged } from "./order.ts";
import { listenToStream } from "./stream.ts";

interface KeptEvents {
  readonly run: string;
  readonly events: readonly OperationalCloudEvent[];
}

/** In order of arrival: those of one run of the controller by their sequence. */
export const happenings = signal<readonly HappeningEvent[]>([]);

/** Until `stop` is called. */
export function followHappenings(): () => void {
  happenings.value = [];
  let ended = false;
  const fill = async () => {
    const newest = happenings.peek().at(-1);
    const after = newest && Number(newest.sequence);
    const kept = await get<KeptEvents>(withQuery("/v1/operational-events", { after }));
    // A sequence of another run is no position in this one, so all of its events are read.
    const all = newest && newest.run !== kept.run ? await get<KeptEvents>("/v1/operational-events") : kept;
    if (!ended) happenings.value = merged(happenings.peek(), all.events);
  };
  const stop = listenToStream({
    onEvents: (events) => {
      const added = events.filter((event) => !isChange(event)) as HappeningEvent[];
      if (added.length > 0) happenings.value = merged(happenings.peek(), added);
    },
    // Only after the stream is open: otherwise events between the query and the opening would be missing.
    onLive: () => void fill().catch(() => {}),
  });
  return () => {
    ended = true;
    stop();
  };
}
