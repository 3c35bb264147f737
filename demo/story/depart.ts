/** The story's third part: somebody leaves and returns, and an app fails in between. */
import { setTimeout as sleep } from "node:timers/promises";
import { fullName } from "../cast.ts";
import { badges_label } from "../company.ts";
import { change, comeBack, leave } from "../hrFile.ts";
import { seconds } from "../narrator.ts";
import { type AppLabel, flaky, outage, readTrouble, setTrouble } from "../systems.ts";
import { account, accountIs, enabled, memberIs, type Stage, type Step, shut, until } from "./stage.ts";

const engineers_apps = ["Chat", "Code", "Wiki", "Expenses", "Ticketing"] as const;
const outage_ms = 2_500;

/** The ids that the leaver's accounts had, by app: kept from the leave to the return. */
const ids_before = new WeakMap<Stage["systems"], ReadonlyMap<AppLabel, string>>();

export const departures: readonly Step[] = [
  {
    step: "leave",
    title: "An engineer leaves",
    async play(stage, deadline) {
      const { cast, hr, tell } = stage;
      const who = cast.leaver;
      await until(
        deadline,
        engineers_apps.map((app) => enabled(stage, app, who)),
      );
      const ids = new Map<AppLabel, string>();
      for (const app of engineers_apps) ids.set(app, (await account(stage, app, who))?.id ?? "");
      ids_before.set(stage.systems, ids);
      tell.say(`HR marks ${fullName(who)} as terminated.`);
      const began = performance.now();
      await hr.publish(leave(hr.rows, who.employeeNumber, await stage.today()));
      const shutAfter: string[] = [];
      for (const app of engineers_apps) {
        await until(deadline, [shut(stage, app, who)]);
        shutAfter.push(`${app} ${seconds(performance.now() - began)}`);
      }
      await until(deadline, [
        memberIs(stage, "Code", "Engineering", who, false),
        memberIs(stage, "Chat", "Engineering", who, false),
      ]);
      for (const app of engineers_apps) tell.change(fullName(who), app, "account", "enabled", "disabled");
      tell.say(`Shut after: ${shutAfter.join(", ")}. Out of every pushed group, too.`);
    },
  },
  {
    step: "manual_task",
    title: `People do what no machine can: ${badges_label}`,
    async play(stage) {
      const { cast, tell, tenure, company } = stage;
      const app = company.app(badges_label);
      for (const [who, doing, status] of [
        [cast.newcomer, "handed out", "PROVISIONED"],
        [cast.leaver, "collected", null],
      ] as const) {
        const user = await tenure.userId(who.login);
        const tasks = await tenure.openTasks(app, user);
        const [task] = tasks;
        if (task === undefined || tasks.length > 1) {
          throw new Error(`${badges_label}, ${who.login}: ${tasks.length} open tasks instead of one`);
        }
        tell.say(`Task: ${task.title}`);
        await tenure.completeTasks([task.id], `The badge was ${doing}`);
        const now = await tenure.accountStatus(app, user);
        if (now !== status) throw new Error(`${badges_label}, ${who.login}: the account is ${now}, not ${status}`);
        tell.change(fullName(who), badges_label, "badge", "a task", doing);
      }
    },
  },
  {
    step: "return",
    title: "The engineer returns",
    async play(stage, deadline) {
      const { cast, hr, tell } = stage;
      const who = cast.leaver;
      tell.say(`HR makes ${fullName(who)} active again. Nobody sets anything up.`);
      await hr.publish(comeBack(hr.rows, who.employeeNumber, await stage.today()));
      const ids = ids_before.get(stage.systems);
      await until(deadline, [
        ...engineers_apps.map((app) =>
          accountIs(
            stage,
            app,
            who,
            (seen) =>
              (!seen.active && "is still disabled") ||
              (seen.id !== ids?.get(app) && `is another account than before (${ids?.get(app)})`),
          ),
        ),
        memberIs(stage, "Code", "Engineering", who, true),
        memberIs(stage, "Chat", "Engineering", who, true),
      ]);
      for (const app of engineers_apps) {
        tell.change(fullName(who), app, "account", "disabled", `enabled, the same id ${ids?.get(app)}`);
      }
    },
  },
  {
    step: "outage",
    title: "Ticketing is down, and comes back",
    timeout_ms: 120_000,
    async play(stage, deadline) {
      const { cast, hr, tell, systems } = stage;
      const title = "Senior Support Engineer";
      await setTrouble(systems.Ticketing, outage);
      tell.say(`Ticketing answers every call with an error. Meanwhile HR promotes ${cast.agents.length} people.`);
      let rows = hr.rows;
      for (const who of cast.agents) rows = change(rows, who.employeeNumber, { title });
      await hr.publish(rows);
      const wrong = (seen: { title: string | null }) => seen.title !== title && `is ${seen.title}`;
      await until(
        deadline,
        cast.agents.map((who) => accountIs(stage, "Chat", who, wrong)),
      );
      tell.say("Chat has the new titles: a sick app holds up no other.");
      await sleep(outage_ms);
      const { errors = 0 } = await readTrouble(systems.Ticketing);
      await setTrouble(systems.Ticketing, flaky);
      tell.say(`Ticketing is back, after ${errors} errors in all. Tenure finds out by itself.`);
      await until(
        deadline,
        cast.agents.map((who) => accountIs(stage, "Ticketing", who, wrong)),
      );
      for (const who of cast.agents) tell.change(fullName(who), "Ticketing", "title", who.title, title);
    },
  },
];
