/** Words for stories of an HR file whose days say everything they can: people, an app that they all get, a clock. */
import { getUser } from "../../src/directory/userQueries.ts";
import type { Sourcing } from "../../src/store/tables.ts";
import { type Hr, hrSource, type Row } from "../engine/hr.ts";
import type { stage } from "./support.ts";

/** What the columns of these files are to the source. */
export const all_columns: Partial<Sourcing> = {
  last_day_attribute: "lastday",
  urgent_attribute: "urgent",
  primary_attribute: "primary",
  absence_start_attribute: "away",
  absence_end_attribute: "back",
  merged_attribute: "merged",
  several_rows: true,
};

/** The verbs, over a stage. */
export function hrStage(s: ReturnType<typeof stage>) {
  const find = (login = "ada.byron") => getUser(s.world().db, `${login}@example.com`);
  return {
    find,
    /** An HR file whose people all get an app. */
    async company(sourcing: Partial<Sourcing> = {}): Promise<{ hr: Hr; app: string }> {
      const app = await s.app();
      const staff = await s.group("Staff");
      await s.grant(app, staff);
      await s.rule("Everyone of HR", 'user.employeeNumber != ""', [staff]);
      return { hr: await hrSource(s.world(), { ...all_columns, ...sourcing }, "HR", true), app };
    },
    /** Goes to an instant and does what is due by then. */
    async at(when: string): Promise<void> {
      s.world().clock.set(new Date(when));
      await s.settle();
    },
    /** A file comes in, and what follows from it is done. */
    async arrive(hr: Hr, ...rows: readonly Row[]) {
      const run = await hr.run(rows);
      await s.settle();
      return run;
    },
    status: async (login?: string) => (await find(login))?.status,
    department: async (login?: string) => (await find(login))?.profile["department"],
    /** Someone's account in the app: on, off, or undefined where there is none. */
    async account(app: string, login?: string): Promise<boolean | undefined> {
      const user = await find(login);
      return user && (await s.there(app, user.id))?.enabled;
    },
    /** How often the app was asked to make an account. */
    creations: (app: string) => s.calls(app, "create"),
  };
}
