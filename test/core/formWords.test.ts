/** What is wrong with what somebody sent is said in plain words. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { type Issue, wordsOf } from "../../src/core/formWords.ts";

const before = z.config();
beforeAll(() => void z.config({ localeError: (issue) => wordsOf(issue as Issue) }));
afterAll(() => void z.config(before));

const person = z.strictObject({ name: z.string().min(1), age: z.int().max(150).optional() });

test.each<[z.ZodType, unknown, string]>([
  [z.string(), undefined, "is missing"],
  [z.string(), 4, "must be a text, not a number"],
  [z.string(), null, "must be a text, not null"],
  [z.number(), "4", "must be a number, not a text"],
  [z.boolean(), ["x"], "must be true or false, not a list"],
  [z.array(z.string()), {}, "must be a list, not an object"],
  [z.record(z.string(), z.string()), [], "must be an object, not a list"],
  [z.int(), 1.5, "must be a whole number, not a number"],
  [z.number().max(23), 24, "must be at most 23"],
  [z.number().lt(23), 24, "must be less than 23"],
  [z.number().min(1), 0, "must be at least 1"],
  [z.string().min(1), "", "must not be empty"],
  [z.string().min(8), "short", "must have at least 8 characters"],
  [z.string().max(1), "long", "must have at most 1 character"],
  [z.array(z.string()).length(2), ["a"], "must have exactly 2 items"],
  [z.number().multipleOf(5), 7, "must be a multiple of 5"],
  [z.email(), "nobody", "must be an e-mail address"],
  [z.string().regex(/^[a-z]+$/), "A1", "does not have the form that is wanted"],
  [z.enum(["day", "hour"]), "week", 'must be "day" or "hour"'],
  [z.literal(3), 4, "must be 3"],
  [z.enum(["day"]), undefined, "is missing"],
  [person, { name: "x", nick: 1, pet: 2 }, "does not take nick or pet"],
  [z.union([z.string(), z.number()]), true, "must be a text or a number, not true"],
  [z.union([z.string(), person]), { name: "" }, "must not be empty"],
  [z.union([person, z.object({ name: z.string().min(3) })]), { name: "" }, "name must not be empty"],
  [z.union([z.string().max(2), z.null()]), "long", "must have at most 2 characters"],
  [z.union([z.string(), z.null()]), undefined, "is missing"],
  [z.string().min(3, "wants three letters"), "a", "wants three letters"],
])("a value that does not fit is refused in words, case %#", (form, given, words) => {
  expect(form.safeParse(given).error?.issues[0]?.message).toBe(words);
});

test("of a long list only the first are named", () => {
  const form = z.enum(Array.from({ length: 40 }, (_, n) => `value-${n}`) as [string]);
  const words = form.safeParse("x").error?.issues[0]?.message ?? "";
  expect(words).toMatch(/^must be "value-0", .*"value-9" or one of 30 more$/);
});
