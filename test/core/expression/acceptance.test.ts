/** Acceptance scenario 15: Okta's own examples of its expression language give Okta's own results. */
import { expect, test } from "vitest";
import { functions } from "../../../src/core/expression/functions/catalogue.ts";
import { evaluated } from "./world.ts";

test.each([
  ['String.stringSwitch("Substrings count", "default", "ring", "value1")', "value1"],
  ['String.stringSwitch("This is a test", "default", "key1", "value1")', "default"],
  [
    'String.stringSwitch("First match wins", "default", "absent", "value1", "wins", "value2", "match", "value3")',
    "value2",
  ],
  ['substring("This is a test",2,9)', "is is a"],
  ['String.substring("This is a test", 2, 9)', "is is a"],
  ["Arrays.size(null)", 0],
  ["Arrays.size(NULL)", 0],
  ["Convert.toInt(123.6)", 124],
  ["Convert.toInt(123.4)", 123],
  ['"" ?: "x"', "x"],
])("scenario 15: %s gives %j", (text, value) => {
  expect(evaluated(text)).toEqual(value);
});

test.each([...functions.values()].map((declaration) => [...declaration.example]))(
  "the documented example %s gives %j",
  (text, value) => {
    expect(evaluated(text as string)).toEqual(value);
  },
);
