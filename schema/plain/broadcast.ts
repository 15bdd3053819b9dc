// What becomes of the broadcasts of a network's guests.

/** What operators write. The first is the default. */
export const broadcastModes = ["off", "replicate"] as const;
export type BroadcastMode = (typeof broadcastModes)[number];

/** For a person. */
export function describeBroadcast({ broadcast }: { readonly broadcast?: BroadcastMode }): string {
  if (broadcast === "replicate") return "replicate: copied to every host with a VM in it";
  return broadcast === undefined ? "off, the default: stays on its host" : "off: stays on its host";
}
