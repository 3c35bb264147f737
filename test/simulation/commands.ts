/**
 * The commands of the simulation: what people, workers, apps and time do, one step each. fast-check draws sequences of
 * them, and shrinks a failing one to the few that matter.
 */
import fc from "fast-check";
import { assignUsers, unassignUsers } from "../../src/directory/assignments.ts";
import { grantMemberships, revokeMemberships } from "../../src/directory/memberships.ts";
import { updateRule } from "../../src/directory/rules.ts";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { updateUsers } from "../../src/directory/users.ts";
import { desire } from "../../src/engine/desire.ts";
import { reconcileApp } from "../../src/engine/reconcile.ts";
import { evaluateRules } from "../../src/engine/ruleEvaluation.ts";
import { must } from "../support/world.ts";
import {
  admin,
  type Company,
  confirmWorker,
  crash,
  departments,
  type Person,
  pass,
  release,
  ruleText,
  start,
  startNew,
  startPushes,
  workers,
} from "./company.ts";
import { noteEntitled, unsafe } from "./oracle.ts";

/** A violation: the run fails, and shrinks. */
export class Violation extends Error {}

type Step = fc.AsyncCommand<object, Company>;

function step(
  name: string,
  run: (company: Company) => Promise<void> | void,
  may: (company: Company) => boolean = () => true,
): Step {
  return {
    check: () => true,
    toString: () => name,
    run: async (_model, company) => {
      if (!may(company)) return;
      noteEntitled(company);
      await run(company);
      company.steps++;
      noteEntitled(company);
      const found = unsafe(company);
      if (found.length > 0) throw new Violation(found.join("; "));
    },
  };
}

const person = (company: Company, n: number) => company.people[n % company.people.length] as Person;
const by = { kind: "person", source_id: admin.id } as const;

const whom = fc.nat(2);
const worker = fc.nat(workers - 1);
const appOf = fc.nat(1);

/** A new login; at most four in a run, so that the oracle's comparisons stay small. */
async function rename(company: Company, one: Person): Promise<void> {
  if (one.status === "DEPROVISIONED" || one.logins.length > 3) return;
  const login = `${one.logins[0]?.split("@")[0]}${one.logins.length}@example.com`;
  await must(updateUsers(company.world.command, [{ id: one.id, profile: { login } }]));
  one.login = login;
  one.logins.push(login);
}

const edits = [
  fc.tuple(whom, fc.nat(1)).map(([who, to]) =>
    step(`move(${who}, ${departments[to]})`, async (company) => {
      const one = person(company, who);
      if (one.status === "DEPROVISIONED") return;
      await must(updateUsers(company.world.command, [{ id: one.id, profile: { department: departments[to] ?? "" } }]));
      one.department = departments[to] ?? "";
    }),
  ),
  whom.map((who) => step(`rename(${who})`, (company) => rename(company, person(company, who)))),
  fc.tuple(whom, fc.nat(1), fc.boolean()).map(([who, group, into]) =>
    step(`${into ? "join" : "quit"}(${who}, group ${group})`, async (company) => {
      const one = person(company, who);
      const group_id = company.groups[group] ?? "";
      if (into) await must(grantMemberships(company.world.command, [{ user_id: one.id, group_id, ...by }]));
      else if (one.groups.has(group))
        await must(revokeMemberships(company.world.command, [{ user_id: one.id, group_id, kind: "person" }]));
      if (into) one.groups.add(group);
      else one.groups.delete(group);
    }),
  ),
  fc.tuple(whom, appOf, fc.boolean()).map(([who, app, give]) =>
    step(`${give ? "assign" : "unassign"}(${who}, app ${app})`, async (company) => {
      const one = person(company, who);
      if (one.status === "DEPROVISIONED") return;
      const app_id = company.apps[app] ?? "";
      if (give) await must(assignUsers(company.world.command, app_id, [{ user_id: one.id, ...by }]));
      else if (one.own.has(app)) await must(unassignUsers(company.world.command, app_id, [one.id]));
      if (give) one.own.add(app);
      else one.own.delete(app);
    }),
  ),
  fc.nat(1).map((to) =>
    step(`editRule(${departments[to]})`, async (company) => {
      const expression = ruleText(departments[to] ?? "");
      await must(updateRule(company.world.command, company.rule.id, { expression }));
      company.rule.department = departments[to] ?? "";
    }),
  ),
];

