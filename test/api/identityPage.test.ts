/** docs/identity-source.md as a reader follows it: every command of it, in order, against a node as people start it. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { needs } from "../support/needs.ts";
import { run, startTestNode, type TestNode } from "../support/node.ts";

const root = path.join(import.meta.dirname, "../..");
const has = (program: string) => spawnSync(program, ["--version"]).status === 0;
const runs = needs("bash, curl and jq", ["bash", "curl", "jq"].every(has));

let node: TestNode;
beforeAll(async () => {
  if (runs) node = await startTestNode();
});
afterAll(() => node?.stop());

const in_bash = `
import { spawnSync } from "node:child_process";
const { status } = spawnSync("bash", ["-c", process.env.SCRIPT], { stdio: "inherit" });
process.exit(status ?? 1);`;

test.runIf(runs)(
  "every command of docs/identity-source.md works as it is written there, and the loop imports",
  async () => {
    const page = readFileSync(path.join(root, "docs/identity-source.md"), "utf8");
    const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block ?? "");
    expect(blocks.length).toBeGreaterThan(4);
    const script = blocks
      .join("\n")
      .replaceAll("http://127.0.0.1:4780", node.url)
      .replaceAll("tenure-data/", `${node.folder}/`);
    const tenure = `tenure() { "${process.execPath}" "${root}/src/main.ts" "$@" --data "${node.folder}"; }`;
    const ran = await run(["--input-type=module", "-e", in_bash], node.folder, {
      SCRIPT: `set -euo pipefail\n${tenure}\n${script}`,
    });
    expect(ran.code, `${ran.out}\n${ran.err}`).toBe(0);
    expect(ran.out).toContain('"memberExternalIds":["1001","1002"]');
    const left = await node.cli("users", "show", "joan.baez@example.com", "--json");
    expect(JSON.parse(left.out).status).toBe("DEPROVISIONED");
    const moved = await node.cli("users", "show", "isaac.brock@example.com", "--json");
    expect(JSON.parse(moved.out).profile).toMatchObject({
      department: "Stage",
      employeeNumber: "1001",
      firstName: "Isaac",
    });
  },
);
