/**
 * Importing a file of members of groups by hand: who is not a member by hand of the row's group joins it. With `exact` the
 * file says all members by hand of each group that it names, and the others leave it once every row is done.
 *
 * Laws: memberships are given and ended by the commands of the directory and by nothing else; a row that is refused stops
 * no other. Nobody leaves a group of which a row was refused, and nobody leaves any group when a row's group is not known:
 * it may be any of them. What is there by rule or import stays. How chunks are done is importFile.ts.
 *
 * Called by server/admin/members.ts; undoMembers.ts takes an import back.
 */
import type { Change } from "../core/diff.ts";
import type { GrantKind, Refusal } from "../core/types.ts";
import type { Command, Running } from "../directory/command.ts";
import { lockUsers } from "../directory/locks.ts";
import {
  closedGroup,
  grantsOfPairs,
  groupsNamed,
  type PairGrant,
  pairKey,
  peopleNamed,
} from "../directory/memberFacts.ts";
import { grantMemberships, revokeMemberships } from "../directory/memberships.ts";
import { companyZone } from "../directory/organisation.ts";
import { readSetting } from "../directory/settings.ts";
import type { StoredUser } from "../directory/userQueries.ts";
import { isRefusal } from "../store/database.ts";
import type { HandFile } from "./handFile.ts";
import { type FilePages, importFile, type OutOfReach, urgencyOf } from "./importFile.ts";
import { type LeaveRow, leavers, manyLeave, nothingSeen, type Seen, see, whereNobodyLeaves } from "./leaving.ts";
import { type MemberRow, readMembers, untilOf } from "./membersFile.ts";

/** `leave_many`: others leave a group also when that is many of its members. */
export type MembersWish = Readonly<{
  exact: boolean;
  leave_many: boolean;
  dry_run: boolean;
  outOfReach: OutOfReach;
  node: string;
}>;

/**
 * What became of a row, or would; a `leave` is no row of the file, and its line is a number behind its last. `note`: what
 * else made or makes them a member. `cells` and `mend`: as of people (importPeople.ts).
 */
export type MemberOutcome = Readonly<{
  line: number;
  group: string;
  login: string;
  outcome: "join" | "leave" | "unchanged" | "refused";
  group_id?: string;
  user_id?: string;
  changes?: readonly Change[];
  note?: string;
  reason?: string;
  column?: string;
  cells?: readonly string[];
  mend?: true;
}>;

const not_done = "Nothing was done: ask with leave_many=true if that is what you want";
const no_counts = { join: 0, leave: 0, unchanged: 0, refused: 0 };

/**
 * Imports a file. Where many would leave a group and nobody has said that this is meant, it is only tried, and says so.
 * Whoever ends the generator ends the import behind the chunk that was told last.
 */
export async function* importMembers(command: Command, file: HandFile, wish: MembersWish): FilePages<MemberOutcome> {
  if (wish.exact && !wish.leave_many && !wish.dry_run) {
    const seen = nothingSeen();
    const tried = attempt(command, file, { ...wish, dry_run: true }, seen);
    for (let turn = await tried.next(); ; turn = await tried.next()) {
      if (turn.done) {
        const many = manyLeave(seen);
        if (turn.value.reason !== null) return turn.value;
        if (many.length > 0) return { ...turn.value, held: true, reason: `${many.join("; ")}. ${not_done}` };
        break;
      }
      yield { ...turn.value, rows: [] };
    }
  }
  return yield* attempt(command, file, wish, nothingSeen());
}

function attempt(command: Command, file: HandFile, wish: MembersWish, seen: Seen): FilePages<MemberOutcome> {
  const { columns, rows: total } = file;
  const { dry_run, exact, node } = wish;
  async function* chunks(): AsyncGenerator<readonly (MemberRow | LeaveRow)[]> {
    yield* readMembers(file);
    if (exact) yield* leavers(command.db, seen, command.now());
  }
  return importFile<MemberRow | LeaveRow, MemberOutcome>(command, {
    ...{ beginning: { kind: "members", columns, exact, node }, dry_run, total, counts: no_counts, chunks, kept },
    apply: async (running, chunk) => {
      const leaving = chunk.filter((row) => "leave" in row);
      if (leaving.length > 0) return leave(running, leaving, total);
      const rows = chunk.filter((row): row is MemberRow => !("leave" in row));
      return join(running, await judge(running, rows, wish, seen), total);
    },
    settled: (rows) =>
      see(
        seen,
        rows.filter(({ outcome }) => outcome !== "leave"),
      ),
    // What a membership was is kept to be given back, and is not the reader's.
    shown: (row) => (row.outcome === "leave" ? without(row) : row),
    notes: () => (exact ? [...whereNobodyLeaves(seen), ...(dry_run ? manyLeave(seen) : [])] : []),
  });
}

