/**
 * Who leaves, when a file says all members by hand of the groups that it names: gathered while its rows are done, asked for
 * when they are.
 *
 * Laws: nobody leaves a group of which a row was refused, and nobody leaves any group when a row's group is not known: it
 * may be any of them. Memory holds the pairs of the file and its groups.
 *
 * Called by engine/importMembers.ts.
 */
import { handMembers, pairKey } from "../directory/memberFacts.ts";
import type { Database } from "../store/database.ts";
import { chunk_rows } from "./handFile.ts";

/** Who is to leave a group. `line`: numbered on behind the last line of the file, so that it can be kept. */
export type LeaveRow = Readonly<{ leave: true; line: number; group_id: string; group: string; user_id: string }>;

type NamedGroup = { name: string; refused_line: number | null; leave: number; members: number };

/** What was seen of a file so far. */
export type Seen = {
  /** Group and person → the line that names them first. */
  readonly pairs: Map<string, number>;
  readonly groups: Map<string, NamedGroup>;
  /** The first row whose group nobody knows. */
  unknown_line: number | null;
  last_line: number;
};

/** What a row of the file became, as far as it counts here. */
type DoneRow = Readonly<{ line: number; group: string; outcome: string; group_id?: string; user_id?: string }>;

export const nothingSeen = (): Seen => ({ pairs: new Map(), groups: new Map(), unknown_line: null, last_line: 1 });

/** Rows of the file have been done. */
export function see(seen: Seen, rows: readonly DoneRow[]): void {
  for (const { line, group, outcome, group_id, user_id } of rows) {
    seen.last_line = Math.max(seen.last_line, line);
    if (group_id === undefined) {
      seen.unknown_line ??= line;
      continue;
    }
    const named = seen.groups.get(group_id) ?? { name: group, refused_line: null, leave: 0, members: 0 };
    seen.groups.set(group_id, named);
    if (outcome === "refused") named.refused_line ??= line;
    const key = user_id === undefined ? undefined : pairKey({ group_id, user_id });
    if (key !== undefined && !seen.pairs.has(key)) seen.pairs.set(key, line);
  }
}

/** Who is a member by hand of the file's groups and not in the file, in chunks. Counts them by group. */
export async function* leavers(db: Database, seen: Seen, now: Date): AsyncGenerator<readonly LeaveRow[]> {
  if (seen.unknown_line !== null) return;
  let chunk: LeaveRow[] = [];
  let line = seen.last_line;
  for (const [group_id, group] of seen.groups) {
    if (group.refused_line !== null) continue;
    for (let after = ""; ; ) {
      const members = await handMembers(db, group_id, { now, after, limit: chunk_rows });
      group.members += members.length;
      for (const user_id of members) {
        if (seen.pairs.has(pairKey({ group_id, user_id }))) continue;
        group.leave += 1;
        chunk.push({ leave: true, line: ++line, group_id, group: group.name, user_id });
        if (chunk.length < chunk_rows) continue;
        yield chunk;
        chunk = [];
      }
      if (members.length < chunk_rows) break;
      after = members.at(-1) ?? "";
    }
  }
  if (chunk.length > 0) yield chunk;
}

/** Fewer leave without being asked about. */
const many = 10;
const many_share = 0.2;
const notes_max = 50;

/** Groups that lose so many that it must be said again, in words. */
export function manyLeave(seen: Seen): readonly string[] {
  const groups = [...seen.groups.values()].filter(
    ({ leave, members }) => leave >= many && leave > many_share * members,
  );
  return short(groups.map(({ name, leave, members }) => `${name}: ${leave} of its ${members} members by hand leave`));
}

/** Where nobody leaves, and why. */
export function whereNobodyLeaves(seen: Seen): readonly string[] {
  if (seen.unknown_line !== null) {
    return [`nobody leaves any group: which group line ${seen.unknown_line} is about is not known`];
  }
  const groups = [...seen.groups.values()].filter(({ refused_line }) => refused_line !== null);
  return short(
    groups.map(({ name, refused_line }) => `${name}: nobody leaves, because line ${refused_line} was refused`),
  );
}

const short = (notes: readonly string[]) =>
  notes.length <= notes_max ? notes : [...notes.slice(0, notes_max), `… and ${notes.length - notes_max} more groups`];