async function leave(company: Company, one: Person): Promise<void> {
  if (one.status === "DEPROVISIONED") return;
  await must(transitionUser(company.world.command, one.id, { kind: "deactivate" }));
  one.status = "DEPROVISIONED";
  one.own.clear();
}

async function comeBack(company: Company, one: Person): Promise<void> {
  if (one.status !== "DEPROVISIONED") return;
  await must(transitionUser(company.world.command, one.id, { kind: "activate" }));
  one.status = "ACTIVE";
}

async function suspend(company: Company, one: Person, on: boolean): Promise<void> {
  if (one.status !== (on ? "ACTIVE" : "SUSPENDED")) return;
  await must(transitionUser(company.world.command, one.id, { kind: on ? "suspend" : "unsuspend" }));
  one.status = on ? "SUSPENDED" : "ACTIVE";
  noteEntitled(company);
}

/** Whoever is here leaves, whoever left comes back. */
async function turnAround(company: Company, one: Person): Promise<void> {
  await (one.status === "DEPROVISIONED" ? comeBack(company, one) : leave(company, one));
  noteEntitled(company);
}

const lives = [
  whom.map((who) => step(`leave(${who})`, (company) => leave(company, person(company, who)))),
  whom.map((who) => step(`return(${who})`, (company) => comeBack(company, person(company, who)))),
  fc
    .tuple(whom, fc.boolean())
    .map(([who, on]) =>
      step(`${on ? "suspend" : "unsuspend"}(${who})`, (company) => suspend(company, person(company, who), on)),
    ),
];

const engine = [
  fc.constant(step("desire", async ({ world }) => void (await desire(world, 10)))),
  fc.constant(step("evaluate", async ({ world }) => void (await evaluateRules(world, { range: 3, slice: 2 })))),
  worker.map((who) => step(`claim(${who})`, (company) => start(company, who, 2))),
  worker.map((who) => step(`desire and claim new(${who})`, (company) => startNew(company, who, 2))),
  worker.map((who) => step(`claimPushes(${who})`, (company) => startPushes(company, who))),
  fc.nat(5).map((n) => step(`call(${n})`, async (company) => void (await release(company, n)))),
  worker.map((who) => step(`confirm(${who})`, (company) => confirmWorker(company, who))),
  worker.map((who) => step(`crash(${who})`, (company) => crash(company, who))),
];

/** A worker does all it can without being stopped. */
async function wholeTurn(company: Company, who: number): Promise<void> {
  await desire(company.world, 10);
  await start(company, who, 5);
  for (let n = 0; n < 60 && (await release(company, 0, who)); n++);
  await confirmWorker(company, who);
}

