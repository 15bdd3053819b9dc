// Every kind of condition: what is wrong at present, in one table for code and pages. Agents send kinds and values, the controller makes the
// texts. docs/conditions.md has the same table (test/docs/conditions.test.ts compares them).
//
// A text has the reason, then `¦`, then the fix. `{name:type}` is a value (condition-values.ts); `{name}` alone has its name as type,
// or is a value that was before in the same text. `{network}` is the network's name, which follows from the VNI and is not sent.

/** What a condition is of: a host, a network on a host, a VM on its host, or the controller. */
export type ConditionAbout = "host" | "network" | "vm" | "controller";

interface KindRule {
  readonly about: ConditionAbout;
  /** Continues after the name of what it is about. */
  readonly title: string;
  /** Traffic is lost, a guest spoofs, or changes are refused. */
  readonly isBad?: true;
  /** The value that tells conditions of one kind and network apart. Absent: there is one. */
  readonly subject?: string;
  /**
   * It is seen in what a guest sends, and not in a state that can be read: after a restart the agent has to see it again. `quiet`: ends when
   * it was not seen for five minutes; `heard`: ends when the guest is heard.
   */
  readonly observed?: "quiet" | "heard";
  /** Version 1 of the protocol has it among findings at most, and not among the host's problems. */
  readonly isFinding?: true;
  /** By reason. */
  readonly texts: Readonly<Record<string, string>>;
}

const notCovered = (reason: string): string =>
  "network {network}: {bridge:device}, the bridge of network {network}'s adopted device, is not used: its guests could send into other " +
  `networks through this host (${reason}); ¦load nf_tables (modprobe nf_tables), or let the agent make the bridge ` +
  "(take the adopted device out of --adopt)";
const hostOpen = (reason: string): string =>
  "guests can send to this host from the moment in which their port is attached until the agent has closed it, a few " +
  `milliseconds later: ${reason}; ¦load nf_tables (modprobe nf_tables)`;
const wrongPort = (what: string): string =>
  `network {network}: the interface with MAC {mac} is registered for the port {port:device}, which ${what}: it is neither guarded ` +
  "nor pinned there; ¦attach the guest's port to the network's bridge, or correct the registration";
const secondDevice = (effect: string): string =>
  "network {network}: {device} is a second vxlan device of VNI {vni:number} beside {used:device}: " +
  `${effect}; ¦nearmiss agent remove {device} deletes it if nothing uses it`;
/** The kernel has the address of the tunnel end, and may not use it. */
const unusableEnd = <Prefix extends string>(address: string, prefix: Prefix) =>
  ({
    [`${prefix}down`]:
      `{device}, which has ${address}, is down: packets to it are lost unless another link brings them; ¦see who took it down and why ` +
      "(the network manager's log), and put it up there",
    [`${prefix}no-carrier`]:
      `{device}, which has ${address}, has no carrier: packets to it are lost unless another link brings them; ¦check its cable, or what it ` +
      "is attached to",
    [`${prefix}duplicate`]:
      `another machine has ${address}, so the kernel does not use it on {device}: packets to it are lost; ¦take it from that machine, then ` +
      "remove it from {device} and add it again",
    [`${prefix}tentative`]:
      `the kernel does not use ${address} on {device} yet: it looks for another machine that has it; ¦if this stays so, see what ` +
      "ip address show dev {device} says of it",
  }) as Readonly<Record<`${Prefix}${"down" | "no-carrier" | "duplicate" | "tentative"}`, string>>;
const unrouted = (why: string, shownBy: string): string =>
  `guests behind the host with the VTEP address {vtep:ip} cannot be reached from here: ${why}; ¦see who made it so (${shownBy}, and -6 for ` +
  "IPv6), and correct it there";
const blocked = (effect: string): string =>
  `network {network}: the port {device} of {bridge:device} ${effect}; ¦if its guest must communicate, ask who sets it so ` +
  "(bridge -d link show dev {device})";
