/** A Tenure over a real PostgreSQL, served in this process, and the command line pointed at it. */
import path from "node:path";
import { expect } from "vitest";
import { startNode } from "../../src/main/serve.ts";
import { type Ran, run } from "./node.ts";
import { testDatabase } from "./postgres.ts";

const main = path.join(import.meta.dirname, "../../src/main.ts");

export type Tenure = Readonly<{
  url: string;
  token: string;
  /** Arguments and environment of a command that is pointed at it. */
  words(...words: string[]): string[];
  env: Readonly<Record<string, string>>;
  cli(...words: string[]): Promise<Ran>;
  /** What a call of the API answers. */
  call(method: string, path: string, body?: unknown): Promise<ReturnType<typeof JSON.parse>>;
  /** Waits until everybody's accounts are computed. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}>;

/** Starts one whose files are in a folder of this name below `folder`; its first token belongs to nobody, so nobody is in it. */
export async function startTenure(folder: string, name: string): Promise<Tenure> {
  const database = await testDatabase();
  const node = await startNode({
    ...{ data_folder: path.join(folder, name), database_url: database.url, port: 0, rate_limit: 0 },
    ...{ admin_login: null, allow_private: true, throwaway: true },
  });
  const { token = "" } = await node.ready;
  const url = node.url ?? "";
  const env = { TENURE_URL: url, TENURE_TOKEN: token, OKTA_IMPORT_TOKEN: "" };
  const call = async (method: string, where: string, body?: unknown) => {
    const answer = await fetch(`${url}${where}`, {
      method,
      headers: { authorization: `SSWS ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };
  return {
    ...{ url, token, env, call },
    words: (...words) => [main, ...words],
    cli: (...words) => run([main, ...words], folder, env),
    settled: async () => {
      // Twice: a rule may mark people only after those before were computed.
      for (let quiet = 0; quiet < 2; quiet++) {
        const dirty = async () => (await call("GET", "/admin/v1/status")).dirty;
        await expect.poll(dirty, { timeout: 60_000, interval: 200 }).toBe(0);
        await new Promise((done) => setTimeout(done, 500));
      }
    },
    stop: async () => {
      await node.stop();
      await database.drop();
    },
  };
}
