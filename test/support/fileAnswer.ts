/** Sending files by hand to a test server, and reading the lines that it answers. */
import { expect } from "vitest";
import type { TestApi } from "./api.ts";

/** A line of an answer; of a refusal as a whole, `causes`. */
export type Sent = Readonly<{
  status: number;
  rows: readonly Record<string, unknown>[];
  done: { id: string; counts: Record<string, number>; reason: string | null; notes?: string[]; held?: true };
  causes: string;
}>;

/** Sends a file, or asks for an undo. */
export async function postFile(api: TestApi, url: string, payload: string | Buffer, token = api.token): Promise<Sent> {
  const answer = await api.server.inject({
    ...{ method: "POST", url, payload },
    headers: {
      authorization: `SSWS ${token}`,
      "content-type": url.includes("/undo") ? "application/json" : "text/csv",
    },
  });
  if (answer.statusCode !== 200) {
    const causes = answer.json().errorCauses.map((cause: { errorSummary: string }) => cause.errorSummary);
    return { status: answer.statusCode, rows: [], done: { id: "", counts: {}, reason: null }, causes: causes.join() };
  }
  const all = answer.body
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(all.at(-1), answer.body.slice(-500)).toHaveProperty("done");
  const rows = all.flatMap((line) => (line.row ? [line.row] : []));
  return { status: 200, rows, done: all.at(-1).done, causes: "" };
}
