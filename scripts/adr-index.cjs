"use strict";
// Writes docs/adr/README.md, the list of decisions, from the files beside it. Run it after an ADR was added or has changed its title or
// status; `test/docs/adr-index.test.ts` compares.
//
// The first line of an ADR is "# NNNN: Title". A line "Status: …" may follow: "accepted", which is what its absence means, "proposed",
// "rejected", or "superseded by [NNNN](NNNN-name.md)", where words on what of it may follow.
const fs = require("fs");
const path = require("path");

const directory = path.join(__dirname, "..", "docs", "adr");

/** @returns number, title, status and those that supersede it, by file name. @throws Error for a file of another form */
function readDecisions(from) {
  const files = fs.readdirSync(from).filter((name) => name.endsWith(".md") && name !== "README.md");
  return files.sort().map((file) => {
    const text = fs.readFileSync(path.join(from, file), "utf8");
    const [, number, title] = /^# (\d{4}): (.+)\n/.exec(text) || [];
    if (number === undefined) throw new Error(`${file} does not begin with "# NNNN: Title"`);
    if (!file.startsWith(`${number}-`)) throw new Error(`${file} has number ${number} in its title`);
    const [, status = "accepted"] = /^Status: (.+?)\.?$/m.exec(text) || [];
    if (!/^(accepted|proposed|rejected|superseded by \[\d{4}\]\(\d{4}-[\w-]+\.md\))/.test(status)) {
      throw new Error(
        `${file} has the status "${status}", not accepted, proposed, rejected or superseded by [NNNN](NNNN-name.md)`,
      );
    }
    const supersededBy = /^superseded/.test(status)
      ? [...status.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target)
      : [];
    const unknown = supersededBy.filter((target) => !files.includes(target));
    if (unknown.length > 0) throw new Error(`${file} is superseded by ${unknown.join(", ")}, which is not there`);
    return { file, number, title, status };
  });
}

function indexOf(decisions) {
  const numbers = decisions.map(({ number }) => number);
  const twice = numbers.filter((number, i) => numbers.indexOf(number) !== i);
  if (twice.length > 0) throw new Error(`${twice.join(", ")} is the number of two decisions`);
  const rows = decisions.map(({ file, number, title, status }) => `| [${number}](${file}) | ${title} | ${status} |`);
  return [
    "<!-- Made by `node scripts/adr-index.cjs`. -->",
    "# Decisions",
    "",
    "Each page has the context of a decision, the decision, and its alternatives. Numbers have gaps: they were reserved by subject.",
    "",
    "| Number | Decision | Status |",
    "|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

module.exports = { readDecisions, indexOf };
if (require.main === module) fs.writeFileSync(path.join(directory, "README.md"), indexOf(readDecisions(directory)));
