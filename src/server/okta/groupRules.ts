/**
 * /api/v1/groups/rules. Okta's life cycle over ours: a rule is made inactive, and where Okta wants it switched off before
 * a change, we do not. Excluded people are our rule exceptions.
 */
import { z } from "zod";
import type { Refusal } from "../../core/types.ts";
import { type Running, run } from "../../directory/command.ts";
import {
  activateRule,
  addExceptions,
  createRule,
  deactivateRule,
  deleteRule,
  getRule,
  listExceptions,
  listRules,
  removeExceptions,
  type StoredRule,
  updateRule,
} from "../../directory/rules.ts";
import { type Database, isRefusal, sql } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { reach } from "../auth.ts";
import { found, invalid, must } from "../errors.ts";
import { afterOf, idCursor, limitOf, page } from "../paging.ts";
import { date } from "./links.ts";

const rule_params = z.object({ rule_id: z.string().min(1).max(100) });
const expand = z.string().max(100).optional().describe("groupIdToGroupNameMap: with the names of the groups it fills");
const ids = z.array(z.string().min(1).max(100)).max(1_000);
const exclude = z.object({ exclude: ids.nullish() }).nullish();

const rule_input = z.object({
  type: z.literal("group_rule").optional(),
  name: z.string().min(1).max(100),
  conditions: z.object({
    people: z.object({ users: exclude, groups: exclude }).nullish(),
    expression: z.object({ value: z.string().min(1).max(20_000), type: z.string().optional() }),
  }),
  actions: z.object({ assignUserToGroups: z.object({ groupIds: ids.min(1) }) }),
});

type RuleInput = z.infer<typeof rule_input>;

/** Registers the routes. */
export function groupRuleRoutes(server: Server, api: Api): void {
  const query = z.object({ search: z.string().max(200).optional(), expand, after: afterOf, limit: limitOf(50, 200) });
  server.get(
    "/api/v1/groups/rules",
    about("rules", "List group rules", { querystring: query }),
    async (request, reply) => {
      const { search, after, limit } = request.query;
      const rules = await listRules(api.db, {
        limit: limit + 1,
        ...(after === undefined ? {} : { after: idCursor(after, "0pr") ?? after }),
        ...(search === undefined ? {} : { q: search }),
      });
      const items = page(request, reply, rules, limit, ({ id }) => id);
      return Promise.all(items.map((rule) => ruleBody(api.db, rule, request.query.expand)));
    },
  );

  server.post(
    "/api/v1/groups/rules",
    about("rules", "Create a group rule; it begins inactive", { body: rule_input }),
    async (request) => {
      const { name, conditions, actions } = request.body;
      await reach(api, request, { group: actions.assignUserToGroups.groupIds });
      const rule = must(
        await createRule(commandOf(api, request), {
          name,
          expression: conditions.expression.value,
          group_ids: actions.assignUserToGroups.groupIds,
          excluded: excludedOf(request.body),
        }),
        "conditions",
      );
      return ruleBody(api.db, rule);
    },
  );
  oneRuleRoutes(server, api);
}

