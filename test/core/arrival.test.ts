/** What a row of a source is to become. */
import { describe, expect, test } from "vitest";
import { type Arrival, type ArrivalVerdict, judgeArrival, matches_max } from "../../src/core/arrival.ts";

const policy = { auto_confirm: true };
const stranger: Arrival = { enabled: true, user: null, problems: [], dates: { ok: {} }, matches: [] };
const known: Arrival = { ...stranger, user: { status: "ACTIVE" } };
const bad_day = { refused: "start: no day", code: "invalid" } as const;
const match = (user_id: string, row: string | null = null) => ({ user_id, row });

const cases: readonly (readonly [string, Arrival, Partial<ArrivalVerdict>])[] = [
  ["someone new, whom nobody matches", stranger, { outcome: "create" }],
  ["someone new, whom one user matches", { ...stranger, matches: [match("u1")] }, { outcome: "link", user_id: "u1" }],
  [
    "someone new, whose user comes from another row",
    { ...stranger, matches: [match("u1", "7")] },
    { outcome: "refused", reason: expect.stringContaining("another row (7) of this source") as unknown as string },
  ],
  [
    "someone new, whom two users match",
    { ...stranger, matches: [match("u1"), match("u2")] },
    { outcome: "waiting", candidates: ["u1", "u2"] },
  ],
  [
    "someone new, whose values fail",
    { ...stranger, problems: ["title: no", "x: no"] },
    { outcome: "refused", reason: "title: no" },
  ],
  [
    "someone new, whose first day is none",
    { ...stranger, dates: bad_day },
    { outcome: "refused", reason: "start: no day" },
  ],
  ["someone inactive whom we do not know", { ...stranger, enabled: false }, { outcome: "skipped" }],
  ["someone we know", known, { outcome: "update" }],
  ["someone we know, whose first day is none", { ...known, dates: bad_day }, { outcome: "refused" }],
  ["someone suspended", { ...known, user: { status: "SUSPENDED" } }, { outcome: "return" }],
  ["someone who left", { ...known, user: { status: "DEPROVISIONED" } }, { outcome: "return" }],
  ["someone inactive", { ...known, enabled: false }, { outcome: "leave" }],
  [
    "someone inactive whose row is wrong all over",
    { ...known, enabled: false, problems: ["x: no"], dates: bad_day },
    { outcome: "leave" },
  ],
];

