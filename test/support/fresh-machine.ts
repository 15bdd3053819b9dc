// A machine like this one without some programs: a copy of this machine's files with changes laid over it (overlayfs in
// memory), with its own processes, mounts and /run. It ends with the process for which it was made.
import { spawn } from "node:child_process";

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const enter = `set -e
mount --make-rprivate /
mount -t tmpfs fresh "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay fresh -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
for each in dev sys; do mount --rbind /$each "$1/root/$each"; done
mount -t proc proc "$1/root/proc"
mount -t tmpfs run "$1/root/run"
exec chroot "$1/root" bash -c "$2"`;

/**
 * Runs a script of bash in such a machine, as root. Needs root.
 * @param directory an empty one, in which nothing is left behind
 * @param env all of its environment
 */
export function onFreshMachine(
  directory: string,
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<Finished> {
  const args = ["--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", enter, "sh", directory, script];
  return new Promise((resolve, reject) => {
    const child = spawn("unshare", args, { env, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject).on("close", (status) => resolve({ status, stdout, stderr }));
  });
}