const conflict = (where: string): string =>
  `{mac} on this host uses {ip}, which is registered for {owner:mac}, ${where}; ¦if it is the guest of that VM, correct the MAC of its interface (nearmiss vm update); otherwise remove the address from that guest, or register it for it`;
const refused = (reason: string): string => `network {network}: the kernel does not take all entries: ${reason}`;

export const conditionKinds = {
  "vtep-missing": {
    about: "host",
    title: "its VTEP address cannot be used",
    isBad: true,
    subject: "vtep",
    texts: {
      missing:
        "no interface of this host has the VTEP address {vtep:ip}: packets to it are lost; ¦" +
        "register the host with the address that it has, or, if no other machine has it (on another host, ping -c 3 {vtep} gets no answer), add it " +
        "(ip address add {vtep}/… dev …)",
      ...unusableEnd("the VTEP address {vtep:ip}", ""),
      "local-missing":
        "no interface of this host has {local:ip} (--local-vtep for {vtep:ip}): packets to it are lost; ¦start the agent with " +
        "the address that the host has",
      ...unusableEnd("{local:ip} (--local-vtep for {vtep:ip})", "local-"),
    },
  },
  "vtep-unrouted": {
    about: "host",
    title: "has no way to another host",
    isBad: true,
    subject: "vtep",
    texts: {
      "no-route": unrouted("there is no route to it", "ip route get {vtep}"),
      blackhole: unrouted(
        "a blackhole route or rule drops packets to it",
        "ip rule; ip route show table all type blackhole",
      ),
      unreachable: unrouted(
        "a route or rule makes it unreachable",
        "ip rule; ip route show table all type unreachable",
      ),
      prohibited: unrouted("a route or rule prohibits packets to it", "ip rule; ip route show table all type prohibit"),
      own: unrouted("that address is one of this host, too", "ip route get {vtep}"),
    },
  },
  "tunnel-filter": {
    about: "host",
    title: "the host's packet filter drops tunnelled packets",
    isBad: true,
    subject: "chain",
    texts: {
      in:
        "the host's packet filter (chain {chain}) drops UDP packets of other hosts to port {port:number}, so nothing arrives from " +
        "their guests; ¦accept them there with the program that writes these rules (nft list chain {chain} shows them)",
      out:
        "the host's packet filter (chain {chain}) drops UDP packets to port {port:number} of other hosts, so nothing reaches their " +
        "guests; ¦accept them there with the program that writes these rules (nft list chain {chain} shows them)",
    },
  },
  "tracking-full": {
    about: "host",
    title: "its table of tracked connections is full",
    isBad: true,
    texts: {
      full:
        "the table of tracked connections has room for {most:number} and is full, so new connections are dropped, those of guests to other " +
        "hosts too; ¦raise net.netfilter.nf_conntrack_max, or take tunnelled packets out of tracking, as docs/operators.md says",
    },
  },
  "host-filter": {
    about: "host",
    title: "the host's packet filter drops bridged traffic",
    isBad: true,
    subject: "filter",
    texts: {
      host:
        "bridged frames go through the host's {filter} (net.bridge.bridge-nf-call-{filter} is 1), and chain {chain} drops what no " +
        "rule accepts: between guests here {lost} is lost; ¦let the bridges pass " +
        "({filter} -I FORWARD -i nmb+ -o nmb+ -j ACCEPT)",
      bridge:
        "the bridge {bridge:device} sends its frames through the host's {filter}, and chain {chain} drops what no rule accepts: " +
        "between guests here {lost} is lost; ¦let the bridge pass ({filter} -I FORWARD -i {bridge} -o {bridge} -j ACCEPT)",
    },
  },
  "host-open": {
    about: "host",
    title: "guests can reach the host for a moment",
    texts: { refused: hostOpen("{errno}"), unsupported: hostOpen("the kernel has no netfilter") },
  },
  "rules-missing": {
    about: "host",
    title: "rules that were asked for are not in place",
    isBad: true,
    subject: "guard",
    texts: {
      refused: "the rules that {guard} asks for are not in place: ¦`nearmiss agent status` on the host says why",
    },
  },
  "leftover-devices": {
    about: "host",
    title: "devices of another store are left",
    subject: "vni",
    texts: {
      made:
        "VNI {vni:number} has devices here that were made for another store of the controller, and this one has no VM of it on " +
        "this host: they stay, and guests may use them; ¦check first that this agent has the right controller (nearmiss agent status); " +
        "nearmiss agent remove {vxlan:device} {bridge:device} then deletes them if no guest is attached",
      registration:
        "VNI {vni:number} has devices here of another registration of this host, and no VM of it is registered on this host now: they stay, " +
        "since this machine may have another name now and its guests may use them; ¦if it has, start the agent under that name in place of this " +
        "one; otherwise nearmiss agent remove {vxlan:device} {bridge:device} deletes them if no guest is attached",
      adopted:
        "VNI {vni:number}: the adopted device {vxlan:device} has entries of an earlier agent, and the controller has no VM of it on " +
        "this host: they stay, and guests may use them; ¦check first that this agent has the right controller (nearmiss agent status)",
    },
  },
  "network-not-ready": {
    about: "network",
    title: "a network cannot be set up",
    isBad: true,
    texts: {
      "name-taken":
        "network {network}: network {network} needs the name {device}, which a device that is not nearmiss's has: ¦" +
        "its owner has to give it another name; nearmiss agent remove {device} deletes it if nothing uses it",
      "no-bridge":
        "network {network}: {device}, adopted for network {network}, is a port of {master:device}, which is " +
        "not a bridge: ¦take it out of --adopt, or have its owner release it, then the agent makes a bridge",
      "bridge-gone":
        "network {network}: {device}, adopted for network {network}, is a port of a device that is gone, which is " +
        "not a bridge: ¦take it out of --adopt, or have its owner release it, then the agent makes a bridge",
      "port-of-device":
        "network {network}: {device} cannot be set up: {holder:device}, a vxlan device with other settings, uses UDP port {port:number}; ¦" +
        "register the host with another port; nearmiss agent remove {holder} deletes it if nothing uses it",
      "port-taken":
        "network {network}: {device} cannot be set up: another program uses UDP port {port:number} (ss -ulnp sport = :{port} names it); ¦" +
        "register the host with another port, or have that program use another",
      "taken-elsewhere":
        "network {network}: {device} cannot be made: a vxlan device with VNI {vni:number} and UDP port {port:number} was made here and is now in " +
        "another network namespace (lsns -t net lists them, nsenter -n -t PID ip -d link show type vxlan shows its devices); ¦register the " +
        "network with another VNI or the host with another port, or have that device's owner remove it",
      vanished: "network {network}: {device} vanished while it was set up",
      misfit:
        "network {network}: {device} is to be adopted for network {network}, but {misfits}; the kernel cannot change that on a live device. ¦" +
        "Take it out of --adopt, or, if nothing else uses it, make it again: nearmiss agent remove {device}; then {make}",
      "adopted-gone":
        "network {network}: {device}, the device adopted for network {network}, is gone. ¦Make it again: {make}; " +
        "or restart the agent, which then makes a device of its own",
      "vni-taken":
        "network {network}: network {network} needs a vxlan device of VNI {vni:number}, which {device} has, a device that is not nearmiss's: ¦" +
        "let the agent use it (start it with --adopt {device}); nearmiss agent remove {device} deletes it if nothing uses it",
      "not-covered": notCovered("{errno}"),
      unsupported: notCovered("the kernel has no netfilter"),
      refused:
        "network {network}: the kernel refuses what the network needs: {errno}; ¦`nearmiss agent status` on the host says more",
    },
  },
  "entries-refused": {
    about: "network",
    title: "the kernel does not take all entries",
    isBad: true,
    texts: {
      refused: refused("{errno}"),
      unanswered: refused("the kernel said nothing"),
      "no-device": refused("there is no vxlan device for VNI {vni:number}"),
    },
  },
  "mtu-too-large": {
    about: "network",
    title: "the MTU is too large for the underlay",
    isBad: true,
    subject: "device",
    texts: {
      underlay:
        "network {network}: MTU {mtu:number} does not fit the underlay's {underlay:number}; ¦" +
        "if other hosts have more, raise that of {device} here to {needed:number}; otherwise raise it on all hosts and switches, or set the network's " +
        "MTU, and that of its guests, to {most:number} or less",
    },
  },
  "second-device": {
    about: "network",
    title: "another vxlan device receives a network's frames",
    isBad: true,
    subject: "device",
    texts: {
      excludes: secondDevice("only one of the two can be up, and each takes the other's place"),
      receives: secondDevice("frames that are sent to it never reach the guests here"),
    },
  },
  "port-blocked": {
    about: "network",
    title: "a guest's port does not forward",
    isBad: true,
    subject: "device",
    texts: {
      state: blocked("is not forwarding, so nothing passes it"),
      bcast_flood: blocked("gets no broadcasts, so its guest is not asked for its address"),
      mcast_flood: blocked("gets no multicast, so its guest is not asked for its IPv6 address"),
      locked: blocked("is locked, so frames of its guest are dropped unless the bridge has an entry for it"),
      proxy_arp: blocked("has proxy ARP, so nothing is flooded to it"),
    },
  },
  "foreign-address": {
    about: "network",
    title: "one of its devices has an address of the host",
    isBad: true,
    subject: "device",
    texts: {
      set:
        "network {network}: {device} has the address {ip}, which another program has given it: the host is in the network, its own neighbour " +
        "entries hide misses, and it cannot reach guests of other hosts; ¦remove the address with the program that sets it",
    },
  },
  "foreign-program": {
    about: "network",
    title: "a program of others handles its frames",
    subject: "device",
    texts: {
      filter:
        "network {network}: a filter of another program handles the frames of {device}, and may drop them; ¦see what it does " +
        "(tc filter show dev {device} ingress; tc filter show dev {device} egress; bpftool net show dev {device}), and ask who adds it",
      queue:
        "network {network}: a queueing discipline of another program limits what leaves {device}, and may drop frames; ¦see what it does " +
        "(tc -s qdisc show dev {device}), and ask who adds it",
      xdp:
        "network {network}: an XDP program handles the frames of {device} before the kernel forwards them, and may drop them; ¦see which one " +
        "(ip -d link show dev {device}), and ask who loads it",
    },
  },
  "ipv6-disabled": {
    about: "network",
    title: "its tunnel has no IPv6",
    isBad: true,
    subject: "device",
    texts: {
      refused:
        "network {network}: IPv6 is disabled on {device}, and the agent may not enable it: the kernel takes no IPv6 neighbours there; " +
        "¦let the agent write to /proc/sys (systemd: ProtectKernelTunables=no), and start it again",
    },
  },
  "device-on-top": {
    about: "network",
    title: "a device on its bridge receives nothing",
    isBad: true,
    subject: "device",
    texts: {
      deaf:
        "network {network}: {device} takes its frames from {bridge:device}, which gives none to the host, so it receives nothing; ¦its owner " +
        "has to use a veth pair instead, with one end as a port of {bridge}",
    },
  },
  "misses-hidden": {
    about: "network",
    title: "entries of another program hide misses",
    isBad: true,
    subject: "device",
    texts: {
      flood:
        "network {network}: {device} has an all-zeros FDB entry, which another program has made: frames for unknown addresses go there, and " +
        "nothing asks for them; ¦remove it with the program that makes it (bridge fdb show dev {device} shows it)",
      nexthops:
        "network {network}: another program has made {count:number} FDB entries on {device} that lead to nexthops, the first for {mac}: frames for " +
        "these addresses go there, and nothing asks for them; ¦remove them with the program that makes them (bridge fdb show dev {device} shows " +
        "nhid)",
      neighbours:
        "network {network}: another program has made {count:number} neighbours on {device} that answer no guest and prevent every question for " +
        "their addresses, the first for {ip}; ¦remove them with the program that makes them (ip neigh show dev {device} nud all shows them)",
    },
  },
  "broadcast-not-copied": {
    about: "network",
    title: "broadcasts are not copied to its other hosts",
    isBad: true,
    texts: {
      "no-rules":
        "network {network}: broadcasts of guests here stay on this host, because the rules that keep DHCP and router advertisements out of the " +
        "copies are not in place; ¦install Debian's nftables, and see what the agent's log says of the rules",
      "too-many-hosts":
        "network {network}: broadcasts of guests here stay on this host, because the network is on {hosts:number} hosts, and copies go to " +
        "networks of at most {most:number}; ¦set its broadcast to off, or use fewer hosts for it",
    },
  },
  "broadcast-storm": {
    about: "network",
    title: "a guest sends more broadcasts or multicasts than are copied",
    subject: "port",
    texts: {
      limited:
        "network {network}: broadcasts or multicasts of the guest on port {port:device} are more than {most:number} copies a second, and the rest stays on " +
        "this host; ¦see what the guest sends, or raise --max-broadcast-copies of the agent",
    },
  },
  "groups-limited": {
    about: "network",
    title: "guests are in more multicast groups than are copied",
    subject: "port",
    texts: {
      port:
        "network {network}: guests on port {port:device} join more multicast groups than {most:number} of one port and {limit:number} of one host, " +
        "and get nothing from other hosts for the rest; ¦see what the guest joins (in a guest of Linux: ip maddress show)",
      network:
        "network {network}: its guests on other hosts are in more multicast groups than are copied from here: for {count:number} MAC addresses of groups " +
        "beyond {most:number} nothing is sent; ¦see what its guests join (nearmiss network groups {network})",
    },
  },
  "replica-too-large": {
    about: "network",
    title: "a network does not fit into memory",
    texts: {
      "no-room":
        "network {network}: its addresses do not fit into the {mebibytes:number} MiB for whole networks, so it is on demand here; ¦" +
        "raise --max-replica-memory, or set the network's knowledge to on-demand",
    },
  },
  "replica-stale": {
    about: "network",
    title: "a network in memory is too old to answer from",
    texts: {
      "no-session":
        "network {network}: there is no session since {since:time}, which is longer than --max-stale, so new addresses wait for the " +
        "controller; ¦see why the agent is not connected",
    },
  },
  "memory-alone": {
    about: "host",
    title: "answers from memory without a session",
    texts: {
      "no-session":
        "networks in memory are answered as of {since:time}, because there is no session since then: VMs that moved are looked for where they " +
        "were; ¦see why the agent is not connected",
    },
  },
  "memory-not-stored": {
    about: "host",
    title: "its networks are not stored on disk",
    texts: {
      refused:
        "this host's networks are not stored on its disk: a restart of the host without a controller would begin with what was stored before; " +
        "¦`nearmiss agent status` on the host says why",
    },
  },
  "memory-not-read": {
    about: "host",
    title: "a stored file was not used",
    texts: {
      unusable:
        "a stored file was not used when the agent started: what it had is there with the next session; ¦`nearmiss agent status` on the host " +
        "says why",
    },
  },
  "wrong-port": {
    about: "vm",
    title: "its registered port is not a guest's port of its network",
    isBad: true,
    subject: "mac",
    texts: {
      own: wrongPort("is a device of nearmiss, not of a guest"),
      elsewhere: wrongPort("is a port of {bridge:device}"),
      "other-bridge": wrongPort("is a port of {bridge:device}, not of the network's bridge {wanted:device}"),
      host: wrongPort("is the host's own device in {bridge:device}"),
    },
  },
  "guest-never-seen": {
    about: "vm",
    title: "is registered here and not seen",
    subject: "mac",
    observed: "heard",
    isFinding: true,
    texts: {
      silent:
        "the guest with MAC {mac} has sent no traffic since it was registered here; ¦start it, attach its port to the network's bridge, " +
        "or correct its host",
      detached:
        "the port {port:device} of the guest with MAC {mac} is not a port of the network's bridge; ¦attach it to {bridge:device} if it is that " +
        "guest's tap or veth, or correct the registration",
      absent:
        "there is no device {port:device}, the registered port of the guest with MAC {mac}; ¦start the guest, or, if it runs on another host or " +
        "behind another port, correct the registration (nearmiss vm move, nearmiss vm update)",
      "no-carrier":
        "the port {port:device} of the guest with MAC {mac} has no carrier; ¦see whether the guest runs: its hypervisor puts the port up",
    },
  },
  "unregistered-guest": {
    about: "network",
    title: "an unregistered guest sends traffic",
    subject: "mac",
    observed: "quiet",
    isFinding: true,
    texts: {
      sends:
        "a guest with MAC {mac} sends on port {port:device}, and no VM with this MAC is registered on this host: other guests cannot reach " +
        "it; ¦register it here, or find it on that port",
    },
  },
  "mac-conflict": {
    about: "vm",
    title: "another guest sends with its MAC",
    isBad: true,
    subject: "mac",
    observed: "quiet",
    isFinding: true,
    texts: {
      sends:
        "a guest behind the port with ifindex {ifindex:number} sends with {mac}, the MAC of a VM on another host: frames for that VM are lost here at " +
        "times; ¦find the guest by its port, and give it a MAC of its own; --anti-spoof drops such frames",
    },
  },
  "address-conflict": {
    about: "vm",
    title: "another guest uses its address",
    isBad: true,
    subject: "ip",
    observed: "quiet",
    isFinding: true,
    texts: { here: conflict("a VM of this host"), elsewhere: conflict("a VM of another host") },
  },
  "address-unregistered": {
    about: "vm",
    title: "uses an address that is not registered",
    subject: "ip",
    observed: "quiet",
    isFinding: true,
    texts: {
      used:
        "the guest with MAC {mac} uses {ip}, which is not registered: guests of other hosts cannot reach it there; ¦register the address for " +
        "its VM, or remove it from the guest",
    },
  },
} as const satisfies Readonly<Record<string, KindRule>>;

