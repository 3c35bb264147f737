#!/usr/bin/env node
/**
 * The command `tenure` (`npx tenure ARGS` in the repository): prepares the checkout if need be, then runs src/main.ts.
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.js";

const args = process.argv.slice(2);
// The demo plays against servers that are development packages; everything else runs on a production install.
await bootstrap("src/main.ts", args, args[0] === "demo");
