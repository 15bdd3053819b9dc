// The WebSockets of each host, from the upgrade to their end: a working agent has one. Pure.

/** The session, the one that takes over, and one each left by a lost network and a killed agent. */
const maxPerHost = 4;

export class HostSockets<Session> {
  private readonly byHost = new Map<string, Set<Session>>();

  /**
   * @param current the host's session, if it has one
   * @returns sockets to close: the oldest are closed, so that a host that lost its connections is never locked out
   */
  add(host: string, session: Session, current: Session | undefined): Session[] {
    const sessions = this.byHost.get(host) ?? new Set();
    this.byHost.set(host, sessions.add(session));
    const others = [...sessions].filter((each) => each !== current);
    const crowdedOut = others.slice(0, Math.max(0, sessions.size - maxPerHost));
    for (const each of crowdedOut) this.ended(host, each);
    return crowdedOut;
  }

  ended(host: string, session: Session): void {
    const sessions = this.byHost.get(host);
    if (sessions?.delete(session) && sessions.size === 0) this.byHost.delete(host);
  }
}