/** One rule: reading, replacing, switching, deleting it. */
function oneRuleRoutes(server: Server, api: Api): void {
  const one = z.object({ expand });
  server.get(
    "/api/v1/groups/rules/:rule_id",
    about("rules", "Read a group rule", { params: rule_params, querystring: one }),
    async (request) => {
      const { rule_id } = request.params;
      return ruleBody(api.db, found(await getRule(api.db, rule_id), rule_id, "GroupRule"), request.query.expand);
    },
  );

  server.put(
    "/api/v1/groups/rules/:rule_id",
    about("rules", "Replace a group rule, active or not", { params: rule_params, body: rule_input }),
    async (request) => {
      const { rule_id } = request.params;
      const excluded = excludedOf(request.body);
      await reach(api, request, { group: request.body.actions.assignUserToGroups.groupIds });
      const rule = must(
        await run<StoredRule>(commandOf(api, request), (running) =>
          replaceRule(running, rule_id, request.body, excluded),
        ),
        "conditions",
      );
      return ruleBody(api.db, rule);
    },
  );

  const removing = z.object({ removeUsers: z.enum(["true", "false"]).default("false") });
  server.delete(
    "/api/v1/groups/rules/:rule_id",
    about("rules", "Delete a group rule; removeUsers also ends what it gave", {
      params: rule_params,
      querystring: removing,
    }),
    async (request, reply) => {
      must(
        await deleteRule(commandOf(api, request), request.params.rule_id, {
          remove_users: request.query.removeUsers === "true",
        }),
      );
      return reply.code(202).send({});
    },
  );

  for (const [path, command] of [
    ["activate", activateRule],
    ["deactivate", deactivateRule],
  ] as const) {
    const summary = path === "activate" ? "Let a rule act" : "Stop a rule; who it put in groups stays there";
    server.post(
      `/api/v1/groups/rules/:rule_id/lifecycle/${path}`,
      about("rules", summary, { params: rule_params }),
      async (request, reply) => {
        const { rule_id } = request.params;
        const rule = found(await getRule(api.db, rule_id), rule_id, "GroupRule");
        await reach(api, request, { group: rule.group_ids });
        must(await command(commandOf(api, request), rule_id), "groupRule");
        return reply.code(204).send();
      },
    );
  }
}

function excludedOf({ conditions }: RuleInput): string[] {
  const { people } = conditions;
  if ((people?.groups?.exclude?.length ?? 0) > 0) {
    throw invalid(
      "conditions.people.groups",
      'Excluded groups belong in the expression: add "&& !isMemberOfAnyGroup(...)"',
    );
  }
  return people?.users?.exclude ?? [];
}

/** The rule and who it leaves alone, as a whole; exceptions that end by themselves are left as they are. */
async function replaceRule(
  running: Running,
  id: string,
  input: RuleInput,
  excluded: readonly string[],
): Promise<StoredRule | Refusal> {
  const rule = await updateRule(running, id, {
    name: input.name,
    expression: input.conditions.expression.value,
    group_ids: input.actions.assignUserToGroups.groupIds,
  });
  if (isRefusal(rule)) return rule;
  const before = await excludedUsers(running.db, id);
  const added = excluded.filter((user_id) => !before.includes(user_id));
  const gone = before.filter((user_id) => !excluded.includes(user_id));
  const outcomes = [
    added.length === 0
      ? []
      : await addExceptions(
          running,
          id,
          added.map((user_id) => ({ user_id })),
        ),
    gone.length === 0 ? [] : await removeExceptions(running, id, gone),
  ];
  return outcomes.find(isRefusal) ?? rule;
}

async function excludedUsers(db: Database, rule_id: string): Promise<readonly string[]> {
  const exceptions = await listExceptions(db, rule_id, { limit: 1_000 });
  return exceptions.filter(({ expires_at }) => expires_at === null).map(({ user_id }) => user_id);
}

async function ruleBody(db: Database, rule: StoredRule, expanded?: string) {
  const names = expanded?.includes("groupIdToGroupNameMap") ? await groupNames(db, rule.group_ids) : undefined;
  return {
    type: "group_rule",
    id: rule.id,
    status: rule.status,
    name: rule.name,
    created: date(rule.created_at),
    lastUpdated: date(rule.updated_at),
    conditions: {
      people: { users: { exclude: await excludedUsers(db, rule.id) }, groups: { exclude: [] } },
      expression: { value: rule.expression, type: "urn:okta:expression:1.0" },
    },
    actions: { assignUserToGroups: { groupIds: rule.group_ids } },
    allGroupsValid: rule.status !== "INVALID",
    ...(names === undefined ? {} : { _embedded: { groupIdToGroupNameMap: names } }),
  };
}

async function groupNames(db: Database, group_ids: readonly string[]): Promise<Record<string, string>> {
  const { rows } = await sql<{ id: string; name: string }>`
    select id, profile->>'name' as name from groups where id = any(${[...group_ids]}::text[])`.execute(db);
  return Object.fromEntries(rows.map(({ id, name }) => [id, name]));
}
