// The inputs of attackers and honest clients. All of it is JSON, since it crosses processes.

/** A server that is attacked: the controller, or the one that discards. */
export interface Target {
  readonly ipv4: string;
  readonly ipv6: string;
  readonly port: number;
}

/** A host and its credentials, PEM. */
export interface HostIdentity {
  readonly host: string;
  readonly certificate: string;
  readonly key: string;
}

/** How large attacks are. */
export interface Sizes {
  /** Strangers' requests of each kind a second. */
  readonly rate: number;
  /** Connections that a stranger has open or in handshakes. */
  readonly connections: number;
  /** Keys of interest that a host declares. */
  readonly keys: number;
  /** Keys of interest of the host that does not read. */
  readonly heldKeys: number;
  /** In each frame. */
  readonly questions: number;
  /** WebSockets without hello. */
  readonly sockets: number;
  /** Idle connections of one token. */
  readonly idle: number;
  /** Requests for the log at the same time. */
  readonly logs: number;
  /** Body of the dry run, MiB. */
  readonly importMib: number;
}

/** The inputs of attackers. */
export interface Means {
  /** Their address. */
  readonly from: string;
  /** Their IPv6 /64, without the last four groups: "2001:db8:bad:1". */
  readonly from64: string;
  /** Of an operator that may change `network` only. */
  readonly operatorToken: string;
  /** Of a viewer that may see `network` and the shared one. */
  readonly viewerToken: string;
  readonly identity: HostIdentity;
  /** That `identity` has a VM in, with honest hosts. */
  readonly sharedVni: number;
  /** VMs in it. */
  readonly vms: number;
  readonly network: string;
  readonly sizes: Sizes;
}
