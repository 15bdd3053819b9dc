// The resources that a process has used, from the kernel (proc(5)).
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** Ticks of the kernel's accounting in a second: USER_HZ, 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** Highest resident set so far, MiB. */
export function peakRssMib(pid: number): number {
  return statusMib(pid, "VmHWM");
}

/** Resets the highest resident set (proc(5), clear_refs). Needs root for processes of others. */
export function resetPeakRss(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

/** Resident set, MiB. */
export function rssMib(pid: number): number {
  return statusMib(pid, "VmRSS");
}

function statusMib(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1_024);
}

/** Of the whole machine, in all processes and the kernel, since its start. */
export function machineCpuSeconds(): number {
  const [, ...fields] = (readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "").split(/\s+/);
  // user, nice, system, idle, iowait, irq, softirq: a guest's time is in user's.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields.map(Number);
  return (user + nice + system + irq + softirq) / ticksPerSecond;
}

/** Of all its threads, in user and kernel mode. */
export function cpuSeconds(pid: number): number {
  return secondsIn(`/proc/${pid}/stat`);
}

/** Of the thread that runs the event loop. */
export function mainThreadCpuSeconds(pid: number): number {
  return secondsIn(`/proc/${pid}/task/${pid}/stat`);
}

/** How often its present threads have waited for something, and were woken. */
export function wakeUps(pid: number): number {
  const counts = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]);
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

function secondsIn(file: string): number {
  const stat = readFileSync(file, "utf8");
  // The name, in parentheses, may contain spaces; utime and stime are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
