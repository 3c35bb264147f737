/**
 * Who should have which app, told from the HR rows alone by a second, plainer reading of the company's rules. The demo
 * holds the apps against it, account by account, so that nobody is missed and nobody has too much. Pure.
 */
import type { Cast } from "./cast.ts";
import type { Oddities } from "./hrFile.ts";
import type { HrRow } from "./people.ts";
import type { AppLabel } from "./systems.ts";

/** How far the story has come, as far as it is not in the HR rows. */
export type Turns = Readonly<{ taken: boolean; relieved: boolean; contract_over: boolean }>;

export const before_story: Turns = { taken: false, relieved: false, contract_over: false };

/** Who works here: neither left nor refused for an address that is another's. */
export function present(rows: readonly HrRow[], odd: Oddities, turns: Turns): readonly HrRow[] {
  const gone = turns.contract_over ? odd.ending : "";
  return rows.filter(
    ({ status, employeeNumber }) => status === "active" && employeeNumber !== odd.doubled && employeeNumber !== gone,
  );
}

/** The logins that must have an enabled account in an app; everyone else must have none. */
export function expectedLogins(
  app: AppLabel,
  rows: readonly HrRow[],
  odd: Oddities,
  cast: Cast,
  turns: Turns,
): ReadonlySet<string> {
  const here = present(rows, odd, turns);
  return new Set(here.filter((row) => has(app, row, cast, turns)).map(({ login }) => login));
}

function has(app: AppLabel, { department, userType, employeeNumber }: HrRow, cast: Cast, turns: Turns): boolean {
  switch (app) {
    case "Chat":
      return true;
    case "Code":
      return department === "Engineering";
    case "Wiki":
      return department === "Engineering" || department === "Research" || userType === "employee";
    case "Expenses":
      return userType === "employee";
    case "Ticketing": {
      const responders = cast.responders.map((row) => row.employeeNumber);
      const by_hand = turns.relieved ? [...responders, cast.recruit.employeeNumber] : responders;
      if (!turns.taken) by_hand.push(cast.accountant.employeeNumber);
      return ["IT", "Customer Support", "Engineering"].includes(department) || by_hand.includes(employeeNumber);
    }
  }
}
