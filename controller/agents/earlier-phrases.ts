// Phrases of the sentences in host-words.ts, each with the wordings that earlier agents send. Released wording never changes.
export type Phrases = readonly (readonly [now: string, earlier: string])[];

/** Of 0.1.0: advice that does harm where it is followed in another situation. Operators read what replaces it. */
export const harmfulAdvice: Phrases = [
  [
    "its owner has to give it another name; nearmiss agent remove {device} deletes it if nothing uses it",
    "rename it (ip link set {device} name …) or delete it (ip link del {device})",
  ],
  [
    "not a bridge: take it out of --adopt, or have its owner release it, then",
    "not a bridge: take it out (ip link set {device} nomaster), then",
  ],
  [
    "register the host with another port; nearmiss agent remove {holder} deletes it if nothing uses it",
    "delete it (ip link del {holder}), or register the host with another port",
  ],
  [
    "(ss -ulnp sport = :{port} names it); register the host with another port, or have that program use another",
    "(ss -ulnp sport = :{port}); end it, or register the host with another port",
  ],
  [
    "Take it out of --adopt, or, if nothing else uses it, make it again: nearmiss agent remove {device}; then {make}",
    "Make it again: ip link del {device}; {make}",
  ],
  [
    "(start it with --adopt {device}); nearmiss agent remove {device} deletes it if nothing uses it",
    "(start it with --adopt {device}), or delete it (ip link del {device})",
  ],
  [
    "register the host with the address that it has, or, if no other machine has it (on another host, ping -c 3 {vtep} gets no answer), add it " +
      "(ip address add {vtep}/… dev …)",
    "add it (ip address add {vtep}/… dev …), or register the host with the address that it has",
  ],
  [
    "if other hosts have more, raise that of {device} here to {needed:number}; otherwise raise it on all hosts and switches, or set the network's " +
      "MTU, and that of its guests, to {most:number} or less",
    "set the network's MTU to {most:number} or less, or raise the underlay's to {needed:number} (ip link set {device} mtu {needed})",
  ],
  ["; nearmiss agent remove {device} deletes it if nothing uses it", "; delete it (ip link del {device})"],
  [
    "let the bridges pass ({filter} -I FORWARD -i nmb+ -o nmb+ -j ACCEPT)",
    "sysctl -w net.bridge.bridge-nf-call-{filter}=0, or let the bridges pass ({filter} -I FORWARD -i nmb+ -o nmb+ -j ACCEPT)",
  ],
  [
    "let the bridge pass ({filter} -I FORWARD -i {bridge} -o {bridge} -j ACCEPT)",
    "ip link set {bridge} type bridge nf_call_{filter} 0",
  ],
  [
    "they stay, and guests may use them; check first that this agent has the right controller (nearmiss agent status); " +
      "nearmiss agent remove {vxlan:device} {bridge:device} then deletes them if no guest is attached",
    "they stay; remove them with ip link del {vxlan:device}; ip link del {bridge:device}",
  ],
  [
    "they stay, and guests may use them; check first that this agent has the right controller (nearmiss agent status)",
    "they stay; delete those with proto 78 (ip neigh show dev {vxlan}) and extern_learn (bridge fdb show dev {vxlan})",
  ],
];

/** Of agents before that; `now` is the wording of 0.1.0. */
export const earlierPhrases: Phrases = [
  ["uses UDP port", "holds UDP port"],
  ["restored from the port", "put back from the port"],
  [
    "addresses cached; the limits are {perNetwork:number} per network, {perHost:number} per host",
    "addresses held; room for {perNetwork:number} in a network, {perHost:number} here",
  ],
  ["it has sent no traffic since it was registered", "no frame of it has come since the agent knows it"],
  ["which is not a bridge: take it out", "which is no bridge: take it out"],
  ["packets to it are lost; add it (ip", "nothing sent to it arrives; give it back (ip"],
  ["is a device of nearmiss, not of a guest", "is a device of nearmiss and no guest's"],
  ["is not a port of the bridge", "is no port of the bridge"],
  ["is not a VTEP of", "is no VTEP of"],
];
