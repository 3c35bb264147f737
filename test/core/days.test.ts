import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { dayBegins, dayEnds } from "../../src/core/days.ts";
import { dayIn, offsetAt } from "../../src/core/expression/functions/zones.ts";

const days: readonly [day: string, zone: string, begins: string, ends: string][] = [
  ["2026-03-02", "UTC", "2026-03-02T00:00:00.000Z", "2026-03-03T00:00:00.000Z"],
  ["2026-03-02", "Europe/Rome", "2026-03-01T23:00:00.000Z", "2026-03-02T23:00:00.000Z"],
  ["2026-03-02", "America/Los_Angeles", "2026-03-02T08:00:00.000Z", "2026-03-03T08:00:00.000Z"],
  ["2026-03-02", "Pacific/Kiritimati", "2026-03-01T10:00:00.000Z", "2026-03-02T10:00:00.000Z"],
  ["2026-03-02", "Asia/Kathmandu", "2026-03-01T18:15:00.000Z", "2026-03-02T18:15:00.000Z"],
  ["2026-03-29", "Europe/Rome", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"],
  ["2026-10-25", "Europe/Rome", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"],
  // Clocks were put forward at midnight: the day began at 01:00.
  ["2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00.000Z", "2018-11-05T02:00:00.000Z"],
  ["2021-03-28", "Asia/Beirut", "2021-03-27T22:00:00.000Z", "2021-03-28T21:00:00.000Z"],
  // They were put back at midnight: the day before lasted an hour longer.
  ["2018-02-18", "America/Sao_Paulo", "2018-02-18T03:00:00.000Z", "2018-02-19T03:00:00.000Z"],
  ["2024-02-29", "Europe/Rome", "2024-02-28T23:00:00.000Z", "2024-02-29T23:00:00.000Z"],
  ["2026-12-31", "UTC", "2026-12-31T00:00:00.000Z", "2027-01-01T00:00:00.000Z"],
  // The day that a date-time names, wherever it was written.
  ["2026-03-02T17:30:00-08:00", "Europe/Rome", "2026-03-01T23:00:00.000Z", "2026-03-02T23:00:00.000Z"],
  ["2026-03-02", "Mars/Olympus", "2026-03-02T00:00:00.000Z", "2026-03-03T00:00:00.000Z"],
];

describe("a day", () => {
  it.each(days)("%s in %s begins at %s and ends at %s", (day, zone, begins, ends) => {
    expect(dayBegins(day, zone)?.toISOString()).toBe(begins);
    expect(dayEnds(day, zone)?.toISOString()).toBe(ends);
  });

  it.each([[""], ["soon"], ["02/03/2026"], ["2026-02-30"], ["2026-13-01"], ["2026-03-02 or later"], ["20260302"]])(
    "is not named by %j",
    (text) => {
      expect(dayBegins(text, "Europe/Rome")).toBeUndefined();
      expect(dayEnds(text, "Europe/Rome")).toBeUndefined();
    },
  );
});

test("a day begins when the one before ends, at the first moment whose date it is", () => {
  const zone = fc.constantFrom(
    "UTC",
    "Europe/Rome",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "America/Havana",
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20_000 }), zone, (n, where) => {
      const day = new Date(n * 86_400_000).toISOString().slice(0, 10);
      const begins = dayBegins(day, where)!;
      expect(dayIn(where, begins.getTime())).toBe(day);
      expect(dayIn(where, begins.getTime() - 60_000) < day).toBe(true);
      const next = new Date((n + 1) * 86_400_000).toISOString();
      expect(dayEnds(day, where)).toEqual(dayBegins(next, where));
    }),
    { numRuns: 500 },
  );
});

describe("the offset of a zone", () => {
  /** What `Intl` says in words, `GMT+05:45`. */
  const formats = new Map<string, Intl.DateTimeFormat>();
  const told = (zone: string, at_ms: number): number => {
    const format =
      formats.get(zone) ?? new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
    formats.set(zone, format);
    const text = format.formatToParts(at_ms).find((part) => part.type === "timeZoneName")?.value ?? "";
    const [, sign = "+", hours = "0", minutes = "0"] = /([+-])(\d{2}):(\d{2})/.exec(text) ?? [];
    return Number(`${sign}1`) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  };
  const zones = Intl.supportedValuesOf("timeZone");
  const minute_ms = 60_000;

  test("is what the runtime says of any zone at any time since 1973, however often it was asked around it", () => {
    const [from, to] = [Date.UTC(1973, 0), Date.UTC(2040, 0)];
    fc.assert(
      fc.property(fc.constantFrom(...zones), fc.integer({ min: from, max: to }), (zone, at_ms) => {
        for (const around of [-minute_ms, 0, minute_ms]) offsetAt(zone, at_ms + around);
        expect(offsetAt(zone, at_ms)).toBe(told(zone, at_ms));
      }),
      { numRuns: 2_000 },
    );
  });

  test("changes at no other time than a full minute since 1973", () => {
    // Month by month; where two differ the moment of the change is looked for, to the second.
    const changes: number[] = [];
    for (const zone of [...zones.filter((_, n) => n % 20 === 0), "America/St_Johns", "Africa/Monrovia"]) {
      for (let at = Date.UTC(1973, 0), month = 1; at < Date.UTC(2030, 0); month++) {
        const next = Date.UTC(1973, month);
        if (told(zone, at) !== told(zone, next)) {
          let [low, high] = [at, next];
          while (high - low > 1_000) {
            const middle = Math.floor((low + high) / 2_000) * 1_000;
            if (told(zone, middle) === told(zone, at)) low = middle;
            else high = middle;
          }
          changes.push(high % minute_ms);
        }
        at = next;
      }
    }
    expect(changes.length).toBeGreaterThan(200);
    expect(new Set(changes)).toEqual(new Set([0]));
  });
});