const turns = [
  worker.map((who) => step(`turn(${who})`, (company) => wholeTurn(company, who))),
  // A worker makes all its calls and dies before it can tell; meanwhile somebody gets a new name.
  fc.tuple(worker, whom).map(([who, whose]) =>
    step(`lose(${who}), rename(${whose})`, async (company) => {
      await desire(company.world, 10);
      await start(company, who, 5);
      for (let n = 0; n < 60 && (await release(company, 0, who)); n++);
      crash(company, who);
      await rename(company, person(company, whose));
      await pass(company, 61_000);
      await wholeTurn(company, (who + 1) % workers);
    }),
  ),
  // Someone suspended is let in again, a worker enables the account and dies before it can tell, and they are suspended
  // again: what we believe of the account is what is wanted, and not what is.
  fc.tuple(worker, whom).map(([who, whose]) =>
    step(`waver(${who}, ${whose})`, async (company) => {
      const one = person(company, whose);
      await comeBack(company, one);
      await suspend(company, one, true);
      await wholeTurn(company, who);
      await suspend(company, one, false);
      await desire(company.world, 10);
      await start(company, who, 5);
      for (let n = 0; n < 60 && (await release(company, 0, who)); n++);
      crash(company, who);
      await suspend(company, one, true);
      await desire(company.world, 10);
    }),
  ),
  // Somebody turns around between a worker's calls and its confirm.
  fc.tuple(worker, whom).map(([who, whose]) =>
    step(`overtake(${who}, ${whose})`, async (company) => {
      await desire(company.world, 10);
      await start(company, who, 5);
      for (let n = 0; n < 60 && (await release(company, 0, who)); n++);
      await turnAround(company, person(company, whose));
      await desire(company.world, 10);
      await confirmWorker(company, who);
    }),
  ),
  // Two workers and a person who comes and goes: the first writes and is too late to confirm, the second writes the
  // opposite and may die, then the first confirms what is no longer so.
  fc.tuple(worker, whom, fc.boolean(), fc.boolean()).map(([who, whose, dies, again]) =>
    step(
      `relay(${who}, ${whose}, second ${dies ? "dies" : "confirms"}${again ? ", turned again" : ""})`,
      async (company) => {
        const second = (who + 1) % workers;
        for (const one of [who, second]) {
          await turnAround(company, person(company, whose));
          await desire(company.world, 10);
          await start(company, one, 5);
          for (let n = 0; n < 60 && (await release(company, 0, one)); n++);
          if (one === who) await pass(company, 61_000);
        }
        if (dies) crash(company, second);
        await confirmWorker(company, who);
        await confirmWorker(company, second);
        if (again) await turnAround(company, person(company, whose));
      },
    ),
  ),
  // The classic accident: a worker makes a few calls and sleeps through its lease in front of the next, another takes
  // over, and the first wakes, makes its call, and either dies or confirms.
  fc.tuple(worker, fc.nat(3), fc.boolean()).map(([who, calls, dies]) =>
    step(`oversleep(${who} after ${calls}, ${dies ? "dies" : "confirms"})`, async (company) => {
      await desire(company.world, 10);
      await start(company, who, 2);
      for (let n = 0; n < calls; n++) await release(company, 0, who);
      await pass(company, 61_000);
      await wholeTurn(company, (who + 1) % workers);
      for (let n = 0; n < 60 && (await release(company, 0, who)); n++);
      if (dies) crash(company, who);
      else await confirmWorker(company, who);
    }),
  ),
];

const looks = appOf.map((app) =>
  step(`reconcile(app ${app})`, async (company) => {
    await reconcileApp(company.world, company.apps[app] ?? "").catch(() => {});
  }),
);

const times = fc
  .constantFrom(1_000, 20_000, 61_000, 400_000)
  .map((ms) => step(`pass(${ms} ms)`, (company) => pass(company, ms)));

const outside = [
  fc.tuple(appOf, fc.nat(3), fc.boolean()).map(([app, n, on]) =>
    step(`outside(app ${app}, ${on ? "enable" : "disable"} ${n})`, (company) => {
      const fake = company.fakes[app];
      const id = [...(fake?.accounts.keys() ?? [])][n];
      if (id === undefined) return;
      fake?.edit(id, { enabled: on });
      company.needs_reconcile = true;
    }),
  ),
  fc.tuple(appOf, fc.nat(3)).map(([app, n]) =>
    step(`outside(app ${app}, delete ${n})`, (company) => {
      const fake = company.fakes[app];
      const id = [...(fake?.accounts.keys() ?? [])][n];
      if (id === undefined) return;
      fake?.remove(id);
      company.needs_reconcile = true;
    }),
  ),
  appOf.map((app) => step(`deliverLate(app ${app})`, (company) => void company.fakes[app]?.deliverLate(1))),
];

/** Sequences of commands. `meddling`: people also change the apps themselves. */
export function sequences(meddling: boolean): fc.Arbitrary<Iterable<Step>> {
  const weights = [
    ...edits,
    ...lives,
    ...engine,
    ...engine,
    ...turns,
    ...turns,
    looks,
    looks,
    times,
    ...(meddling ? outside : []),
  ];
  return fc.commands(weights, { maxCommands: 60, size: "+2" }) as fc.Arbitrary<Iterable<Step>>;
}
