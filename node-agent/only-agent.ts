// One agent for each network namespace: two of them, under different names, would both maintain nmb… and nmv…, each by the
// inventory of its own host. An abstract socket belongs to the namespace and ends with its process (unix(7)), so nothing is left
// behind, and agents in containers with files of their own see each other as well.
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { createServer, type Server } from "node:net";

const name = "nearmiss-agent";

export class SecondAgentError extends Error {
  override readonly name = "SecondAgentError";
}

/**
 * @param warn of a process of another user that has the name: it cannot maintain devices, and must not keep the agent from starting
 * @returns undefined if the name is another user's
 * @throws SecondAgentError if an agent runs in this network namespace
 */
export async function claimNamespace(warn: (says: string) => void): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy()).unref();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(`\0${name}`, resolve);
    });
    return server;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
  }
  const holder = findHolder();
  if (holder !== undefined && holder.uid !== 0 && holder.uid !== process.geteuid?.()) {
    warn(`process ${holder.pid} of user ${holder.uid} uses the name @${name}, by which agents find each other`);
    return undefined;
  }
  const who = holder ? `process ${holder.pid}, ${holder.command}` : `ss -xlp src @${name} shows it`;
  throw new SecondAgentError(
    `an agent runs in this network namespace already (${who}): one agent serves all networks of a host. For a second host on this ` +
      "machine, start its agent in a network namespace of its own",
  );
}

interface Holder {
  readonly pid: string;
  readonly uid: number;
  readonly command: string;
}

/** @returns undefined if it cannot be seen from here, such as a process in another container */
function findHolder(): Holder | undefined {
  const line = readFileSync("/proc/self/net/unix", "utf8")
    .split("\n")
    .find((each) => each.endsWith(` @${name}`));
  const inode = line?.trim().split(/\s+/)[6];
  if (inode === undefined) return undefined;
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => holderOf(pid, `socket:[${inode}]`))
    .find((found) => found !== undefined);
}

function holderOf(pid: string, socket: string): Holder | undefined {
  try {
    const directory = `/proc/${pid}/fd`;
    if (!readdirSync(directory).some((fd) => readlinkSync(`${directory}/${fd}`) === socket)) return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim().slice(0, 200);
    return { pid, uid: statSync(`/proc/${pid}`).uid, command };
  } catch {
    // It has ended, or is another user's.
    return undefined;
  }
}
