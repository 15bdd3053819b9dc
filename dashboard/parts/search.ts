// What is searched for, by how it reads: a whole IP or MAC, or how a name begins. Pure.

export type Sought = Partial<Readonly<Record<"name" | "ip" | "mac", string>>>;

/** @returns undefined for what is no name and not yet an address: the controller would refuse it */
export function soughtBy(text: string): Sought | undefined {
  if (text === "") return {};
  if (/^[\da-f]{2}([:-][\da-f]{2}){5}$/i.test(text)) return isUnicast(text) ? { mac: text } : undefined;
  if (/^(\d{1,3}\.){3}\d{1,3}$/.test(text)) return isIp(text) ? { ip: text } : { name: text };
  if (text.includes(":")) return isIp(`[${text}]`) ? { ip: text } : undefined;
  return /^[\w.-]{1,63}$/.test(text) ? { name: text } : undefined;
}

/** Multicast addresses belong to no interface (IEEE 802: I/G bit). */
function isUnicast(mac: string): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0 && !/^0+$/.test(mac.replace(/[:-]/g, ""));
}

/** As the URL standard reads a host: what the controller refuses beyond that, multicast and the like, nobody has. */
function isIp(host: string): boolean {
  try {
    return new URL(`http://${host}`).hostname !== "";
  } catch {
    return false;
  }
}
