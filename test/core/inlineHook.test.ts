/** What the answer of an inline hook means, and what is no answer. */
import { describe, expect, test } from "vitest";
import { importChange, readAnswer, saysVerified } from "../../src/core/inlineHook.ts";

const command = (type: string, value: unknown) => ({ type, value });
const user = (value: unknown) => command("com.okta.user.profile.update", value);
const action = (result: unknown) => command("com.okta.action.update", { result });

function change(...commands: unknown[]) {
  const read = readAnswer({ commands });
  return "refused" in read ? read : importChange(read.ok.commands);
}

describe("an answer", () => {
  test.each([
    ["nothing", undefined, { commands: [], error: null }],
    ["an empty object", {}, { commands: [], error: null }],
    ["no commands", { commands: null, error: null }, { commands: [], error: null }],
    ["an error", { error: { errorSummary: " not her " } }, { commands: [], error: "not her" }],
    ["an error without a word", { error: {} }, { commands: [], error: "the hook gave no reason" }],
    ["an error beside commands", { error: "no", commands: [user({})] }, { commands: [], error: "no" }],
  ])("%s is understood", (_what, body, ok) => {
    expect(readAnswer(body)).toEqual({ ok });
  });

  test.each([
    ["a list", []],
    ["a text", "yes"],
    ["commands that are no list", { commands: {} }],
    ["a command without a type", { commands: [{ value: {} }] }],
    ["a command that is nothing", { commands: [null] }],
    ["more commands than anybody needs", { commands: Array.from({ length: 101 }, () => user({})) }],
  ])("%s is none", (_what, body) => {
    expect(readAnswer(body)).toHaveProperty("refused");
  });
});

describe("the commands of an import hook", () => {
  test("change the row, the person and what becomes of it; the last word counts", () => {
    const said = change(
      command("com.okta.appUser.profile.update", { first: "Ann" }),
      user({ firstName: "Anna", title: null }),
      user({ firstName: "Annabel" }),
      action("CREATE_USER"),
      action("LINK_USER"),
      command("com.okta.user.update", { id: "00u1" }),
    );
    expect(said).toEqual({
      ok: { row: { first: "Ann" }, user: { firstName: "Annabel", title: null }, action: "LINK_USER", user_id: "00u1" },
    });
  });

  test.each([
    ["an unknown command", command("com.okta.user.delete", {})],
    ["a value that is none", user("Ann")],
    ["a value that is a list", user(["Ann"])],
    ["another action", action("DELETE_USER")],
    ["no id", command("com.okta.user.update", { id: 7 })],
  ])("%s makes the whole answer none", (_what, one) => {
    expect(change(user({ firstName: "Ann" }), one)).toHaveProperty("refused");
  });

  test("a prototype is an attribute like any other", () => {
    const said = change(
      JSON.parse('{"type": "com.okta.user.profile.update", "value": {"__proto__": {"admin": true}}}'),
    );
    expect(said).toHaveProperty("ok");
    const { user: changed } = (said as { ok: { user: object } }).ok;
    expect(Object.keys(changed)).toEqual(["__proto__"]);
    expect((changed as { admin?: boolean }).admin).toBeUndefined();
  });
});

test.each([
  [true, [command("com.okta.action.update", { credential: "VERIFIED" })]],
  [false, []],
  [false, [command("com.okta.action.update", { credential: "verified" })]],
  [false, [command("com.okta.user.update", { credential: "VERIFIED" })]],
  [false, [command("com.okta.action.update", "VERIFIED")]],
  [
    false,
    [
      command("com.okta.action.update", { credential: "VERIFIED" }),
      command("com.okta.action.update", { credential: "UNVERIFIED" }),
    ],
  ],
])("a password is right (%s) only when the last word says so", (right, commands) => {
  const read = readAnswer({ commands });
  expect("ok" in read && saysVerified(read.ok.commands)).toBe(right);
});
