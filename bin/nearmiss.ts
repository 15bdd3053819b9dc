#!/usr/bin/env node
// The one command. Its version needs nothing else.
import "../schema/supported-node.ts";
import { version } from "../schema/version.ts";

const [first] = process.argv.slice(2);
if (first === "--version" || first === "-V") process.stdout.write(`${version}\n`);
else await import("./main.ts");
