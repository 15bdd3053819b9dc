// Counts open connections. An unauthenticated one counts for its source (IPv4 address or IPv6 /64) from accept(2) on, before
// TLS; after the first accepted request it counts for its identity. No client can use up the descriptors that others need:
// strangers have a share of them, tokens another, and the rest is for hosts and finally for admins. Pure except for ending sockets.
import { Allowances } from "../../common/allowances.ts";
import type { Rate } from "../../common/token-bucket.ts";
import { type Endpoint, peerOf, sourceOf } from "../peer.ts";
import type { Handshakes } from "./handshakes.ts";
import { type Identity, nameOf } from "./identity.ts";
import { type EndableSocket, RefusedConnections } from "./refused-connections.ts";

export interface ConnectionLimits {
  /** Of all together. */
  readonly total: number;
  /** Of one source, without an accepted request. */
  readonly unprovenPerSource: number;
  /** Of one token. */
  readonly perToken: number;
}

/** An agent has a WebSocket, at times two, and renews its certificate beside it; see agents/host-sockets.ts. */
const maxPerHost = 8;
/** Of all sources of strangers together: a handshake takes a second at worst, so they leave soon. */
const strangersShare = 1 / 4;
const maxStrangers = 4_096;
/** Of all: refused ones that are not ended yet. They make room for any other. */
const refusedShare = 1 / 4;
const maxRefused = 1_024;
/** Of all tokens other than admins' together, without the strangers' share. */
const tokensShare = 1 / 2;
/** Reserved for admins when all others are used up: enough to inspect and to revoke. */
const reservedForAdmins = 16;
/** New connections that a host needs at most: it keeps one, and comes back when that is lost. */
const newPerHost: Rate = { perSecond: 1, burst: 16 };
/** A shell script that calls the CLI again and again makes fewer. */
const newPerToken: Rate = { perSecond: 20, burst: 512 };
/** Who makes more slows down the address that they come from: each counts as so many TLS handshakes there. */
const handshakesPerExcess = 10;
const maxOwners = 4_096;
/** Hosts of which a source is known may all come at once, and each again before its first connection is given up. */
const unprovenPerKnownHost = 2;

export type Refused = "source" | "strangers" | "identity" | "capacity";

interface Connection {
  readonly socket: EndableSocket;
  readonly source: string;
  /** Undefined: not authenticated yet. */
  owner: string | undefined;
  /** Requests in progress on it, streams and WebSockets included. */
  busy: number;
}

export interface ConnectionsDeps {
  readonly limits: ConnectionLimits;
  /** How many registered hosts are reached at an address of the source. */
  readonly hostsAt: (source: string) => number;
  /** `isWaiting`: its turn for a handshake has not come yet, which is not its peer's fault. */
  readonly handshakes: Handshakes;
  readonly onRefused: (reason: Refused, address: string) => void;
  readonly nowMs: () => number;
}

export class Connections {
  private readonly byPeer = new Map<string, Connection>();
  private readonly strangers = new Map<string, Set<Connection>>();
  private readonly owned = new Map<string, Set<Connection>>();
  private strangerCount = 0;
  private tokenCount = 0;
  private readonly newOfHosts = new Allowances(newPerHost, maxOwners);
  private readonly newOfTokens = new Allowances(newPerToken, maxOwners);

  private readonly refused: RefusedConnections;

  constructor(private readonly deps: ConnectionsDeps) {
    this.refused = new RefusedConnections(Math.min(maxRefused, Math.floor(deps.limits.total * refusedShare)));
  }

  get unproven(): number {
    return this.strangerCount;
  }

  get endingCount(): number {
    return this.refused.size;
  }

  get proven(): number {
    return this.byPeer.size - this.strangerCount;
  }

  get maxUnproven(): number {
    return Math.min(maxStrangers, Math.floor(this.deps.limits.total * strangersShare));
  }

  /** A connection was accepted. Where there are too many, one is ended: maybe this one. */
  opened(socket: EndableSocket): void {
    const peer = peerOf(socket);
    const connection: Connection = { socket, source: sourceOf(socket), owner: undefined, busy: 0 };
    this.byPeer.set(peer, connection);
    this.addStranger(connection);
    socket.once("close", () => this.closed(peer, connection));
    const { source } = connection;
    const { total, unprovenPerSource } = this.deps.limits;
    if (this.byPeer.size + this.refused.size > total) this.refused.endOldest();
    if (this.countOf(source) > unprovenPerSource) {
      const known = unprovenPerKnownHost * this.deps.hostsAt(source);
      if (this.countOf(source) > unprovenPerSource + known) this.end(source, "source");
    }
    if (this.strangerCount > this.maxUnproven) this.end(this.largestSource(), "strangers");
  }

