/** tenure apps: connecting apps and looking after them. */
import { Readable } from "node:stream";
import { configOf, kindOf, tokenOf } from "./appForm.ts";
import { notify } from "./appNotify.ts";
import { set } from "./appSet.ts";
import { inOptionWords } from "./appSwitches.ts";
import { makeSourceToken, sourceFacts, token as tokens } from "./appToken.ts";
import type { Given, Options } from "./args.ts";
import type { Client } from "./client.ts";
import { CliError, exit_codes } from "./errors.ts";
import { readStart, requireFile, requirePlainFile } from "./files.ts";
import { type App, findApp, shellWord } from "./find.ts";
import { plain, print, printFacts, printJson, printRows } from "./output.ts";
import { commandOf, momentOf, type Part, required, requireYes, yes_option } from "./parts.ts";
import { previewMapping, printPreview } from "./planMapping.ts";

type Made = Readonly<{ id: string; label: string; status: string }>;
type Learnt = Readonly<{
  attributes: readonly Readonly<{
    name: string;
    type: string;
    array: boolean;
    required: boolean;
    external_name?: string;
  }>[];
}>;
type Lines = Readonly<{
  lines: Readonly<Record<string, Readonly<{ expression: string; push: string; when_empty: string }>>>;
}>;

/** How many rows wait for a decision, and where it is taken; nothing where none does. */
const waitingOf = ({ label, health }: App) =>
  health === undefined || health.undecided === 0 ? null : `${health.undecided}: tenure waiting ${shellWord(label)}`;

const facts = (app: App) =>
  [
    ["id", app.id],
    ["name in expressions", app.name],
    ["label", app.label],
    ["connector", app.kind],
    ["status", app.status],
    ["health", app.health?.state],
    ["paused because", app.health?.pause_reason],
    ["due", app.health?.due],
    ["failed", app.health?.faulted],
    ["for a person to mend", app.health?.parked],
    ["rows that wait", waitingOf(app)],
    ["next import", app.health?.import_due_at],
    ["last import failed", app.health?.import_failed],
    ["last reconcile", app.health?.reconciled_at],
    [
      "licence",
      app.licence.seats === null ? `${app.licence.used} used` : `${app.licence.used} of ${app.licence.seats} used`,
    ],
    ["licence ends", app.licence.expires_at],
    ["configuration", app.config],
    ["provisioning", app.provisioning],
    ["source", app.sourcing],
  ] as const;

const list: Part = {
  usage: { name: "apps list", words: "", summary: "Lists apps with their health.", options: {} },
  least: 0,
  run: async (client, given) => {
    const apps = await client.all<App>("/admin/v1/apps");
    printRows(
      given,
      apps,
      [
        ["LABEL", (a) => a.label],
        ["KIND", (a) => a.kind],
        ["STATUS", (a) => a.status],
        ["HEALTH", (a) => a.health?.state],
        ["DUE", (a) => a.health?.due],
        ["FAILED", (a) => a.health?.faulted],
        ["SOURCE", (a) => (a.sourcing ? "yes" : "")],
        ["ID", (a) => a.id],
      ],
      "no apps",
    );
  },
};

const show: Part = {
  usage: { name: "apps show", words: "APP", summary: "Shows an app. APP is an id or a label.", options: {} },
  least: 1,
  run: async (client, given, [app = ""]) => {
    const found = await findApp(client, app);
    printFacts(given, found, facts(found));
  },
};

const add_options: Options = {
  label: { value: "TEXT", help: "Its name for people" },
  "base-url": { value: "URL", help: "scim: the address that /Users follows" },
  profile: {
    value: "APP",
    help: "scim: which vendor's SCIM this is (strict, okta, entra, aws, github, salesforce, slack)",
  },
  "token-file": {
    value: "FILE",
    help: "scim, rest, sql: file that holds the token, password or client secret (- for standard input)",
  },
  "no-test": { help: "scim, rest, sql: do not try the connection first" },
  file: { value: "NAME", help: "csv: name of the file in the server's import folder (people.csv)" },
  "id-column": { value: "COLUMN", help: "csv: the column that tells rows apart" },
  "enabled-column": { value: "COLUMN", help: "csv: the column that tells who works here" },
  "columns-from": { value: "FILE", help: "csv: a file whose first line names the columns" },
  "enabled-value": { value: "TEXT", many: true, help: "csv: a value of that column that means yes" },
  strict: { help: "scim-in: refuse what the SCIM standards do not say" },
  source: { help: "People come from this app" },
  config: { value: "NAME=VALUE", many: true, help: "Anything else of the connector's form" },
  "config-file": { value: "FILE", help: "rest, sql: the connector's form as JSON (docs/connectors)" },
};

