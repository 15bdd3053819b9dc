// Names of attacks, as on the command line. Without the attacks themselves, so that `--help` loads none of them.

export const controllerAttackNames = [
  "strangers",
  "hold-ipv4",
  "hold-ipv6",
  "handshakes-ipv4",
  "handshakes-ipv6",
  "interest",
  "questions",
  "reports",
  "slow-reader",
  "silent-sockets",
  "idle-connections",
  "slow-import",
  "log",
  "dry-run",
] as const;
export type ControllerAttack = (typeof controllerAttackNames)[number];

export const guestAttackNames = ["mac-flood", "arp-storm", "guest-scan", "broadcasts"] as const;
export type GuestAttack = (typeof guestAttackNames)[number];

export const attackNames = [...controllerAttackNames, ...guestAttackNames] as const;
/** For CI: one of each kind. */
export const shortAttackNames = attackNames.filter(
  (name) =>
    ![
      "hold-ipv4",
      "handshakes-ipv6",
      "reports",
      "idle-connections",
      "dry-run",
      "arp-storm",
      "guest-scan",
      "broadcasts",
    ].includes(name),
);
export type AttackName = (typeof attackNames)[number];
