// Notifies of changes to the rules of nf_tables: reloading a firewall with `flush ruleset` deletes ours too.
import { RawNetlinkSocket } from "netlink";
import { guardSocket } from "./socket-guard.ts";

const NETLINK_NETFILTER = 12;
const NFNLGRP_NFTABLES = 7;
/** Lost messages do not matter: one notification is enough. */
const receiveBytes = 256 * 1024;

/** A reload is many messages, in a few milliseconds. */
const gatherMs = 20;

/** Own changes are notified, too. Opens in the calling thread's network namespace. @returns what ends it */
export function watchRuleset(onChange: () => void): () => void {
  const socket = new RawNetlinkSocket(NETLINK_NETFILTER);
  guardSocket(socket, { receiveBytes, protocol: NETLINK_NETFILTER });
  let soon: NodeJS.Timeout | undefined;
  socket.on("message", () => {
    soon ??= setTimeout(() => {
      soon = undefined;
      onChange();
    }, gatherMs).unref();
  });
  socket.on("error", () => {});
  socket.addMembership(NFNLGRP_NFTABLES);
  return () => {
    clearTimeout(soon);
    socket.close();
  };
}
