/** The story's first part: somebody comes, and somebody rises. */
import { fullName } from "../cast.ts";
import { badges_label } from "../company.ts";
import { change, hire } from "../hrFile.ts";
import { explanationInWords, planInWords } from "../words.ts";
import { account, accountIs, enabled, memberIs, type Step, shut, until } from "./stage.ts";

export const arrivals: readonly Step[] = [
  {
    step: "hire",
    title: "A new engineer starts in Torino",
    async play(stage, deadline) {
      const { cast, hr, tell } = stage;
      const who = cast.newcomer;
      tell.say(`HR adds one row: ${fullName(who)}, ${who.title}, from today. Nothing else is done by hand.`);
      await hr.publish(hire(hr.rows, who));
      await until(deadline, [
        enabled(stage, "Chat", who),
        accountIs(stage, "Code", who, (seen) => !seen.roles.includes("developer") && "is no developer"),
        accountIs(stage, "Wiki", who, (seen) => seen.roles.join() !== "author" && `has the role ${seen.roles}`),
        enabled(stage, "Expenses", who),
        accountIs(stage, "Ticketing", who, (seen) => seen.roles.join() !== "reporter" && `has the role ${seen.roles}`),
        memberIs(stage, "Chat", "Engineering", who, true),
        memberIs(stage, "Code", "Engineering", who, true),
      ]);
      for (const app of ["Chat", "Code", "Wiki", "Expenses", "Ticketing"] as const) {
        const seen = await account(stage, app, who);
        tell.change(fullName(who), app, "account", "none", `enabled, id ${seen?.id}`);
      }
      tell.say(`${badges_label} has no interface: a task asks somebody to hand out the badge.`);
      tell.say("Why has this person a developer's account in Code? `tenure explain` knows:");
      tell.quote(explanationInWords(await stage.tenure.explain(who.login, "Code", "roles")));
    },
  },
  {
    step: "promotion",
    title: "A technician becomes an engineering lead: department, title and manager change",
    async play(stage, deadline) {
      const { cast, hr, tell } = stage;
      const { promoted: who, promotion } = cast;
      const rows = change(hr.rows, who.employeeNumber, promotion);
      const manager = rows.find((row) => row.employeeNumber === promotion.managerEmployeeNumber)!;
      const before = await account(stage, "Chat", who);
      const wiki = await account(stage, "Wiki", who);
      tell.say(`Before it is done, \`tenure plan\` says what it will mean for ${fullName(who)}:`);
      const { department = "", title = "", division = "", costCenter = "" } = promotion;
      const supposed = { department, title, division, costCenter, managerId: manager.employeeNumber };
      tell.quote(planInWords(await stage.tenure.plan(who.login, supposed)));
      tell.say("Now HR changes the row.");
      await hr.publish(rows);
      await until(deadline, [
        accountIs(
          stage,
          "Chat",
          who,
          (seen) =>
            (seen.department !== department && `is in ${seen.department}`) ||
            (seen.title !== title && `is ${seen.title}`) ||
            (seen.manager !== manager.login && `has the manager ${seen.manager}`),
        ),
        accountIs(stage, "Wiki", who, (seen) => seen.roles.join() !== "author" && `has the role ${seen.roles}`),
        accountIs(stage, "Expenses", who, (seen) => seen.title !== title && `is ${seen.title}`),
        enabled(stage, "Code", who),
        enabled(stage, "Ticketing", who),
        memberIs(stage, "Chat", who.department, who, false),
        memberIs(stage, "Chat", department, who, true),
        memberIs(stage, "Code", "Engineering leads", who, true),
      ]);
      const after = await account(stage, "Chat", who);
      const name = fullName(who);
      tell.change(name, "Chat", "department", before?.department ?? "none", after?.department ?? "none");
      tell.change(name, "Chat", "manager", before?.manager ?? "none", after?.manager ?? "none");
      tell.change(name, "Wiki", "role", wiki?.roles.join() ?? "none", "author");
      tell.change(name, "Code", "account", "none", "enabled, in Engineering leads");
    },
  },
  {
    step: "app_taken",
    title: "An app is taken from one person",
    async play(stage, deadline) {
      const { cast, tell, tenure, company } = stage;
      const who = cast.accountant;
      await until(deadline, [enabled(stage, "Ticketing", who)]);
      tell.say(`${fullName(who)} was given Ticketing by hand, for an audit. The audit is over.`);
      await tenure.unassign(company.app("Ticketing"), await tenure.userId(who.login));
      stage.turn({ taken: true });
      await until(deadline, [shut(stage, "Ticketing", who), enabled(stage, "Expenses", who)]);
      tell.change(fullName(who), "Ticketing", "account", "enabled", "disabled");
    },
  },
];
