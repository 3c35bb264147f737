/**
 * Preview: what would happen to one person now, or if something about them were otherwise, by the same pure functions
 * that the engine runs, with the reason of each step. Nothing is written and no app is called.
 */
import { type AccountGrant, type Desired, desiredAccounts } from "../core/desired.ts";
import type { Change } from "../core/diff.ts";
import { plan, rune, type Step } from "../core/plan.ts";
import { ruleMoves } from "../core/rules.ts";
import type { Profile, Refusal } from "../core/types.ts";
import { type Command, run } from "../directory/command.ts";
import { loadMappings } from "../directory/mappings.ts";
import { getUser } from "../directory/userQueries.ts";
import { createUsers, type NewUser } from "../directory/users.ts";
import { isRefusal } from "../store/database.ts";
import { type Company, loadCompany } from "./company.ts";
import { afterMoves, loadPeople, type PersonRecord, type Supposed } from "./people.ts";
import { nameReasons, type Reason } from "./reasons.ts";
import { planAppOf, type World } from "./world.ts";

/** One app's part of a preview. `why`: the grants with names; `changes` carry the expression that gives each value. */
export type PreviewStep = Readonly<{
  app_id: string;
  app: string;
  rune: string;
  step: Step["kind"] | "release" | "local";
  enabled: boolean | null;
  changes: readonly (Change & { expression: string | null })[];
  why: readonly Reason[];
  problems: readonly string[];
}>;

export type Preview = Readonly<{
  user_id: string;
  login: string;
  groups: Readonly<{
    join: readonly Readonly<{ group: string; rule: string }>[];
    leave: readonly Readonly<{ group: string; rule: string }>[];
  }>;
  steps: readonly PreviewStep[];
}>;

/** What would happen to a user (id or login), with what is supposed laid over what is stored. */
export async function previewUser(world: World, user: string, supposed: Supposed = {}): Promise<Preview | Refusal> {
  const found = await getUser(world.db, user);
  if (found === undefined) return { refused: `there is no user ${user.slice(0, 200)}`, code: "not_found" };
  const now = world.now();
  const company = await loadCompany(world.db, now);
  const record = (await loadPeople(world.db, company, [found.id], now, supposed)).get(found.id);
  if (record === undefined) return { refused: `there is no user ${user.slice(0, 200)}`, code: "not_found" };
  const moves = ruleMoves(company.rules, record);
  const settled = afterMoves(company, record, moves);
  // A source's account, or one that ended long ago, is nothing that could happen.
  const desired = desiredAccounts(settled.person, company.apps).filter(
    ({ app_id, assigned }) => assigned || record.accounts.get(app_id)?.assigned,
  );
  const reasons = await nameReasons(
    world.db,
    desired.flatMap((one) => one.grants),
  );
  const steps: PreviewStep[] = [];
  for (const one of desired) steps.push(await stepOf(world, company, record, one, reasons));
  const named = (rows: readonly { group_id: string; rule_id: string }[]) =>
    rows.map(({ group_id, rule_id }) => {
      const rule = company.rules.find((each) => each.id === rule_id);
      return {
        group: rule?.targets.find((target) => target.id === group_id)?.name ?? group_id,
        rule: rule?.name ?? rule_id,
      };
    });
  return {
    user_id: record.id,
    login: record.login,
    groups: { join: named(moves.add), leave: named(moves.remove) },
    steps,
  };
}

/** What was made to be looked at is unmade. */
const looked_at: Refusal = { refused: "only looked at", code: "stale" };

/**
 * What somebody new would get once they work here: they are made, activated in thought, looked at, and unmade, all in one
 * transaction. Refuses what creating them would refuse.
 */
export async function previewNewUser(world: World, command: Command, input: NewUser): Promise<Preview | Refusal> {
  let preview: Preview | undefined;
  const refusal = await run<never>(command, async (running) => {
    const made = await createUsers(running, [input]);
    if (isRefusal(made)) return made;
    const seen = await previewUser({ ...world, db: running.db }, made[0]?.id ?? "", { status: "ACTIVE" });
    if (isRefusal(seen)) return seen;
    preview = seen;
    return looked_at;
  });
  return preview ?? refusal;
}

async function stepOf(
  world: World,
  company: Company,
  record: PersonRecord,
  desired: Desired,
  reasons: (grant: AccountGrant) => Reason,
): Promise<PreviewStep> {
  const account = record.accounts.get(desired.app_id);
  const lines = (await loadMappings(world.db)).get(desired.app_id)?.to_app ?? [];
  const base = {
    app_id: desired.app_id,
    app: company.labels.get(desired.app_id) ?? desired.app_id,
    why: desired.grants.map(reasons),
    problems: desired.errors.map((error) => `${error.attribute}: ${error.message}`),
  };
  if (!company.external.has(desired.app_id)) {
    return {
      ...base,
      rune: desired.assigned ? "+" : "-",
      step: "local",
      enabled: desired.want?.enabled ?? null,
      changes: [],
    };
  }
  if (desired.release) return { ...base, rune: "○", step: "release", enabled: null, changes: [] };
  const app = await world
    .app(desired.app_id)
    .catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
  if (typeof app === "string")
    return { ...base, rune: "!", step: "unsupported", enabled: null, changes: [], problems: [...base.problems, app] };
  const step = plan(desired.want, account?.have ?? null, planAppOf(app));
  const expression = (name: string) => lines.find((line) => line.attribute === name)?.line.expression ?? null;
  return {
    ...base,
    rune: rune(step),
    step: step.kind,
    enabled: step.kind === "create" ? step.enabled : step.kind === "update" ? (step.enabled ?? null) : null,
    changes: changesOf(step).map((change) => ({ ...change, expression: expression(change.attribute) })),
    problems:
      step.kind === "unsupported" ? [...base.problems, `${app.label} does not offer ${step.missing}`] : base.problems,
  };
}

function changesOf(step: Step): readonly Change[] {
  if (step.kind === "update") return step.changes;
  if (step.kind !== "create") return [];
  const profile: Profile = step.profile;
  return Object.keys(profile).map((attribute) => ({ attribute, before: null, after: profile[attribute] ?? null }));
}