const add: Part = {
  usage: {
    name: "apps add",
    words: "KIND",
    summary:
      "Connects an app. KIND is scim, csv, rest (JSON over HTTP), sql (PostgreSQL, MariaDB), manual, push (a source that sends its people), scim-in (a source that sends them over SCIM: its token is printed once), or bookmark (no connection).",
    options: add_options,
  },
  least: 1,
  run: async (client, given, [word = ""]) => {
    const label = required(add.usage, given, "label");
    const columns = given.text("columns-from");
    if (columns !== undefined) requirePlainFile(columns, "--columns-from");
    for (const option of ["config-file", "token-file"]) {
      const file = given.text(option);
      if (file !== undefined) requireFile(file, `--${option}`);
    }
    const kind = await kindOf(client, word);
    if (kind === "scim") required(add.usage, given, "base-url");
    if (kind === "scim" && !given.flag("no-test")) required(add.usage, given, "token-file");
    const reads = kind === "rest" || kind === "sql";
    if (reads) required(add.usage, given, "config-file");
    if (kind === "sql" && !given.flag("no-test")) required(add.usage, given, "token-file");
    const secret = tokenOf(given);
    const body = { name: kind, label, settings: { app: configOf(kind, given) } };
    const made = await client.send<Made>("POST", "/api/v1/apps", body).catch((error: unknown) => {
      // Who gave the form as a file knows its names from there.
      throw given.text("config-file") === undefined ? inOptionWords(error) : error;
    });
    try {
      if (kind === "scim" || reads) {
        const body = {
          ...(kind === "scim" ? { baseUrl: given.text("base-url") } : {}),
          profile: { authScheme: "TOKEN", ...(secret === undefined ? {} : { token: secret }) },
        };
        await client.send("POST", `/api/v1/apps/${made.id}/connections/default`, body, {
          activate: !given.flag("no-test"),
        });
      }
      if (reads && !given.flag("no-test")) await client.send("POST", `/admin/v1/apps/${made.id}/discover`);
      if (columns !== undefined) await learn(client, made.id, columns);
      if (given.flag("source") || kind === "scim_in")
        await client.send("PATCH", `/admin/v1/apps/${made.id}`, { sourcing: {} });
    } catch (error) {
      // An app that cannot be reached is of no use half made: the same command can be given again.
      await client.send("POST", `/api/v1/apps/${made.id}/lifecycle/deactivate`);
      await client.send("DELETE", `/api/v1/apps/${made.id}`);
      throw error;
    }
    const app = await findApp(client, made.id);
    const token = kind === "scim_in" ? await makeSourceToken(client, app) : undefined;
    printFacts(given, { ...app, ...(token === undefined ? {} : { token }) }, [
      ["id", app.id],
      ["label", app.label],
      ["name in expressions", app.name],
      ["connector", app.kind],
      ["health", app.health?.state],
      ...(token === undefined ? [] : sourceFacts(client, token, kind)),
    ]);
  },
};

/** Tells the server a file's columns by its beginning, up to the end of a line. */
async function learn(client: Client, app_id: string, file: string): Promise<Learnt> {
  const most = 65_536;
  const text = readStart(file, most);
  const end = text.length === most ? text.lastIndexOf(0x0a) + 1 : text.length;
  const body = text.subarray(0, end > 0 ? end : text.length);
  return client.upload<Learnt>(`/admin/v1/apps/${app_id}/discover`, Readable.from([body]), body.length);
}

const discover: Part = {
  usage: {
    name: "apps discover",
    words: "APP [FILE.csv]",
    summary: "Asks an app, or the first line of a file, for its attributes and takes them over.",
    options: {},
  },
  least: 1,
  most: 2,
  run: async (client, given, [app = "", file]) => {
    if (file !== undefined) requirePlainFile(file);
    const { id } = await findApp(client, app);
    const { attributes } =
      file === undefined
        ? await client.send<Learnt>("POST", `/admin/v1/apps/${id}/discover`)
        : await learn(client, id, file);
    printRows(given, attributes, [
      ["ATTRIBUTE", (a) => a.name],
      ["TYPE", (a) => (a.array ? `${a.type}[]` : a.type)],
      ["REQUIRED", (a) => (a.required ? "yes" : "")],
      ["ITS OWN NAME", (a) => a.external_name],
    ]);
  },
};

