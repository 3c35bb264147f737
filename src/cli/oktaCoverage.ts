/** tenure okta-coverage: which of Okta's endpoints were called here, and whether they were served. */
import { CliError, exit_codes } from "./errors.ts";
import { print, printJson, printRows } from "./output.ts";
import { command } from "./parts.ts";

type Calls = Readonly<{ method: string; pattern: string; status: number; served: boolean; calls: number }>;

/** What became of the calls in one word. */
const fate = ({ served, status }: Calls): string => {
  if (!served) return "not served";
  if (status === 401 || status === 403 || status === 429) return "refused";
  return status >= 500 ? "failed" : status >= 400 ? "answered no" : "served";
};

export const { run } = command({
  usage: {
    name: "okta-coverage",
    words: "",
    summary: "Shows which endpoints of Okta's API were called, how often, and how they were answered.",
    options: {
      days: { value: "N", help: "How many days back, with today (30)" },
      missing: { help: "Only what is not served" },
    },
  },
  least: 0,
  run: async (client, given) => {
    const days = Number(given.text("days") ?? 30);
    if (!Number.isInteger(days) || days < 1) throw new CliError(exit_codes.usage, "--days takes a whole number");
    const answer = await client.get<{ since: string; calls: readonly Calls[] }>("/admin/v1/api-calls", { days });
    const calls = answer.calls.filter(({ served }) => !given.flag("missing") || !served);
    if (given.flag("json")) {
      printJson({ since: answer.since, calls });
      return;
    }
    printRows(
      given,
      calls,
      [
        ["CALLS", (one) => one.calls],
        ["METHOD", (one) => one.method],
        ["ENDPOINT", (one) => one.pattern],
        ["STATUS", (one) => one.status],
        ["", fate],
      ],
      "nothing was called",
    );
    const total = answer.calls.reduce((sum, one) => sum + one.calls, 0);
    const missing = answer.calls.filter(({ served }) => !served).reduce((sum, one) => sum + one.calls, 0);
    print(`${total} calls since ${answer.since}; ${missing} to endpoints that are not served here`);
  },
});
