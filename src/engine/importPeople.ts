/**
 * Importing a file of people by hand: who is not there by login is created, who is there gets the values of the file's
 * columns, an empty cell clearing its attribute. What is said of each row is told as it is done.
 *
 * Laws: people are written by the commands of the directory and by nothing else, so schemas, unique values, closed
 * profiles and what comes from a source are refused as everywhere; a row that is refused stops no other. How chunks are
 * done is importFile.ts.
 *
 * Called by server/admin/people.ts; undoPeople.ts takes an import back.
 */
import type { Change } from "../core/diff.ts";
import type { Profile, Refusal } from "../core/types.ts";
import type { Command, Running } from "../directory/command.ts";
import { shownChanges } from "../directory/peopleImports.ts";
import { forType, schemaOfType } from "../directory/schemaQueries.ts";
import { usersByLogin } from "../directory/userQueries.ts";
import { createUsersEach, updateUsersEach } from "../directory/users.ts";
import { storedTypeId } from "../directory/userTypes.ts";
import { isRefusal } from "../store/database.ts";
import { type FilePages, importFile, type OutOfReach, urgencyOf } from "./importFile.ts";
import { type PeopleFile, type PersonRow, readPeople } from "./peopleFile.ts";

/** `node`: who runs it. */
export type PeopleWish = Readonly<{ activate: boolean; dry_run: boolean; outOfReach: OutOfReach; node: string }>;

/**
 * What became of a row, or would. `cells`: of one that was refused, by the file's columns; `mend`: they are not to be
 * taken as they stand (handFile.ts).
 */
export type PersonOutcome = Readonly<{
  line: number;
  login: string;
  outcome: "create" | "update" | "unchanged" | "refused";
  user_id?: string;
  changes?: readonly Change[];
  reason?: string;
  column?: string;
  cells?: readonly string[];
  mend?: true;
}>;

/** Imports a file. Whoever ends the generator ends the import behind the chunk that was told last. */
export function importPeople(command: Command, file: PeopleFile, wish: PeopleWish): FilePages<PersonOutcome> {
  const { columns, rows: total } = file;
  const { activate, dry_run, node } = wish;
  return importFile<PersonRow, PersonOutcome>(command, {
    ...{ beginning: { kind: "people", columns, activate, node }, dry_run, total, kept },
    counts: { create: 0, update: 0, unchanged: 0, refused: 0 },
    chunks: () => readPeople(file),
    apply: (running, chunk) => applyChunk(running, file, wish, chunk),
    shown: (row, id) => shown(row, file, id),
  });
}

function kept({ line, login, outcome, user_id, changes = [] }: PersonOutcome) {
  if ((outcome !== "create" && outcome !== "update") || user_id === undefined) return [];
  return [{ line, login, outcome, user_id, changes }];
}

/** Who is there is changed, who is not is created. Gives what became of the rows, in order. */
async function applyChunk(
  running: Running,
  file: PeopleFile,
  wish: PeopleWish,
  chunk: readonly PersonRow[],
): Promise<readonly PersonOutcome[]> {
  const good = chunk.flatMap((row) => ("profile" in row ? [row] : []));
  const there = await usersByLogin(
    running.db,
    good.map(({ login }) => login),
  );
  const shut = await wish.outOfReach(
    running.db,
    [...there.values()].map(({ id }) => id),
  );
  const known = good.flatMap((row, n) => {
    const user = there.get(n);
    return user === undefined ? [] : [{ row, id: user.id, type_id: user.type_id }];
  });
  const strangers = good.filter((_, n) => !there.has(n));
  const urgency = urgencyOf(file.rows);
  const outcomes = new Map<number, Partial<PersonOutcome>>();
  const open = known.filter(({ row, id, type_id }) => {
    const other = otherType(file, row, type_id);
    const reason = shut.get(id) ?? other;
    if (reason !== undefined)
      outcomes.set(row.line, { outcome: "refused", reason, ...(reason === other ? { column: "type" } : {}) });
    return reason === undefined;
  });
  const changes = open.map(({ row, id, type_id }) => ({
    id,
    profile: forType(file.schema, schemaOfType(file.schema, type_id), row.profile),
  }));
  const changed = await oneByOne(changes, (some) => updateUsersEach(running, some, { urgency }));
  for (const [n, { row }] of open.entries()) outcomes.set(row.line, outcomeOf(changed[n], "update"));
  const inputs = strangers.map((row) => ({
    ...{ profile: newProfile(row), activate: wish.activate },
    ...(row.type === undefined ? {} : { type_id: storedTypeId(row.type.id) }),
  }));
  const created = await oneByOne(inputs, (some) => createUsersEach(running, some, { urgency }));
  for (const [n, row] of strangers.entries()) {
    const one = created[n];
    const made =
      one === undefined || isRefusal(one) ? one : { user: one, changed: true, changes: valuesOf(one.profile) };
    outcomes.set(row.line, outcomeOf(made, "create"));
  }
  return chunk.map((row): PersonOutcome => {
    const { line, login, cells } = row;
    const said = "problem" in row ? problemOf(row) : (outcomes.get(line) ?? {});
    const { outcome = "refused" } = said;
    return { line, login, ...said, outcome, ...(outcome === "refused" ? { cells } : {}) };
  });
}

