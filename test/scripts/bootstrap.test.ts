/** The first start of a clone, in a small repository with an npm that only notes what it was asked. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

const bin = path.resolve(import.meta.dirname, "../../bin");
const lock = (version: string) => JSON.stringify({ packages: { "": {}, "node_modules/a": { version } } });

let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "tenure-bootstrap-"));
  cpSync(bin, path.join(root, "bin"), { recursive: true });
  mkdirSync(path.join(root, "src"));
  mkdirSync(path.join(root, "path"));
  writeFileSync(path.join(root, "package.json"), '{ "type": "module" }');
  writeFileSync(path.join(root, "package-lock.json"), lock("1.0.0"));
  writeFileSync(
    path.join(root, "src", "main.ts"),
    `const args: string[] = process.argv.slice(2);
     console.log(JSON.stringify(args));
     if (args.includes("wait")) setInterval(() => {}, 1000);
     process.exitCode = Number(args.at(-1) ?? 0) || 0;`,
  );
  npm("sleep 0.3; mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json; echo noise");
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Replaces npm by a script, which also counts its runs. */
function npm(script: string): void {
  const file = path.join(root, "path", "npm");
  writeFileSync(file, `#!/bin/sh\necho "$1" >> ${root}/npm.log\n${script}\n`);
  chmodSync(file, 0o755);
}

function npmRuns(): string[] {
  return readFileSync(path.join(root, "npm.log"), "utf8").trim().split("\n");
}

function start(args: readonly string[], file = "bootstrap.js") {
  const PATH = `${path.join(root, "path")}${path.delimiter}${process.env["PATH"] ?? ""}`;
  const child = spawn(process.execPath, [path.join(root, "bin", file), ...args], { env: { PATH }, stdio: "pipe" });
  const said = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    said.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    said.err += chunk;
  });
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...said }));
  return { child, said, ended };
}

it("installs, then runs the command with its arguments and gives its exit code; stdout is the command's alone", async () => {
  const { code, out, err } = await start(["demo", "--json", "7"]).ended;
  expect({ code, out }).toEqual({ code: 7, out: '["demo","--json","7"]\n' });
  expect(err).toMatch(/not installed yet: running npm ci/);
  expect(npmRuns()).toEqual(["ci"]);
});

it("installs once for starts at the same moment, and not again for later ones", async () => {
  const results = await Promise.all([start(["demo"]).ended, start(["demo"]).ended, start(["a"], "tenure.js").ended]);
  expect(results.map((result) => result.code)).toEqual([0, 0, 0]);
  expect((await start(["serve"], "tenure.js").ended).out).toBe('["serve"]\n');
  expect(npmRuns()).toEqual(["ci"]);
});

it("installs again when the lock file has changed, saying what; and not for an install made by hand", async () => {
  await start(["demo"]).ended;
  writeFileSync(path.join(root, "package-lock.json"), lock("1.0.1"));
  expect((await start(["demo"]).ended).err).toMatch(/node_modules\/a has changed/);
  writeFileSync(path.join(root, "package-lock.json"), lock("1.0.2"));
  cpSync(path.join(root, "package-lock.json"), path.join(root, "node_modules", ".package-lock.json"));
  expect((await start(["demo"]).ended).err).toBe("");
  expect(npmRuns()).toEqual(["ci", "ci"]);
});

it("says what to do when npm fails, runs nothing, and leaves no lock behind", async () => {
  npm("echo no network >&2; exit 3");
  const first = await start(["demo"]).ended;
  expect(first).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringMatching(/no network.*npm ci failed \(3\).*proxy/s),
  });
  npm("mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json");
  expect((await start(["demo"]).ended).code).toBe(0);
});

it("passes a stop on to the command", async () => {
  const { child, said, ended } = start(["demo", "wait"]);
  while (said.out === "") await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill("SIGTERM");
  expect((await ended).signal).toBe("SIGTERM");
});

it("refuses an unknown script by naming those there are", async () => {
  expect(await start(["zork"]).ended).toMatchObject({ code: 1, err: expect.stringContaining("demo | test | check") });
});

it("which Node it takes is said alike by package.json, the first file that runs, and the pages", () => {
  const read = (name: string) => readFileSync(path.join(bin, "..", name), "utf8");
  const { engines, devDependencies } = JSON.parse(read("package.json"));
  const oldest = engines.node.replace(/^>=/, "");
  expect(read("bin/bootstrap.js")).toContain(`const oldestNode = [${oldest.replace(".", ", ")}]`);
  expect(read("README.md")).toContain(`it must be ${oldest} or newer`);
  const brought = `Node ${devDependencies.node.split(".")[0]} that Tenure runs on`;
  for (const page of ["README.md", "CONTRIBUTING.md"]) expect(read(page).replaceAll("\n", " ")).toContain(brought);
});
