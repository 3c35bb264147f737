/** The invented company's people: the same ones every time, each told from all others, in one tree, in bounded memory. */
import { describe, expect, test } from "vitest";
import { chooseCast } from "../../demo/cast.ts";
import { change, columns, comeBack, csvLines, hire, hrRows, leave, people_min } from "../../demo/hrFile.ts";
import { departments, places } from "../../demo/names.ts";
import { type HrRow, people, personAt } from "../../demo/people.ts";

const today = "2026-05-01";
const company = [...people(250, 7, today)];

describe("the generator", () => {
  test("gives the same people for the same seed, and others for another", () => {
    expect([...people(250, 7, today)]).toEqual(company);
    expect([...people(250, 8, today)]).not.toEqual(company);
  });

  test("computes a person from their number alone, so a list may begin anywhere", () => {
    for (const i of [0, 1, 17, 100, 249]) expect(personAt(i, 250, 7, today)).toEqual(company[i]);
  });

  test.each([1, 2, 3])("gives 50,000 people 50,000 addresses (seed %i)", (seed) => {
    const logins = new Set<string>();
    for (const { login } of people(50_000, seed)) logins.add(login);
    expect(logins.size).toBe(50_000);
  });

  test("writes addresses in plain ASCII, whatever the script of the name", () => {
    for (const { login, email } of company) {
      expect(login).toMatch(/^[a-z-]+\.[a-z-]+\d*@meridian\.example$/);
      expect(email).toBe(login);
    }
  });

  test("has names in Latin with marks, Greek, Cyrillic, Chinese characters and Arabic, apostrophes and hyphens", () => {
    const all = company.map(({ firstName, lastName }) => `${firstName} ${lastName}`).join("\n");
    for (const script of [
      /[àéüłøñ]/u,
      /\p{Script=Greek}/u,
      /\p{Script=Cyrillic}/u,
      /\p{Script=Han}/u,
      /\p{Script=Arabic}/u,
    ]) {
      expect(all).toMatch(script);
    }
    expect(all).toMatch(/['’]/);
    expect(all).toMatch(/\p{L}-\p{L}/u);
  });

  test.each([40, 250, 1_000])("puts %i people under one head, without a circle, seven to a manager", (n) => {
    const rows = [...people(n, 7, today)];
    const byNumber = new Map(rows.map((row) => [row.employeeNumber, row]));
    const reports = new Map<string, number>();
    for (const row of rows) {
      let steps = 0;
      for (let one: HrRow | undefined = row; one.managerEmployeeNumber !== ""; steps++) {
        const manager = byNumber.get(one.managerEmployeeNumber);
        if (manager === undefined || steps > 10) throw new Error(`${one.employeeNumber} has no way to the top`);
        one = manager;
      }
      const { managerEmployeeNumber: manager } = row;
      if (manager !== "") reports.set(manager, (reports.get(manager) ?? 0) + 1);
    }
    const [head] = rows;
    reports.delete(head?.employeeNumber ?? "");
    expect(Math.max(...reports.values())).toBeLessThanOrEqual(7);
    expect(rows.filter((row) => row.managerEmployeeNumber === "")).toEqual([head]);
  });

  test("keeps people in their manager's department, and lets no contractor lead", () => {
    const byNumber = new Map(company.map((row) => [row.employeeNumber, row]));
    for (const row of company) {
      const manager = byNumber.get(row.managerEmployeeNumber);
      if (manager === undefined) continue;
      expect(manager.userType).toBe("employee");
      if (manager.department !== "Management") expect(manager.department).toBe(row.department);
    }
  });

  test("gives contractors, and only them, a last day that lies ahead", () => {
    const contractors = company.filter((row) => row.userType === "contractor");
    expect(contractors.length).toBeGreaterThan(15);
    for (const row of company) {
      expect(row.startDate < today).toBe(true);
      expect(row.endDate > today).toBe(row.userType === "contractor");
    }
  });

  test("fills every department and place by its share", () => {
    const rows = [...people(10_000, 7, today)];
    for (const { name, share } of departments) {
      expect(rows.filter((row) => row.department === name).length / 10_000).toBeCloseTo(share / 20, 2);
    }
    for (const { country, share } of places) {
      expect(rows.filter((row) => row.countryCode === country).length / 10_000).toBeCloseTo(share / 25, 2);
    }
  });
});

describe("the names", () => {
  test("tell people of two places apart, and each from the others of its place", () => {
    const families = places.flatMap(({ last }) => last.map(([, latin]) => latin));
    expect(new Set(families).size).toBe(families.length);
    for (const { first } of places) expect(new Set(first.map(([, latin]) => latin)).size).toBe(first.length);
    for (const [, latin] of places.flatMap(({ first, last }) => [...first, ...last]))
      expect(latin).toMatch(/^[a-z-]+$/);
  });
});

describe("the HR file", () => {
  const { rows, odd } = hrRows(250, 7, today);
  const of = (number: string) => rows.filter((row) => row.employeeNumber === number);

  test("has two people of one name, each with an address of their own", () => {
    const [one, other] = odd.namesakes.flatMap(of);
    expect([one?.firstName, one?.lastName]).toEqual([other?.firstName, other?.lastName]);
    expect(one?.login).not.toBe(other?.login);
  });

  test("has one address twice, and no other twice", () => {
    const logins = rows.map((row) => row.login);
    const twice = logins.filter((login, n) => logins.indexOf(login) !== n);
    expect(twice).toEqual([of(odd.original)[0]?.login]);
    expect(of(odd.doubled)[0]?.login).toBe(twice[0]);
    expect(new Set(rows.map((row) => row.employeeNumber)).size).toBe(251);
  });

  test("has somebody whose manager is in no row", () => {
    expect(of(odd.orphaned)[0]?.managerEmployeeNumber).toBe(odd.lost_manager);
    expect(of(odd.lost_manager)).toEqual([]);
  });

  test("is CSV that quotes what needs it", () => {
    const awkward = { ...company[0]!, title: 'Head of "R&D", Labs', lastName: "D'Angelo" };
    const [head, line] = [...csvLines([awkward])];
    expect(head).toBe(`${columns.join(",")}\r\n`);
    expect(line).toContain(`,D'Angelo,`);
    expect(line).toContain(`,"Head of ""R&D"", Labs",`);
  });

  test("changes by one row a step", () => {
    const number = company[30]!.employeeNumber;
    const newcomer = { ...company[30]!, employeeNumber: "M20000" };
    const left = leave(rows, number, today);
    expect(left.filter((row, n) => row !== rows[n])).toEqual([
      { ...of(number)[0], status: "terminated", endDate: today },
    ]);
    expect(comeBack(left, number, "2026-06-01").find((row) => row.employeeNumber === number)).toMatchObject({
      status: "active",
      startDate: "2026-06-01",
      endDate: "",
    });
    expect(hire(rows, newcomer).at(-1)).toBe(newcomer);
    expect(change(rows, number, { title: "CTO" }).filter((row) => row.title === "CTO")).toHaveLength(1);
  });
});

describe("the cast", () => {
  test("is found in every company, each part played by somebody else, none by somebody odd", () => {
    for (let seed = 0; seed < 100; seed++) {
      const { rows, odd } = hrRows(people_min, seed, today);
      const cast = chooseCast(rows, odd, people_min, seed, today);
      const { newcomer, promoted, accountant, responders, recruit, contractor, leaver, agents, orphan } = cast;
      const all = [newcomer, promoted, accountant, ...responders, recruit, contractor, leaver, ...agents, orphan];
      expect(new Set(all.map((row) => row.employeeNumber)).size).toBe(all.length);
      expect(rows.some((row) => row.login === newcomer.login)).toBe(false);
      for (const number of [...odd.namesakes, odd.original, odd.doubled]) {
        expect(all.some((row) => row.employeeNumber === number)).toBe(false);
      }
    }
  });

  test("has a contractor whose contract ends before every other", () => {
    const { rows, odd } = hrRows(250, 7, today);
    const ends = rows.map((row) => row.endDate).filter((day) => day !== "");
    expect(ends.toSorted()[0]).toBe(chooseCast(rows, odd, 250, 7, today).contractor.endDate);
    expect(ends.toSorted()[1]).not.toBe(ends.toSorted()[0]);
  });
});