const pause: Part = {
  usage: {
    name: "apps pause",
    words: "APP REASON",
    summary: "Stops all calls to an app; what is due stays due.",
    options: { until: { value: "WHEN", help: "Until then only" } },
  },
  least: 2,
  run: async (client, given, [app = "", reason = ""]) => {
    const { id, label } = await findApp(client, app);
    const health = await client.send<Record<string, unknown>>("POST", `/admin/v1/apps/${id}/pause`, {
      reason,
      until: momentOf(given, "until") ?? null,
    });
    printFacts(given, health, [
      ["app", label],
      ["health", health["state"]],
      ["until", given.text("until") === undefined ? "resumed by hand" : health["paused_until"]],
    ]);
  },
};

const resume: Part = {
  usage: { name: "apps resume", words: "APP", summary: "Lets an app be called again.", options: {} },
  least: 1,
  run: async (client, given, [app = ""]) => {
    const { id, label } = await findApp(client, app);
    const health = await client.send<Record<string, unknown>>("POST", `/admin/v1/apps/${id}/resume`);
    printFacts(given, health, [
      ["app", label],
      ["health", health["state"]],
      ["due", health["due"]],
    ]);
  },
};

const licence: Part = {
  usage: {
    name: "apps licence",
    words: "APP",
    summary: "Shows the licence of an app, or sets it.",
    options: {
      seats: { value: "N", help: "Seats (none: not counted)" },
      ends: { value: "WHEN", help: "When it ends: whoever has the app loses it then (never: for ever)" },
      ...yes_option,
    },
  },
  least: 1,
  run: async (client, given, [app = ""]) => {
    const found = await findApp(client, app);
    const [seats, ends] = [given.text("seats"), given.text("ends")];
    if (seats === undefined && ends === undefined) {
      printFacts(given, found.licence, Object.entries(found.licence));
      return;
    }
    if (seats !== undefined && seats !== "none" && !/^\d{1,9}$/.test(seats))
      throw new CliError(exit_codes.usage, `--seats takes a whole number or none, not "${seats}"`);
    const body = {
      seats: seats === undefined ? found.licence.seats : seats === "none" ? null : Number(seats),
      expires_at: ends === undefined ? found.licence.expires_at : ends === "never" ? null : momentOf(given, "ends"),
    };
    if (ends !== undefined && body.expires_at != null && body.expires_at <= new Date().toISOString()) {
      const { used } = found.licence;
      requireYes(given, used, `this licence would be over at once, and ${used} people would lose ${found.label}`);
    }
    const after = await client.send<Record<string, unknown>>("PUT", `/admin/v1/apps/${found.id}/licence`, body);
    printFacts(given, after, Object.entries(after));
  },
};

const connect: Part = {
  usage: {
    name: "apps connect",
    words: "APP",
    summary: `Says where an app is and gives its token, tries them, and lets the app be called: from then on accounts are kept
there.`,
    options: {
      "base-url": {
        value: "URL",
        help: "scim, rest: the address, of scim what /Users follows; without it, the one it has",
      },
      "token-file": { value: "FILE", help: "File that holds the token (- for standard input)" },
      "no-test": { help: "Do not try it, and do not let the app be called yet" },
    },
  },
  least: 1,
  run: async (client, given, [app = ""]) => {
    requireFile(required(connect.usage, given, "token-file"), "--token-file");
    const { id } = await findApp(client, app);
    const address = given.text("base-url");
    const body = {
      ...(address === undefined ? {} : { baseUrl: address }),
      profile: { authScheme: "TOKEN", token: tokenOf(given) },
    };
    await client.send("POST", `/api/v1/apps/${id}/connections/default`, body, { activate: !given.flag("no-test") });
    const found = await findApp(client, id);
    printFacts(given, found, [
      ["app", found.label],
      ["health", found.health?.state],
      ["due", found.health?.due],
    ]);
  },
};

