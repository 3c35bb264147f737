/** tenure users template, import and imports: people from a file, by hand. */
import { csvRow } from "../core/csv.ts";
import { bringFile, type FileOf, file_options, pastPart } from "./fileImport.ts";
import { userAttributes } from "./find.ts";
import { print, printJson } from "./output.ts";
import type { Part } from "./parts.ts";

const people: FileOf = { noun: "users", path: "/admin/v1/users/imports", grouped: false };

/** A CSV header of every attribute that people have, the required ones first. */
export const template: Part = {
  usage: {
    name: "users template",
    words: "",
    summary: "Prints the header of a CSV file for tenure users import: every attribute, the required ones first.",
    options: {},
  },
  least: 0,
  run: async (client, given) => {
    const { properties, required: asked } = await userAttributes(client);
    const required = [...new Set(["login", ...asked])];
    const names = Object.keys(properties);
    const columns = [...required, ...names.filter((name) => !required.includes(name))];
    if (given.flag("json")) printJson({ columns, required });
    else print(csvRow(columns).trimEnd());
  },
};

/** Creates and changes people from a file, or takes that back. */
export const bring: Part = {
  usage: {
    name: "users import",
    words: "FILE.csv",
    summary: `Creates and changes people from a CSV file whose columns are named like attributes (tenure users template). Who
has the login of a row is changed: only what the file has columns for, and an empty cell clears that attribute; else
somebody new is created, staged. Exit code 7: done, but rows were refused.`,
    options: { activate: { help: "Activate whom the file creates" }, ...file_options("users") },
  },
  least: 0,
  most: 1,
  run: (client, given, [file]) => bringFile(client, given, people, file, { activate: given.flag("activate") }),
};

/** What was imported by hand so far. */
export const imports = pastPart(
  people,
  "Lists imports of files of people, the newest first; with IMPORT, what it did.",
);
