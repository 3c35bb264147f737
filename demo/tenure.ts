/**
 * Tenure as the demo uses it: what an administrator does, each a call or two of the API. Paths under /api/v1 are Okta's,
 * those under /admin/v1 ours.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Api, ApiRefusal } from "./api.ts";
import type { LinePlan } from "./company.ts";
import type { Explanation, Plan } from "./words.ts";

export type Task = Readonly<{ id: string; title: string }>;

type Refused = Readonly<{ place: string; reason: string }>;

/** `refused`: rows that were not taken, each with its place and reason. */
export type Imported = Readonly<{
  status: string;
  reason: string | null;
  counts: Readonly<Record<string, number>>;
  refused: readonly Refused[];
}>;

type ImportBody = Readonly<{ status: string; counts: Imported["counts"]; detail: Readonly<{ reason?: string }> }>;

type StatusBody = Readonly<{
  dirty: number;
  queues: readonly QueueBody[];
}>;

type QueueBody = Readonly<{
  app_id: string;
  label: string;
  state: string;
  pause_reason: string | null;
  due: number;
  faulted: number;
}>;

type FaultyBody = Readonly<{ app_label: string; login: string; fault: string; fault_detail: string | null }>;

export type NewApp = Readonly<{ kind: string; label: string; config: Readonly<Record<string, unknown>> }>;

export type Tenure = ReturnType<typeof tenureAt>;

const day_ms = 86_400_000;
const poll_ms = 20;

/** The calls, over an API. */
export function tenureAt(api: Api) {
  return { ...setUp(api), ...people(api), ...ours(api) };
}

function setUp(api: Api) {
  return {
    /** A user attribute of the company's own: a date. */
    async defineDate(name: string, title: string): Promise<void> {
      const properties = { [name]: { title, type: "string", format: "date" } };
      await api.post("/api/v1/meta/schemas/user/default", { definitions: { custom: { properties } } });
    },
    async createGroup(name: string, description: string): Promise<string> {
      const { id } = await api.post<{ id: string }>("/api/v1/groups", { profile: { name, description } });
      return id;
    },
    /** Makes a rule and switches it on. */
    async createRule(name: string, expression: string, group: string): Promise<void> {
      const { id } = await api.post<{ id: string }>("/api/v1/groups/rules", {
        type: "group_rule",
        name,
        conditions: { expression: { value: expression, type: "urn:okta:expression:1.0" } },
        actions: { assignUserToGroups: { groupIds: [group] } },
      });
      await api.post(`/api/v1/groups/rules/${id}/lifecycle/activate`);
    },
    async createApp({ kind, label, config }: NewApp): Promise<string> {
      const { id } = await api.post<{ id: string }>("/api/v1/apps", { name: kind, label, settings: { app: config } });
      return id;
    },
    /** Changes lines of an app's mapping; `to`: to the app's accounts, or to users. */
    async map(app: string, to: "app" | "user", lines: Readonly<Record<string, LinePlan>>): Promise<void> {
      const [mapping] = await api.get<{ id: string }[]>(
        `/api/v1/mappings?${to === "app" ? "target" : "source"}Id=${app}`,
      );
      if (mapping === undefined) throw new Error(`the app ${app} has no mapping to ${to}`);
      const properties = Object.entries(lines).map(([name, line]) => [
        name,
        {
          expression: line.expression,
          pushStatus: line.create_only ? "DONT_PUSH" : "PUSH",
          ...(line.when_empty === undefined ? {} : { whenEmpty: line.when_empty }),
          ...(line.default === undefined ? {} : { default: line.default }),
        },
      ]);
      await api.post(`/api/v1/mappings/${mapping.id}`, { properties: Object.fromEntries(properties) });
    },
    async grantGroup(app: string, group: string, priority: number, profile: object = {}): Promise<void> {
      await api.put(`/api/v1/apps/${app}/groups/${group}`, { priority, profile });
    },
    /** Has a group written to an app, with its members. */
    async pushGroup(app: string, group: string, name: string): Promise<void> {
      const body = { sourceGroupId: group, targetGroupName: name, status: "ACTIVE" };
      await api.post(`/api/v1/apps/${app}/group-push/mappings`, body);
    },
  };
}

