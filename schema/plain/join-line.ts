// The command that enrols a host, as the command line prints it and the dashboard shows it.

export interface JoinLineParts {
  readonly controller: string;
  readonly token: string;
  /** null: a public CA. */
  readonly caHash: string | null;
}

export function joinLine({ controller, token, caHash }: JoinLineParts): string {
  const trust = caHash === null ? "" : ` --ca-hash ${caHash}`;
  // In the environment: `ps` shows everybody the arguments of a command.
  return `NEARMISS_JOIN=${token} nearmiss agent --controller ${controller}${trust}`;
}
