// Phrases of the sentences in host-words.ts, each with the wording that agents up to 0.1.0 send. Released wording never changes.
export const earlierPhrases: readonly (readonly [now: string, earlier: string])[] = [
  ["uses UDP port", "holds UDP port"],
  ["restored from the port", "put back from the port"],
  [
    "addresses cached; the limits are {number} per network, {number} per host",
    "addresses held; room for {number} in a network, {number} here",
  ],
  ["it has sent no traffic since it was registered", "no frame of it has come since the agent knows it"],
  ["which is not a bridge: take it out", "which is no bridge: take it out"],
  ["packets to it are lost; add it (ip", "nothing sent to it arrives; give it back (ip"],
  ["is a device of nearmiss, not of a guest", "is a device of nearmiss and no guest's"],
  ["is not a port of the bridge", "is no port of the bridge"],
  ["is not a VTEP of", "is no VTEP of"],
];