const without = ({ changes: _, ...row }: MemberOutcome): MemberOutcome => row;

function kept({ line, group, group_id, login, outcome, user_id, changes = [] }: MemberOutcome) {
  if ((outcome !== "join" && outcome !== "leave") || user_id === undefined) return [];
  return [{ line, login, outcome, user_id, changes, group_id: group_id ?? null, group_name: group }];
}

/** A row that was judged; `until`: of one that is to join. */
type Judged = Readonly<{ outcome: MemberOutcome; until?: Date | null; why?: string | null }>;

/** Says of each row whether its person joins. The people are locked, and the groups stay. */
async function judge(
  running: Running,
  rows: readonly MemberRow[],
  { outOfReach }: MembersWish,
  seen: Seen,
): Promise<readonly Judged[]> {
  const { db } = running;
  const ids = await peopleNamed(
    db,
    rows.map(({ login }) => login),
  );
  const people = await lockUsers(db, [...ids.values()]);
  const groupOf = await groupsNamed(
    running,
    rows.map(({ group }) => group),
  );
  const groups = new Map(rows.map(({ group }) => [group, groupOf(group)]));
  const group_ids = [...groups.values()].flatMap((group) => ("id" in group ? [group.id] : []));
  const shut = await outOfReach(db, [...new Set(group_ids)]);
  const pairs = rows.flatMap(({ group, login }) => {
    const [found, user_id] = [groups.get(group), ids.get(login)];
    return found !== undefined && "id" in found && user_id !== undefined ? [{ group_id: found.id, user_id }] : [];
  });
  const grants = await grantsOfPairs(db, pairs);
  const zone = companyZone(await readSetting(db, "org"));
  const here = new Map<string, number>();
  return rows.map((row): Judged => {
    const { line, cells } = row;
    const group = groups.get(row.group);
    const user = people.get(ids.get(row.login) ?? "");
    const told = {
      ...{
        line,
        group: group !== undefined && "id" in group ? group.name : row.group,
        login: user?.login ?? row.login,
      },
      ...(group !== undefined && "id" in group ? { group_id: group.id } : {}),
      ...(user === undefined ? {} : { user_id: user.id }),
    };
    const refused = (reason: string, column: string | null, mend?: true): Judged => ({
      outcome: { ...told, outcome: "refused", reason, cells, ...(column && { column }), ...(mend && { mend }) },
    });
    if ("problem" in row) return refused(row.problem, row.column, row.mend);
    if (group === undefined || !("id" in group)) return refused(group?.refused ?? "there is no such group", "group");
    const closed = closedGroup(group)?.refused ?? shut.get(group.id);
    if (closed !== undefined) return refused(closed, "group");
    if (user === undefined) return refused(nobody(row.login), "login");
    const key = pairKey({ group_id: group.id, user_id: user.id });
    const earlier = seen.pairs.get(key) ?? here.get(key);
    if (earlier !== undefined) return refused(`login: line ${earlier} of this file has the same`, "login", true);
    here.set(key, line);
    return decide(told, user, row, { grants: grants.get(key) ?? [], now: running.now(), zone, refused });
  });
}

const nobody = (text: string) => `there is nobody with the login or id "${text.slice(0, 100)}"; add them first`;

type Deciding = Readonly<{
  grants: readonly PairGrant[];
  now: Date;
  zone: string;
  refused: (reason: string, column: string) => Judged;
}>;

