/**
 * Who plays which part in the story, chosen from the HR file by what they are, so that another seed or size has a cast,
 * too. Pure.
 */
import { addDays, type Oddities } from "./hrFile.ts";
import { departments, places } from "./names.ts";
import { employeeNumber, type HrRow, personAt } from "./people.ts";

/** `responders`: first members of the hand-kept group; `recruit` comes in later for `relieved`. */
export type Cast = Readonly<{
  /** Not in the file yet: an engineer in Torino. */
  newcomer: HrRow;
  /** From Manufacturing; becomes `promotion`. */
  promoted: HrRow;
  promotion: Partial<HrRow>;
  /** In Finance: has Ticketing by hand until it is taken. */
  accountant: HrRow;
  responders: readonly HrRow[];
  relieved: HrRow;
  /** In Sales: has no Ticketing before. */
  recruit: HrRow;
  /** Contractor whose contract ends first. */
  contractor: HrRow;
  /** Engineer in Torino, with a badge; leaves and returns. */
  leaver: HrRow;
  /** In Customer Support: their titles change during the outage. */
  agents: readonly HrRow[];
  /** Their manager is not in the file. */
  orphan: HrRow;
}>;

/** Chooses the cast. Throws for a company too small to have everyone. */
export function chooseCast(rows: readonly HrRow[], odd: Oddities, n: number, seed: number, today: string): Cast {
  const used = new Set<string>([...odd.namesakes, odd.original, odd.doubled, odd.orphaned, odd.ending]);
  const take = (what: string, fits: (row: HrRow) => boolean): HrRow => {
    const found = rows.find((row) => !used.has(row.employeeNumber) && fits(row));
    if (found === undefined) throw new Error(`among ${n} people there is no ${what}: try --people 250`);
    used.add(found.employeeNumber);
    return found;
  };
  const staff = (department: string, depth: number) => (row: HrRow) =>
    row.department === department && row.userType === "employee" && row.title === titleAt(department, depth);
  const known = (number: string) => rows.find((row) => row.employeeNumber === number)!;
  const head = rows.find(staff("Engineering", 0))!;
  const lead = rows.find((row) => staff("Engineering", 1)(row) && !used.has(row.employeeNumber))!;
  const engineering = departments.find((department) => department.name === "Engineering")!;
  const { division, costCenter, ladder } = engineering;
  const place = { department: engineering.name, division, costCenter };
  const responders = [0, 1, 2].map((one) => take(`IT lead ${one}`, staff("IT", 1)));
  return {
    newcomer: {
      ...firstAfter(n, seed, today),
      ...{ ...place, title: ladder[3]!, managerEmployeeNumber: lead.employeeNumber, userType: "employee" },
      ...{ startDate: today, endDate: "" },
    },
    promoted: take("senior technician", staff("Manufacturing", 2)),
    promotion: { ...place, title: ladder[1]!, managerEmployeeNumber: head.employeeNumber },
    accountant: take("controller", staff("Finance", 1)),
    responders,
    relieved: responders[0]!,
    recruit: take("account executive", staff("Sales", 2)),
    contractor: known(odd.ending),
    leaver: take("senior engineer in Torino", (row) => staff("Engineering", 2)(row) && row.countryCode === "IT"),
    agents: [0, 1, 2, 3].map((one) => take(`support engineer ${one}`, staff("Customer Support", 2))),
    orphan: known(odd.orphaned),
  };
}

function titleAt(department: string, depth: number): string | undefined {
  return departments.find(({ name }) => name === department)?.ladder[depth];
}

/** The first person beyond the file who lives where the company began. */
function firstAfter(n: number, seed: number, today: string): HrRow {
  for (let i = n + 1; ; i++) {
    const row = personAt(i, i + 1, seed, addDays(today, -1));
    if (row.countryCode === places[0]!.country) return { ...row, employeeNumber: employeeNumber(i) };
  }
}

/** `Zoé Moreau`. */
export function fullName(row: HrRow): string {
  return `${row.firstName} ${row.lastName}`;
}