function people(api: Api) {
  return {
    async userId(login: string): Promise<string> {
      const { id } = await api.get<{ id: string }>(`/api/v1/users/${encodeURIComponent(login)}`);
      return id;
    },
    async addMember(group: string, user: string): Promise<void> {
      await api.put(`/api/v1/groups/${group}/users/${user}`);
    },
    async removeMember(group: string, user: string): Promise<void> {
      await api.delete(`/api/v1/groups/${group}/users/${user}`);
    },
    async assign(app: string, user: string): Promise<void> {
      await api.post(`/api/v1/apps/${app}/users`, { id: user, scope: "USER" });
    },
    async unassign(app: string, user: string): Promise<void> {
      await api.delete(`/api/v1/apps/${app}/users/${user}`);
    },
    /** Okta's word for the state of somebody's account; null when they have none. */
    async accountStatus(app: string, user: string): Promise<string | null> {
      try {
        const { status } = await api.get<{ status: string }>(`/api/v1/apps/${app}/users/${user}`);
        return status;
      } catch (error) {
        if (error instanceof ApiRefusal && error.status === 404) return null;
        throw error;
      }
    },
  };
}

function ours(api: Api) {
  return {
    /** Makes an app a source of people, and learns its columns. */
    async makeSource(app: string, sourcing: Readonly<Record<string, unknown>>): Promise<void> {
      await api.patch(`/admin/v1/apps/${app}`, { sourcing });
      await api.post(`/admin/v1/apps/${app}/discover`);
    },
    async createPushRule(app: string, name: string, expression: string): Promise<void> {
      await api.post(`/admin/v1/apps/${app}/push-rules`, { name, expression });
    },
    /** Reads a source now and waits until that is done. */
    async importNow(app: string): Promise<Imported> {
      const { id } = await api.post<{ id: string }>(`/admin/v1/apps/${app}/imports`);
      for (;;) {
        const { status, counts, detail } = await api.get<ImportBody>(`/admin/v1/imports/${id}`);
        if (status !== "RUNNING") {
          const rows = await api.list<{ detail: Refused }>(`/admin/v1/imports/${id}/rows?outcome=refused`);
          return { status, counts, reason: detail.reason ?? null, refused: rows.map((row) => row.detail) };
        }
        await sleep(poll_ms);
      }
    },
    /** How many calls to apps have been recorded. */
    async operations(): Promise<number> {
      const lines = (await api.text("/metrics")).split("\n");
      const counts = lines.filter((line) => line.startsWith("tenure_operations_total{"));
      return counts.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
    },
    standing: () => standing(api),
    async setLicence(app: string, seats: number, ends_at: Date): Promise<void> {
      await api.put(`/admin/v1/apps/${app}/licence`, { seats, expires_at: ends_at.toISOString() });
    },
    /** Sets the server's clock so many days ahead of the real time. */
    async moveClock(days: number): Promise<void> {
      await api.put("/admin/v1/clock", { shift_ms: days * day_ms });
    },
    /** The time in the story. */
    async now(): Promise<Date> {
      const { now } = await api.get<{ now: string }>("/admin/v1/clock");
      return new Date(now);
    },
    openTasks(app: string, user?: string): Promise<readonly Task[]> {
      const whose = user === undefined ? "" : `&user_id=${user}`;
      return api.list<Task>(`/admin/v1/tasks?app=${app}${whose}&limit=1000`);
    },
    async completeTasks(ids: readonly string[], note: string): Promise<void> {
      await api.post("/admin/v1/tasks/complete", { ids, note });
    },
    /** What would be done for somebody if their profile were otherwise. */
    plan(login: string, supposed: Readonly<Record<string, string>>): Promise<Plan> {
      return api.post<Plan>("/admin/v1/plan", { user: login, profile: supposed });
    },
    explain(login: string, app: string, attribute: string): Promise<Explanation> {
      const query = new URLSearchParams({ user: login, app, attribute });
      return api.get<Explanation>(`/admin/v1/explain?${query}`);
    },
  };
}

/** What is left to do and what stands in its way, a line each. */
async function standing(api: Api): Promise<readonly string[]> {
  const { dirty, queues } = await api.get<StatusBody>("/admin/v1/status");
  const busy = queues.filter(({ due, faulted, state }) => due > 0 || faulted > 0 || state !== "ok");
  const faulty = await Promise.all(
    busy
      .filter(({ faulted }) => faulted > 0)
      .map(({ app_id }) => api.get<FaultyBody[]>(`/admin/v1/accounts?app=${app_id}&which=all&fault=any&limit=5`)),
  );
  return [
    `Tenure: ${dirty} people to compute`,
    ...busy.map(({ label, state, due, faulted, pause_reason }) => {
      const why = pause_reason === null ? "" : ` (${pause_reason})`;
      return `${label}: ${state}${why}, ${due} accounts due, ${faulted} with faults`;
    }),
    ...faulty.flat().map((one) => `${one.app_label}, ${one.login}: ${one.fault}: ${one.fault_detail}`),
  ];
}