/** Of a row whose person and group are known and open. */
function decide(
  told: Pick<MemberOutcome, "line" | "group" | "login" | "group_id" | "user_id">,
  user: StoredUser,
  row: Extract<MemberRow, { until: string }>,
  { grants, now, zone, refused }: Deciding,
): Judged {
  if (user.status === "DEPROVISIONED") return refused(`${user.login} is deactivated: activate them first`, "login");
  const until = untilOf(row.until, user.time_zone ?? zone, now);
  if (typeof until === "string") return refused(until, "until");
  const hand = grants.filter(({ kind, expires_at }) => kind === "person" && (expires_at === null || expires_at > now));
  if (hand.length === 0) {
    const why = row.reason === "" ? null : row.reason;
    const changes = changesOf(until, why);
    const note = alsoBy(grants);
    const more = { changes, ...(note === undefined ? {} : { note: `was in it by ${note} already` }) };
    return { outcome: { ...told, outcome: "join", ...more }, until, why };
  }
  const ends = hand.map(({ expires_at }) => expires_at?.getTime() ?? Number.POSITIVE_INFINITY);
  const end = Math.max(...ends);
  const shown = end === Number.POSITIVE_INFINITY ? "without an end" : `until ${new Date(end).toISOString()}`;
  if (until !== null && until.getTime() !== end) {
    const reason = `until: ${user.login} is a member by hand already, ${shown}; take them out first, or leave it empty`;
    return refused(reason, "until");
  }
  return {
    outcome: { ...told, outcome: "unchanged", ...(end === Number.POSITIVE_INFINITY ? {} : { note: shown }) },
  };
}

/** What a membership by hand gave, as it is told and kept. */
function changesOf(until: Date | null, why: string | null): readonly Change[] {
  const values = { until: until?.toISOString() ?? null, reason: why };
  return Object.entries(values).flatMap(([attribute, after]) =>
    after === null ? [] : [{ attribute, before: null, after }],
  );
}

/** Who or what else has them in the group. */
export function alsoBy(grants: readonly Pick<PairGrant, "kind" | "rule_name">[]): string | undefined {
  const other = grants.find(({ kind }) => kind !== "person");
  if (other === undefined) return undefined;
  return other.kind === "rule" ? `the rule ${other.rule_name ?? "that was deleted"}` : others[other.kind];
}

const others: Readonly<Record<Exclude<GrantKind, "rule">, string>> = {
  person: "somebody's hand",
  group: "a group",
  import: "an import",
  request: "a request",
};

/** Gives the memberships of those who join. */
async function join(
  running: Running,
  judged: readonly Judged[],
  total: number,
): Promise<readonly MemberOutcome[] | Refusal> {
  const grants = judged.flatMap(({ outcome, until = null, why = null }) => {
    if (outcome.outcome !== "join") return [];
    const { group_id = "", user_id = "" } = outcome;
    const by = { kind: "person" as const, source_id: running.actor.id };
    return [{ group_id, user_id, ...by, reason: why, expires_at: until }];
  });
  const given = grants.length === 0 ? [] : await grantMemberships(running, grants, { urgency: urgencyOf(total) });
  return isRefusal(given) ? given : judged.map(({ outcome }) => outcome);
}

/** Ends memberships by hand of those who are not in the file. Who has left meanwhile is not told. */
async function leave(
  running: Running,
  rows: readonly LeaveRow[],
  total: number,
): Promise<readonly MemberOutcome[] | Refusal> {
  const people = await lockUsers(
    running.db,
    rows.map(({ user_id }) => user_id),
  );
  const grants = await grantsOfPairs(running.db, rows);
  const left = rows.flatMap(({ line, group, group_id, user_id }): MemberOutcome[] => {
    const all = grants.get(pairKey({ group_id, user_id })) ?? [];
    const hand = all.filter(({ kind }) => kind === "person");
    const login = people.get(user_id)?.login;
    if (hand.length === 0 || login === undefined) return [];
    const note = alsoBy(all);
    const changes = hand.map(({ source_id, reason, expires_at }): Change => {
      const before = { source_id, reason, until: expires_at?.toISOString() ?? null };
      return { attribute: "grant", before, after: null };
    });
    const told = { line, group, group_id, login, user_id, outcome: "leave" as const, changes };
    return [{ ...told, ...(note === undefined ? {} : { note: `stays in it by ${note}` }) }];
  });
  const reason = "not in the file that says all members";
  const removals = left.map(({ user_id = "", group_id = "" }) => ({
    user_id,
    group_id,
    kind: "person" as const,
    reason,
  }));
  const ended = await revokeMemberships(running, removals, { urgency: urgencyOf(total) });
  return isRefusal(ended) ? ended : left;
}