describe("a row of a source", () => {
  test.each(cases)("of %s becomes what the rules say", (_name, arrival, verdict) => {
    expect(judgeArrival(arrival, policy)).toMatchObject(verdict);
  });

  test("whose match is not to be confirmed by itself waits, and tells for whom", () => {
    const verdict = judgeArrival({ ...stranger, matches: [match("u1")] }, { ...policy, auto_confirm: false });
    expect(verdict).toEqual({ outcome: "waiting", reason: "waits to be confirmed", user_id: "u1" });
  });

  test.each([
    ["create", null, { outcome: "create" }],
    ["ignore", null, { outcome: "skipped", reason: "ignored by Jo" }],
    ["link", match("u9"), { outcome: "link", user_id: "u9" }],
    ["link", match("u9", "7"), { outcome: "refused" }],
    ["link", null, { outcome: "waiting" }],
  ] as const)("about which a person has decided %s, with %j, becomes %j, whoever matches", (kind, who, verdict) => {
    const decided: Arrival = { ...stranger, matches: [match("u1")], decision: { kind, by: "Jo", match: who } };
    expect(judgeArrival(decided, { ...policy, auto_confirm: false })).toMatchObject(verdict);
    expect(judgeArrival({ ...decided, problems: ["x: no"] }, policy)).toMatchObject({ outcome: "refused" });
  });

  test("of someone new waits where that is to be confirmed", () => {
    const verdict = judgeArrival(stranger, { ...policy, auto_confirm_new: false });
    expect(verdict).toEqual({ outcome: "waiting", reason: "waits to be confirmed as someone new" });
  });

  test("that very many match tells of some, and that they are more", () => {
    const matches = Array.from({ length: matches_max + 1 }, (_, n) => match(`u${n}`));
    const verdict = judgeArrival({ ...stranger, matches }, policy);
    expect(verdict).toMatchObject({ outcome: "waiting", reason: expect.stringMatching(/^more than 10 users match/) });
    expect("candidates" in verdict && verdict.candidates).toHaveLength(matches_max);
  });

  const by = (user_id: string, ...names: string[][]) => ({ ...match(user_id), by: names });
  test.each([
    ["alike", [by("u1", ["email"]), by("u2", ["email"])], "2 users match by email:"],
    ["each in another way", [by("u1", ["login"]), by("u2", ["email"])], "2 users match, 1 by login, 1 by email:"],
    [
      "and one in two ways",
      [by("u1", ["login"], ["lastName", "city"]), by("u2", ["email"])],
      "2 users match, 1 by login and by lastName and city, 1 by email:",
    ],
  ])("that several match, %s, waits and says how they do", (_name, matches, reason) => {
    const verdict = judgeArrival({ ...stranger, matches }, policy);
    expect(verdict).toMatchObject({
      outcome: "waiting",
      candidates: ["u1", "u2"],
      reason: expect.stringContaining(reason),
      fits: { u2: { reasons: ["email the same"] } },
    });
  });

  describe("that nobody matches and that is alike", () => {
    const reasons = [
      { attribute: "lastName", likeness: 1, weight: 4 },
      { attribute: "firstName", likeness: 0.7, weight: 3 },
    ];
    const fit = (user_id: string, more = {}) => ({ user_id, score: 0.871, reasons, ...more });
    const why = "87 % alike: lastName the same, firstName alike";
    const told = { score: 87, reasons: ["lastName the same", "firstName alike"] };
    const one: Arrival = { ...stranger, alike: { fits: [fit("u1")] } };
    const sure = { ...policy, auto_confirm_partial: true };

    test("to one user waits for a person, with the score and why", () => {
      const verdict = judgeArrival(one, policy);
      expect(verdict).toEqual({ outcome: "waiting", reason: why, user_id: "u1", fits: { u1: told }, alike: true });
    });
    test("is linked where the source says so, unless something speaks against it", () => {
      expect(judgeArrival(one, sure)).toEqual({ outcome: "link", user_id: "u1", alike: true, reason: why });
      const former: Arrival = { ...stranger, alike: { fits: [fit("u1", { former: true })] } };
      expect(judgeArrival(former, sure)).toMatchObject({ outcome: "link", user_id: "u1", former: true });
      const unsure: Arrival = { ...stranger, alike: { fits: [fit("u1")], unsure: "row 7 is alike, too" } };
      expect(judgeArrival(unsure, sure)).toMatchObject({ outcome: "waiting", reason: `${why}; row 7 is alike, too` });
    });
    test("to several waits, whatever the source says, and tells of the first of them", () => {
      const fits = Array.from({ length: matches_max + 1 }, (_, n) => fit(`u${n}`));
      const two = judgeArrival({ ...stranger, alike: { fits: fits.slice(0, 2) } }, sure);
      expect(two).toMatchObject({ outcome: "waiting", candidates: ["u0", "u1"], fits: { u0: told, u1: told } });
      const many = judgeArrival({ ...stranger, alike: { fits } }, sure);
      expect(many).toMatchObject({ outcome: "waiting", reason: expect.stringMatching(/^more than 10 users are/) });
      expect("candidates" in many && many.candidates).toHaveLength(matches_max);
    });
    test("to nobody any more, or besides someone who matches, is as if nobody were alike", () => {
      expect(judgeArrival({ ...stranger, alike: { fits: [] } }, sure)).toEqual({ outcome: "create" });
      expect(judgeArrival({ ...one, matches: [match("u2")] }, sure)).toEqual({ outcome: "link", user_id: "u2" });
    });
    test("and about which a person has decided becomes what they said", () => {
      const decision = { kind: "create", by: "Jo", match: null } as const;
      expect(judgeArrival({ ...one, decision }, sure)).toEqual({ outcome: "create" });
    });
  });
});