/** Those that hosts report. */
export type HostConditionKind = keyof typeof conditionKinds;

/** Those that only the controller finds. */
export const controllerConditionKinds = {
  "host-away": {
    about: "host",
    title: "is disconnected",
    isBad: true,
    texts: {
      since:
        "no agent is connected: last heard {last:time}; {vms}; ¦start the agent, or check the path between the host and the controller",
      never:
        "no agent is connected: not heard since the controller started; {vms}; ¦start the agent, or check the path between the host and " +
        "the controller",
    },
  },
  "host-refused": {
    about: "host",
    title: "its agent is refused",
    isBad: true,
    texts: {
      revoked:
        "an agent shows a certificate of this host that was revoked or belongs to an earlier registration; ¦see whether that was on purpose (nearmiss " +
        "audit has who revoked it); if it was not, enrol it again (nearmiss host add), otherwise stop that agent",
      expired: "an agent shows a certificate of this host that has expired; ¦enrol it again (nearmiss host add)",
      "name-taken":
        "an agent with another key connects as this host while one is connected; ¦stop one of the two, or give it another --host",
      "vtep-taken":
        "an agent that calls itself {agent:name} comes with the VTEP of this host; ¦stop it, or start it with its own --vtep",
    },
  },
  "host-certificate-ending": {
    about: "host",
    title: "its certificate ends soon",
    texts: {
      ending:
        "its certificate ends at {until:time}, and its agent has not renewed it; ¦see its log for why, or enrol it again (nearmiss host add)",
    },
  },
  "vtep-mismatch": {
    about: "host",
    title: "its agent was started with another VTEP",
    texts: {
      differs:
        "the agent was started with VTEP {given:ip}; registered is {vtep:ip}, which is used; ¦start the agent without --vtep, or register the " +
        "host with that VTEP",
    },
  },
  "down-but-connected": {
    about: "host",
    title: "is marked down and connected",
    texts: {
      connected:
        "the host is marked down, and its agent is connected: no VM is placed on it; ¦remove the mark (nearmiss host up) if the host is well",
    },
  },
  "address-frozen": {
    about: "vm",
    title: "keeps an address that moved too often",
    isBad: true,
    subject: "ip",
    texts: {
      flapping:
        "network {network}: {ip} moved {moves:number} times between guests within {seconds:number} s, and stays where it is: no other guest that " +
        "announces it gets it; ¦find out why (two guests that do not hear each other), then nearmiss network thaw {network} {ip}",
    },
  },
  "address-disputed": {
    about: "vm",
    title: "has an address that another guest uses, too",
    isBad: true,
    subject: "ip",
    texts: {
      "both-answer":
        "network {network}: {ip} is used by the guest of this VM, which has it, and by another one that may take it: it stays here; ¦find out " +
        "why the two guests do not hear each other (VRRP needs unicast peers)",
    },
  },
  "unknown-problem": {
    about: "host",
    title: "reports a problem that this controller does not know",
    texts: {
      unknown:
        "the agent reports a problem that this controller does not know: ¦run `nearmiss agent status` on the host",
    },
  },
  "storage-full": {
    about: "controller",
    title: "the disk is full",
    isBad: true,
    texts: {
      full: "the controller's disk is full: no change is accepted, reads and answers to agents go on; ¦free space on the disk of --db",
    },
  },
  "backup-old": {
    about: "controller",
    title: "its last backup is too old",
    isBad: true,
    texts: {
      old: "the last backup of the controller's database is of {last:time}, older than --backup-within allows; ¦see why none was made since (nearmiss backup --help)",
      never:
        "no backup of the controller's database was made; ¦make one, and let a timer repeat it (nearmiss backup --help)",
    },
  },
  "certificate-ending": {
    about: "controller",
    title: "its certificate ends soon",
    isBad: true,
    texts: {
      controller:
        "the controller's certificate ends at {until:time}: hosts and clients refuse it then; ¦renew the file of --tls-cert, which is read again " +
        "by itself; with --tls self the controller's log says why it is not renewed",
      ca: "the CA that signs the certificates of hosts ends at {until:time}, and they with it; ¦rotate it (nearmiss ca add, then nearmiss ca use)",
    },
  },
  "storage-slow": {
    about: "controller",
    title: "the disk is slow",
    texts: {
      slow: "each of the last {commits:number} changes took longer than a second to write; ¦find what else writes to the disk of --db, or move it",
    },
  },
} as const satisfies Readonly<Record<string, KindRule>>;

export type ControllerConditionKind = keyof typeof controllerConditionKinds;
export type ConditionKind = HostConditionKind | ControllerConditionKind;
/** Those with events of their kind: a disconnected host has `host-lost`, and the controller is not a host. */
export type EventfulConditionKind = Exclude<
  ConditionKind,
  "host-away" | "storage-full" | "storage-slow" | "certificate-ending" | "backup-old"
>;

export const allConditionKinds: Readonly<Record<ConditionKind, KindRule>> = {
  ...conditionKinds,
  ...controllerConditionKinds,
};

export function isHostConditionKind(kind: string): kind is HostConditionKind {
  return Object.hasOwn(conditionKinds, kind);
}
