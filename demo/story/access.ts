/** The story's second part: groups change hands, and time passes. */
import { fullName } from "../cast.ts";
import { licence, responders_group } from "../company.ts";
import { addDays, ending_days } from "../hrFile.ts";
import { readAccounts } from "../reader.ts";
import { everyoneIn } from "./begin.ts";
import { accountIs, enabled, groupIn, memberIs, type Stage, type Step, shut, until } from "./stage.ts";

function daysAfter(time: Date, days: number): Date {
  return new Date(time.getTime() + days * 86_400_000);
}

async function enabledIn(stage: Stage, app: "Expenses"): Promise<number> {
  return (await readAccounts(stage.systems[app].address)).filter((seen) => seen.active).length;
}

export const accessChanges: readonly Step[] = [
  {
    step: "group_changed",
    title: `One person leaves the group ${responders_group}, another joins`,
    async play(stage, deadline) {
      const { cast, tell, tenure, company } = stage;
      const { relieved, recruit } = cast;
      const group = company.group(responders_group);
      tell.say("The group gives Ticketing and is itself pushed to Ticketing and Chat.");
      await tenure.removeMember(group, await tenure.userId(relieved.login));
      await tenure.addMember(group, await tenure.userId(recruit.login));
      stage.turn({ relieved: true });
      await until(deadline, [
        // Still there by another group, with that group's role.
        accountIs(stage, "Ticketing", relieved, (seen) => seen.roles.join() !== "admin" && `is ${seen.roles}`),
        accountIs(stage, "Ticketing", recruit, (seen) => seen.roles.join() !== "responder" && `is ${seen.roles}`),
        memberIs(stage, "Ticketing", responders_group, recruit, true),
        memberIs(stage, "Ticketing", responders_group, relieved, false),
        memberIs(stage, "Chat", responders_group, recruit, true),
        memberIs(stage, "Chat", responders_group, relieved, false),
      ]);
      tell.change(fullName(relieved), "Ticketing", "role", "responder", "admin (from the group IT)");
      tell.change(fullName(recruit), "Ticketing", "account", "none", "enabled, responder");
      const members = (await groupIn(stage, "Chat", responders_group))?.members.length;
      tell.change(responders_group, "Chat", "in the app", `with ${fullName(relieved)}`, `with ${fullName(recruit)}`);
      tell.say(`The app's own group has ${members} members.`);
    },
  },
  {
    step: "contract_ends",
    title: "A contractor's last day passes",
    async play(stage, deadline) {
      const { cast, tell, tenure } = stage;
      const who = cast.contractor;
      await until(deadline, [enabled(stage, "Chat", who)]);
      tell.say(`The contract of ${fullName(who)} ends on ${who.endDate}. The demo's clock moves past that day.`);
      await tenure.moveClock(ending_days + 1);
      stage.turn({ contract_over: true });
      await until(deadline, [shut(stage, "Chat", who), memberIs(stage, "Chat", who.department, who, false)]);
      tell.change(fullName(who), "Chat", "account", "enabled", `disabled on ${addDays(who.endDate, 1)}`);
    },
  },
  {
    step: "licence_ends",
    title: `The licence of ${licence.label} ends`,
    async play(stage, deadline) {
      const { tell, tenure } = stage;
      const before = await enabledIn(stage, "Expenses");
      tell.say(`${before} of ${licence.seats} seats are used. The clock moves past the licence's last day.`);
      await tenure.moveClock(licence.days + 1);
      await until(deadline, [
        async () => {
          const left = await enabledIn(stage, "Expenses");
          return left === 0 ? null : `Expenses: ${left} accounts are still enabled`;
        },
      ]);
      tell.change("Everyone", "Expenses", "enabled accounts", `${before}`, "0");
    },
  },
  {
    step: "licence_renewed",
    title: "The invoice is paid: the same accounts come back",
    async play(stage, deadline) {
      const { tell, tenure, company } = stage;
      const ids = (await readAccounts(stage.systems.Expenses.address)).map(({ id }) => id);
      await tenure.setLicence(company.app(licence.label), licence.seats, daysAfter(await tenure.now(), 365));
      await until(deadline, [everyoneIn(stage, "Expenses")]);
      const after = await readAccounts(stage.systems.Expenses.address);
      const strangers = after.filter(({ id }) => !ids.includes(id));
      if (strangers.length > 0) throw new Error(`Expenses has ${strangers.length} new accounts`);
      tell.change("Everyone", "Expenses", "enabled accounts", "0", `${await enabledIn(stage, "Expenses")}`);
    },
  },
];