  /**
   * A request of the identity arrived on the connection.
   * @param done receives a callback for the end of the request, which may be called more than once
   * @returns the reason if the request must be refused
   */
  admit(endpoint: Endpoint, identity: Identity, done: (listener: () => void) => void): string | undefined {
    const connection = this.byPeer.get(peerOf(endpoint));
    if (!connection) return undefined;
    const owner = ownerOf(identity);
    if (connection.owner !== owner) {
      // A proxy may send requests of several identities over one connection.
      if (connection.owner === undefined) this.countNew(owner, identity, connection.source);
      const obstacle = this.findObstacle(owner, identity);
      if (obstacle !== undefined) return obstacle;
      this.disown(connection);
      this.own(connection, owner);
    }
    connection.busy += 1;
    let isOver = false;
    done(() => {
      if (!isOver) connection.busy -= 1;
      isOver = true;
    });
    return undefined;
  }

  private countNew(owner: string, identity: Identity, source: string): void {
    if (identity.kind === "anyone") return;
    const allowances = identity.kind === "host" ? this.newOfHosts : this.newOfTokens;
    if (!allowances.take(owner, this.deps.nowMs())) this.deps.handshakes.charge(source, handshakesPerExcess);
  }

  private findObstacle(owner: string, identity: Identity): string | undefined {
    const { limits, onRefused } = this.deps;
    const room = limits.total - this.maxUnproven - (identity.kind === "admin" ? 0 : reservedForAdmins);
    const isFull = this.proven >= room || (isToken(owner) && this.tokenCount >= room * tokensShare);
    if (isFull && !this.endIdle(owner)) {
      onRefused("capacity", nameOf(identity));
      return "the controller has as many connections as it may: close some, or raise its limit of open files";
    }
    const max = maxOf(identity, limits);
    if ((this.owned.get(owner)?.size ?? 0) < max || this.endIdle(owner)) return undefined;
    onRefused("identity", nameOf(identity));
    return `${max} connections are in use by this ${identity.kind === "host" ? "host" : "token"}: close one, or wait for an answer`;
  }

  /** Ends those without an accepted request: the silent ones among them would delay a server that stops. */
  endUnproven(): void {
    for (const connections of this.strangers.values()) for (const { socket } of connections) socket.destroy();
    this.refused.endAll();
  }

  /** Makes room with the owner's own connection that has been idle for longest. */
  private endIdle(owner: string): boolean {
    for (const connection of this.owned.get(owner) ?? []) {
      if (connection.busy > 0) continue;
      this.disown(connection);
      connection.socket.destroy();
      return true;
    }
    return false;
  }

  /** The oldest connection of the source that has had its chance; if none has, the latest. */
  private end(source: string, reason: Refused): void {
    let last: Connection | undefined;
    for (const connection of this.strangers.get(source) ?? []) {
      last = connection;
      if (!this.deps.handshakes.isWaiting(connection.socket)) break;
    }
    if (!last) return;
    this.deps.onRefused(reason, last.socket.remoteAddress ?? "");
    this.removeStranger(last);
    this.byPeer.delete(peerOf(last.socket));
    if (this.deps.handshakes.abandon(last.socket)) this.refused.end(last.socket);
    else last.socket.destroy();
  }

  private largestSource(): string {
    let largest = "";
    for (const [source, connections] of this.strangers) {
      if (connections.size > this.countOf(largest)) largest = source;
    }
    return largest;
  }

  private closed(peer: string, connection: Connection): void {
    if (this.byPeer.get(peer) === connection) this.byPeer.delete(peer);
    this.removeStranger(connection);
    this.disown(connection);
  }

  private countOf(source: string): number {
    return this.strangers.get(source)?.size ?? 0;
  }

  private addStranger(connection: Connection): void {
    const { source } = connection;
    this.strangers.set(source, (this.strangers.get(source) ?? new Set()).add(connection));
    this.strangerCount += 1;
  }

  private removeStranger(connection: Connection): void {
    const connections = this.strangers.get(connection.source);
    if (!connections?.delete(connection)) return;
    this.strangerCount -= 1;
    if (connections.size === 0) this.strangers.delete(connection.source);
  }

  private own(connection: Connection, owner: string): void {
    this.removeStranger(connection);
    connection.owner = owner;
    this.owned.set(owner, (this.owned.get(owner) ?? new Set()).add(connection));
    if (isToken(owner)) this.tokenCount += 1;
  }

  private disown(connection: Connection): void {
    const { owner } = connection;
    if (owner === undefined) return;
    connection.owner = undefined;
    const connections = this.owned.get(owner);
    if (!connections?.delete(connection)) return;
    if (isToken(owner)) this.tokenCount -= 1;
    if (connections.size === 0) this.owned.delete(owner);
  }
}

function maxOf(identity: Identity, { perToken }: ConnectionLimits): number {
  if (identity.kind === "host") return maxPerHost;
  return identity.kind === "anyone" ? Number.POSITIVE_INFINITY : perToken;
}

function ownerOf(identity: Identity): string {
  if (identity.kind === "host") return `host ${identity.name}`;
  if (identity.kind === "anyone") return "anyone";
  return `${identity.kind === "admin" ? "admin" : "token"} ${identity.tokenId}`;
}

function isToken(owner: string): boolean {
  return owner.startsWith("token ");
}