const map: Part = {
  usage: {
    name: "apps map",
    words: "APP [ATTRIBUTE=EXPRESSION...]",
    summary: `Shows the mapping of an app, or changes lines of it; an empty expression takes a line away. With --plan nothing
is saved: it shows which accounts would change, and how.`,
    options: {
      plan: { help: "Show what it would do to every account; save nothing" },
      "to-user": { help: "The other way: from the app's account to the user" },
      "at-creation": { help: "Push only when the account is made" },
      only: { help: "Take away all lines that are not given" },
    },
  },
  least: 1,
  most: 200,
  run: async (client, given, [app = "", ...pairs]) => {
    const { id } = await findApp(client, app);
    const path = `/admin/v1/apps/${id}/mappings/${given.flag("to-user") ? "to_user" : "to_app"}`;
    const before = await client.get<Lines>(path);
    if (pairs.length > 0) {
      const lines = new Map<string, unknown>(given.flag("only") ? [] : Object.entries(before.lines));
      for (const pair of pairs) {
        const at = pair.indexOf("=");
        if (at < 1) throw new CliError(exit_codes.usage, `"${pair}" is no ATTRIBUTE=EXPRESSION`);
        const [attribute, expression] = [pair.slice(0, at), pair.slice(at + 1)];
        if (expression === "") lines.delete(attribute);
        else lines.set(attribute, { expression, ...(given.flag("at-creation") ? { push: "create" } : {}) });
      }
      if (given.flag("plan")) return planMap(client, given, id, Object.fromEntries(lines));
      await client.send("PUT", path, { lines: Object.fromEntries(lines) });
    } else if (given.flag("plan"))
      throw new CliError(exit_codes.usage, "tenure apps map --plan: which lines would change?");
    const after = await client.get<Lines>(path);
    if (given.flag("json")) printJson(after);
    else
      for (const [attribute, line] of Object.entries(after.lines))
        print(
          `${plain(attribute).padEnd(24)} = ${plain(line.expression)}${line.push === "create" ? "   (at creation)" : ""}`,
        );
  },
};

async function planMap(client: Client, given: Given, id: string, lines: unknown): Promise<void> {
  if (given.flag("to-user"))
    throw new CliError(exit_codes.usage, "--plan is for accounts; what a source would change shows import --dry-run");
  const preview = await previewMapping(client, given, id, lines);
  if (given.flag("json")) printJson(preview);
  else printPreview(preview);
}

const reconcile: Part = {
  usage: {
    name: "apps reconcile",
    words: "APP",
    summary: "Compares the whole app with what we believe, now; what differs is put right.",
    options: {},
  },
  least: 1,
  run: async (client, given, [app = ""]) => {
    const { id } = await findApp(client, app);
    const counts = await client.send<Record<string, unknown>>("POST", `/admin/v1/apps/${id}/reconcile`);
    printFacts(given, counts, Object.entries(counts));
  },
};

const orphans: Part = {
  usage: { name: "apps orphans", words: "[APP]", summary: "Lists accounts in apps that are nobody's.", options: {} },
  least: 0,
  most: 1,
  run: async (client, given, [app]) => {
    type Orphan = Readonly<{
      app_label: string;
      external_id: string;
      enabled: boolean;
      kind: string;
      login: string | null;
      since: string;
    }>;
    const found = await client.all<Orphan>("/admin/v1/orphans", { app });
    printRows(
      given,
      found,
      [
        ["APP", (o) => o.app_label],
        ["ID IN THE APP", (o) => o.external_id],
        ["ENABLED", (o) => (o.enabled ? "yes" : "no")],
        ["WHY", (o) => o.kind],
        ["WAS", (o) => o.login],
        ["SINCE", (o) => o.since],
      ],
      "no orphans",
    );
  },
};

const remove: Part = {
  usage: {
    name: "apps delete",
    words: "APP",
    summary: "Switches an app off and deletes it here. Nothing is called in the app itself.",
    options: { yes: { help: "Do it" } },
  },
  least: 1,
  run: async (client, given, [app = ""]) => {
    const found = await findApp(client, app);
    if (!given.flag("yes"))
      throw new CliError(exit_codes.refused, `this forgets every account of ${found.label}: say --yes`);
    await client.send("POST", `/api/v1/apps/${found.id}/lifecycle/deactivate`);
    await client.send("DELETE", `/api/v1/apps/${found.id}`);
    printFacts(given, { id: found.id, deleted: true }, [["deleted", found.label]]);
  },
};

export const { run } = commandOf(
  "apps",
  {
    list,
    show,
    add,
    connect,
    set,
    discover,
    map,
    pause,
    resume,
    licence,
    reconcile,
    orphans,
    token: tokens,
    notify,
    delete: remove,
  },
  "list",
);
