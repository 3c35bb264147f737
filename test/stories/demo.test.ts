/**
 * The demo company from outside, as `npm start -- --headless --json` plays it: every step is as it should be, stdout holds
 * nothing but the steps, and nothing is left running.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseOptions } from "../../demo/options.ts";

const story_ms = 400_000;
const folder = mkdtempSync(join(tmpdir(), "tenure-demo-"));
const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

type Played = Readonly<{ code: number | null; stdout: string; stderr: string }>;
type Line = Readonly<{ step: string; ok: boolean; ms: number; accounts: number; operations: number; error?: string }>;

/** Starts the demo; `stop`: ends it when its output holds this. */
async function demo(args: readonly string[], stop?: Readonly<{ at: string; signal: NodeJS.Signals }>): Promise<Played> {
  const child = spawn(process.execPath, [main, "demo", ...args, "--port", "0"], { stdio: ["ignore", "pipe", "pipe"] });
  const out = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      out[stream] += text;
      if (stop && out[stream].includes(stop.at)) child.kill(stop.signal);
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...out };
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the whole story", () => {
  let played: Played;
  let lines: readonly Line[];

  beforeAll(async () => {
    played = await demo(["--headless", "--json", "--data", join(folder, "whole")]);
    lines = played.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);
  }, story_ms);

  test("ends well, with one JSON line for each step and nothing else on stdout", () => {
    const failed = lines.filter((line) => !line.ok);
    expect(failed, played.stderr).toEqual([]);
    expect(played.code).toBe(0);
    expect(lines.map((line) => line.step)).toEqual([
      ...["import", "first_account", "provision", "hire", "promotion", "app_taken", "group_changed"],
      ...["contract_ends", "licence_ends", "licence_renewed", "leave", "manual_task", "return", "outage", "everyone"],
    ]);
  });

  test("says of each step how long it took, how many accounts it changed and with how many calls", () => {
    const byStep = new Map(lines.map((line) => [line.step, line]));
    for (const line of lines) {
      expect(line).toEqual({
        step: line.step,
        ok: true,
        ms: line.ms,
        accounts: line.accounts,
        operations: line.operations,
      });
      expect(line.ms).toBeGreaterThanOrEqual(0);
    }
    // Five apps each; the badge is no account that can be read.
    for (const step of ["hire", "promotion", "leave", "return"]) expect(byStep.get(step)?.accounts).toBe(5);
    expect(byStep.get("app_taken")?.accounts).toBe(1);
    expect(byStep.get("app_taken")?.operations).toBeGreaterThanOrEqual(1);
    for (const step of ["licence_ends", "licence_renewed"]) expect(byStep.get(step)?.accounts).toBeGreaterThan(200);
  });

  test("has the first account within a minute of the start", () => {
    expect(lines.find((line) => line.step === "first_account")?.ms).toBeLessThan(60_000);
  });

  test("leaves no database running", () => {
    expect(existsSync(join(folder, "whole", "pg", "postmaster.pid"))).toBe(false);
  });
});

describe("stopping in the middle", () => {
  test("ends with the signal's exit code and stops what was started", async () => {
    const data = join(folder, "stopped");
    const { code, stdout } = await demo(["--json", "--data", data], { at: "first_account", signal: "SIGINT" });
    expect(code).toBe(130);
    for (const line of stdout.trimEnd().split("\n")) expect(JSON.parse(line)).toMatchObject({ ok: true });
    expect(existsSync(join(data, "pg", "postmaster.pid"))).toBe(false);
  }, 120_000);
});

describe("the command line", () => {
  test("is refused with exit code 2 and the usage, on stderr", async () => {
    const { code, stdout, stderr } = await demo(["--people", "7"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("--people must be a whole number from 200");
    expect(stderr).toContain("usage:");
  }, 60_000);

  test.each([
    [[], { headless: false, json: false, keep: false, port: 4780, people: 250, seed: 7 }],
    [["--headless", "--json"], { headless: true, json: true }],
    [
      ["--keep", "--port", "0", "--seed", "12", "--people", "1000", "--data", "x"],
      { keep: true, port: 0, seed: 12, people: 1000, data: "x" },
    ],
    [["--help"], "help"],
  ])("%j is understood", (args, expected) => {
    const options = parseOptions(args);
    if (expected === "help") expect(options).toBe("help");
    else expect(options).toMatchObject(expected as object);
  });

  test.each([["--port", "65536"], ["--port", "x"], ["--people", "1e3"], ["--seed", "-1"], ["--colour"], ["more"]])(
    "%s %s is refused",
    (...args) => {
      expect(parseOptions(args.filter((one) => one !== undefined))).toHaveProperty("wrong");
    },
  );
});