type GoodRow = Extract<PersonRow, { profile: Profile }>;

/** Why a row cannot be of somebody who is there: it names another type than theirs, which a file does not change. */
function otherType({ types }: PeopleFile, { type }: GoodRow, type_id: string | null): string | undefined {
  if (type === undefined || storedTypeId(type.id) === type_id) return undefined;
  const theirs = types.find(({ id }) => storedTypeId(id) === type_id)?.name ?? "another";
  return `type: is ${theirs}, and a file changes nobody's type: leave the cell empty, or change the type of the person`;
}

/** A set that is refused as a whole (somebody else was quicker with one value) is asked about row by row. */
async function oneByOne<Input, Result>(
  inputs: readonly Input[],
  work: (some: readonly Input[]) => Promise<readonly (Result | Refusal)[] | Refusal>,
): Promise<readonly (Result | Refusal)[]> {
  if (inputs.length === 0) return [];
  const together = await work(inputs);
  if (!isRefusal(together)) return together;
  const results: (Result | Refusal)[] = [];
  for (const input of inputs) {
    const one = await work([input]);
    results.push(isRefusal(one) ? one : (one[0] as Result | Refusal));
  }
  return results;
}

type Changed = Readonly<{ user: { id: string }; changed: boolean; changes: readonly Change[] }>;

function outcomeOf(result: Changed | Refusal | undefined, word: "create" | "update"): Partial<PersonOutcome> {
  if (result === undefined) return { outcome: "refused", reason: "not done" };
  if (isRefusal(result)) {
    const { refused, place } = result;
    return { outcome: "refused", reason: refused, ...(place === undefined ? {} : { column: place }) };
  }
  if (!result.changed) return { outcome: "unchanged", user_id: result.user.id };
  return { outcome: word, user_id: result.user.id, changes: result.changes };
}

function problemOf({ problem, column, mend }: Extract<PersonRow, { problem: string }>): Partial<PersonOutcome> {
  return { outcome: "refused", reason: problem, ...(column === null ? {} : { column }), ...(mend ? { mend } : {}) };
}

/** A new person has nothing to clear. */
function newProfile({ login, profile }: GoodRow): Profile {
  return { login, ...Object.fromEntries(Object.entries(profile).filter(([, value]) => value !== null)) };
}

const valuesOf = (profile: Profile): readonly Change[] =>
  Object.entries(profile).map(([attribute, after]) => ({ attribute, before: null, after }));

/** As it is told: whom a dry run would create has no id, and sensitive values are nobody's to see. */
function shown({ user_id, ...row }: PersonOutcome, { schema }: PeopleFile, id: string | null): PersonOutcome {
  const known = user_id === undefined || (id === null && row.outcome === "create") ? {} : { user_id };
  return { ...row, ...known, ...(row.changes === undefined ? {} : { changes: shownChanges(row.changes, schema) }) };
}
