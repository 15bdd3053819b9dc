// Imported by each program before anything else: an unsupported Node ends it here, with what to do, and not in the middle of
// its work. The ranges are those of `engines` in package.json.

/** @param version such as "22.12.0" */
export function isSupportedNode(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return (major === 22 && minor >= 12) || major === 24 || major >= 26;
}

if (!isSupportedNode(process.versions.node)) {
  process.stderr.write(
    `nearmiss: Node ${process.versions.node} is not supported: 22.12 or newer, 24 and 26 are. Nothing was done. Run ` +
      "`npm run setup` in the clone, then start `dist/bin/nearmiss` instead of nearmiss.js, or programs and tests as " +
      "`npm run …`: both bring their own Node. Or install Node 24.\n",
  );
  process.exit(1);
}
