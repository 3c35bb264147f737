/** tenure groups import and imports: members of groups from a file, by hand. */
import { bringFile, type FileOf, file_options, pastPart } from "./fileImport.ts";
import type { Part } from "./parts.ts";

const members: FileOf = { noun: "groups", path: "/admin/v1/groups/imports", grouped: true };

/** Puts people in groups from a file, or takes that back. */
export const bring: Part = {
  usage: {
    name: "groups import",
    words: "FILE.csv",
    summary: `Puts people in groups, from a CSV file.
Its columns are group (name or id) and login (login or id), and if you like until (a day, or a moment with its zone) and
reason. Exit code 7: done, but rows were refused.`,
    options: {
      exact: { help: "The file says all members by hand of the groups that it names: the others leave" },
      yes: { help: "With --exact: do it, also when ten or more, and more than a fifth of a group's, would leave" },
      ...file_options("groups"),
    },
  },
  least: 0,
  most: 1,
  run: (client, given, [file]) => {
    const wish = { exact: given.flag("exact"), leave_many: given.flag("yes") };
    return bringFile(client, given, members, file, wish);
  },
};

/** What was imported by hand so far: beside the command that takes it back, and for whoever may change members. */
export const imports = pastPart(
  members,
  "Lists imports of files of members, the newest first; with IMPORT, what it did.",
);
