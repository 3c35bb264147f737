/** tenure waiting: rows of a source that wait for a person to say who they are. */
import { CliError, exit_codes } from "./errors.ts";
import { type App, findApp, findUser, shellWord } from "./find.ts";
import { plain, print, printFacts, printJson, table } from "./output.ts";
import { command } from "./parts.ts";

type Row = Readonly<{
  external_id: string;
  place: string | null;
  reason: string | null;
  profile: Readonly<Record<string, unknown>> | null;
  candidates: readonly Readonly<{ login: string; score: number | null; reasons: readonly string[] }>[];
  decision: Readonly<{ kind: string; by: string }> | null;
}>;

const kinds = ["create", "link", "ignore", "undo"];

export const { run } = command({
  usage: {
    name: "waiting",
    words: "APP",
    summary: `Lists the rows of a source that wait for a person, with the users they match; with a decision, decides about them.
The next import of the source carries decisions out.`,
    options: {
      create: { value: "ROW", many: true, help: "The row is someone new" },
      link: { value: "ROW=USER", many: true, help: "The row is this user, by id or login" },
      ignore: { value: "ROW", many: true, help: "Let the row be" },
      undo: { value: "ROW", many: true, help: "Take back what was decided" },
      all: { value: "DECISION", help: "create, link, ignore or undo for all that wait; link: where one user matches" },
    },
  },
  least: 1,
  run: async (client, given, [app = ""]) => {
    const found = await findApp(client, app);
    const { id } = found;
    const path = `/admin/v1/apps/${id}/waiting`;
    const all = given.text("all");
    if (all !== undefined && !kinds.includes(all)) {
      throw new CliError(exit_codes.usage, `tenure waiting --all takes ${kinds.join(", ")}, not "${all}"`);
    }
    const links = given.texts("link").map(async (text) => {
      const cut = text.lastIndexOf("=");
      if (cut < 1) throw new CliError(exit_codes.usage, `tenure waiting --link takes ROW=USER, not "${text}"`);
      const user = await findUser(client, text.slice(cut + 1));
      return { external_id: text.slice(0, cut), kind: "link", user_id: user.id };
    });
    const others = ["create", "ignore", "undo"].flatMap((kind) =>
      given.texts(kind).map((external_id) => ({ external_id, kind })),
    );
    const rows = [...(await Promise.all(links)), ...others];
    if (all === undefined && rows.length === 0) {
      const waiting = await client.all<Row>(path, { limit: 1_000 });
      if (given.flag("json")) printJson(waiting);
      else print(waiting.length === 0 ? "nothing waits" : tableOf(waiting));
      return;
    }
    const body = all === undefined ? { rows } : { all };
    const done = await client.send<Readonly<{ decided: number }>>("POST", path, body);
    printFacts(given, done, [
      ["decided", done.decided],
      ["carried out by", done.decided === 0 ? undefined : carriedOutBy(found)],
    ]);
  },
});

/** Of one, the row's reason says why; of several, each is told apart. */
const matchOf = ({ login, score, reasons }: Row["candidates"][number], _at: number, all: Row["candidates"]): string => {
  const parts = [...(score === null ? [] : [`${score} %`]), ...(all.length > 1 ? reasons : [])];
  return parts.length === 0 ? login : `${login} (${parts.join(", ")})`;
};

/** What makes the decisions come true; only some sources can be asked for their rows. */
function carriedOutBy({ label, kind, config }: App): string {
  const command = `tenure import ${shellWord(label)}`;
  if (kind === "push") return "the next session or record that has the row: the source sends it";
  if (kind === "scim_in") return `the next push of the person, or an import of everything: ${command}`;
  if (kind !== "csv") return `the next import: ${command}`;
  const there = `without FILE.csv where ${plain(config["file"])} is in the server's import folder`;
  return `the next import: ${command} FILE.csv (${there})`;
}

const tableOf = (rows: readonly Row[]): string =>
  table(rows, [
    ["ROW", (r) => r.external_id],
    ["LOGIN", (r) => r.profile?.["login"]],
    ["MATCHES", (r) => r.candidates.map(matchOf).join("; ")],
    ["WHY", (r) => r.reason],
    ["DECISION", (r) => r.decision && `${r.decision.kind} by ${r.decision.by}`],
  ]);
