"use strict";
// `npm run commits`: checks the subjects of all commits since `base` by the rules of CONTRIBUTING.md, "Commits".
//
//   npm run commits                      since the commit from which on the rules apply
//   npm run commits -- origin/main..     those of a range
const { execFileSync } = require("child_process");
const fs = require("fs");
const path = require("path");

const root = path.join(__dirname, "..");
/** The last commit that is exempt. */
const base = "3f274160037a32b2f4bcb8e72c3c00d7a5c20da0";
/** Made after it, before there was a check, and published. */
const exempt = new Set([
  "d80d4bf1ad8e8168c951449d16141391e8c16c54",
  "1354ed3d378ab0bb39819395035dd64e74b73e33",
  "b842ed28a94b9a0d5239807ef7b8df8cde98dbf5",
  "dc6b65876eec9e3306135a2b86bd358dff39682e",
  "d0731c5199fafa16dd4d230e4b14568238f20630",
]);
const maxLength = 72;

/** Words that begin a statement or a title. */
const notVerbs = new Set(
  (
    "a an the this that these those each every all any both no not one two some what which who how when where why if it its " +
    "they there here by for from in into of on out to up with without as at and or but only also more less most is are was were be has " +
    "have had can must may might will would should after before while since until because than then so now new old"
  ).split(" "),
);
/** Verbs whose ends look like another form. */
const verbs = new Set(
  (
    "access address assess bypass compress cross discuss dismiss express focus guess miss pass press process suppress toss " +
    "bring ping ring string embed feed need seed shed speed bleed breed exceed proceed succeed alias bias canvas"
  ).split(" "),
);

/** @returns the areas that CONTRIBUTING.md lists, in backquotes after "Areas are" */
function areasOf(contributing) {
  const [, list] = /Areas are ([^.]*)\./.exec(contributing) || [];
  const areas = [...(list || "").matchAll(/`([\w-]+)`/g)].map(([, area]) => area);
  if (areas.length === 0) throw new Error('CONTRIBUTING.md has no sentence "Areas are `…`, `…`."');
  return areas;
}

/** @returns the faults of a subject, for people; empty if there are none */
function faultsOf(subject, areas) {
  const faults = [];
  if (subject.length > maxLength) faults.push(`it has ${subject.length} characters, ${maxLength} at most are allowed`);
  const [, named, rest] = /^([^:]*): (.*)$/.exec(subject) || [];
  if (named === undefined) return [...faults, 'it does not have the form "area: imperative verb …"'];
  const unknown = named.split(", ").filter((area) => !areas.includes(area));
  if (unknown.length > 0) faults.push(`"${unknown.join(", ")}" is not in the list of areas in CONTRIBUTING.md`);
  const [word] = rest.split(/[ ,:]/);
  if (!isImperative(word)) faults.push(`"${word}" is not an imperative verb in lower case, such as "add" or "bound"`);
  if (/[.\s]$/.test(rest)) faults.push("it ends with a period or blank");
  return faults;
}

/** By exclusion: no list has all verbs. Other forms of a verb, plurals and the words above are not imperative. */
function isImperative(word) {
  if (!/^[a-z]+(-[a-z]+)?$/.test(word) || notVerbs.has(word)) return false;
  return verbs.has(word) || !/(s|ed|ing)$/.test(word);
}

function subjectsIn(range) {
  const log = execFileSync("git", ["log", "--no-merges", "--reverse", "--format=%H %s", range], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines = log.split("\n").filter(Boolean);
  return lines
    .map((line) => ({ hash: line.slice(0, line.indexOf(" ")), subject: line.slice(line.indexOf(" ") + 1) }))
    .filter(({ hash }) => !exempt.has(hash));
}

function main() {
  const [range = `${base}..HEAD`] = process.argv.slice(2);
  const areas = areasOf(fs.readFileSync(path.join(root, "CONTRIBUTING.md"), "utf8"));
  let commits;
  try {
    commits = subjectsIn(range);
  } catch (error) {
    const [reason = ""] = String(error.stderr || error.message).split("\n");
    process.stderr.write(
      `nearmiss: the commits of ${range} cannot be read (${reason}). A shallow clone needs \`git fetch --unshallow\`.\n`,
    );
    return 2;
  }
  const wrong = commits
    .map(({ hash, subject }) => ({ hash, subject, faults: faultsOf(subject, areas) }))
    .filter(({ faults }) => faults.length > 0);
  for (const { hash, subject, faults } of wrong)
    process.stderr.write(`${hash.slice(0, 10)} "${subject}": ${faults.join("; ")}\n`);
  if (wrong.length > 0)
    process.stderr.write('Reword them (`git rebase -i`); CONTRIBUTING.md, "Commits", has the rules.\n');
  else process.stdout.write(`${commits.length} commit subjects are right\n`);
  return wrong.length > 0 ? 1 : 0;
}

module.exports = { areasOf, faultsOf };
if (require.main === module) process.exitCode = main();
