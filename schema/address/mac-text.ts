/** The octet of a canonical MAC address whose two digits begin at `at`. */
export function octetAt(mac: string, at: number): number {
  return (digitAt(mac, at) << 4) | digitAt(mac, at + 1);
}

function digitAt(mac: string, at: number): number {
  const code = mac.charCodeAt(at);
  return code <= 57 ? code - 48 : code - 87;
}
