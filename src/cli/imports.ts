/** tenure imports: what was read from sources so far, by somebody or by the clock, and what became of it. */
import { findApp } from "./find.ts";
import type { Import, Row } from "./import.ts";
import { countsText, printFacts, printRows } from "./output.ts";
import { command, listed } from "./parts.ts";

const rows_shown = 200;

export const { run } = command({
  usage: {
    name: "imports",
    words: "[IMPORT]",
    summary: "Lists imports from sources, the newest first; with IMPORT, what became of its rows.",
    options: {
      app: { value: "APP", help: "Of this source only, by id or label" },
      outcome: { value: "OUTCOME", help: "Only rows that ended so: created, updated, left, refused, waiting" },
      limit: { value: "N", help: "At most this many (50; of rows 200)" },
    },
  },
  least: 0,
  most: 1,
  run: async (client, given, [id]) => {
    if (id !== undefined) {
      const path = `/admin/v1/imports/${encodeURIComponent(id)}`;
      const past = await client.get<Import>(path);
      const query = { outcome: given.text("outcome") };
      const rows = await listed<Row>(client, given, `${path}/rows`, { query, standard: rows_shown });
      printFacts(given, { ...past, rows }, factsOf(past));
      if (!given.flag("json")) printRows(given, rows, columns, "no rows");
      return;
    }
    const app = given.text("app");
    const app_id = app === undefined ? undefined : (await findApp(client, app)).id;
    const list = await listed<Import>(client, given, "/admin/v1/imports", { query: { app: app_id }, standard: 50 });
    printRows(
      given,
      list,
      [
        ["ID", (i) => i.id],
        ["SOURCE", (i) => i.label],
        ["STATUS", (i) => (i.dry_run ? `${i.status} (dry run)` : i.status)],
        ["BY", byOf],
        ["OF", ofWhom],
        ["AT", (i) => i.started_at],
        ["ROWS", (i) => countsText(i.counts)],
        ["WHY", whyOf],
      ],
      "no imports",
    );
  },
});

const byOf = ({ detail, started_by }: Import): string | null =>
  detail.told ? "the source, which told of them" : detail.scheduled ? "the clock" : started_by;

/** Of one that was held: what became of it, before why it was. */
function whyOf({ detail: { reason, ended, ended_by, ended_as } }: Import): string | undefined {
  if (ended === undefined) return reason;
  const by = ended === "overtaken" ? `overtaken by import ${ended_by}` : `${ended} by ${ended_by}`;
  return `${by}${ended_as === undefined ? "" : `, as import ${ended_as}`}: ${reason ?? "it was held"}`;
}

const ofWhom = ({ mode, detail: { people, since_at } }: Import): string => {
  if (people !== undefined) return people.length === 1 ? `person ${people[0]}` : `${people.length} people`;
  return mode === "full" ? "all" : since_at === undefined ? "all, but for who is missing" : "what changed";
};

const columns: Parameters<typeof printRows<Row>>[2] = [
  ["OUTCOME", (r) => r.outcome],
  ["ID", (r) => r.external_id],
  ["LOGIN", (r) => r.login],
  ["WHERE", (r) => r.detail?.place],
  ["WHY", (r) => r.detail?.reason],
];

const factsOf = (past: Import): readonly (readonly [string, unknown])[] => [
  ["import", past.id],
  ["source", past.label],
  ["status", past.dry_run ? `${past.status} (dry run)` : past.status],
  ["by", byOf(past)],
  ["of", ofWhom(past)],
  ["began", past.started_at],
  ["ended", past.finished_at],
  ["rows", countsText(past.counts)],
  ["reason", whyOf(past)],
];
