/** Stories of foresight and hindsight: a preview is what then happens, and an explanation leads back to the beginning. */
import { expect, test } from "vitest";
import type { Profile } from "../../src/core/types.ts";
import { completeTask } from "../../src/directory/completion.ts";
import { explainAccount } from "../../src/engine/explain.ts";
import { previewUser } from "../../src/engine/preview.ts";
import { must, stage } from "./support.ts";

const s = stage();

/** What a preview says in one line per app: rune, app, and the attributes that would change. */
async function foreseen(user: string, supposed: Parameters<typeof previewUser>[2] = {}): Promise<readonly string[]> {
  const preview = await must(previewUser(s.world(), user, supposed));
  return preview.steps.map((step) =>
    `${step.rune} ${step.app} ${step.changes.map((one) => one.attribute).join()}`.trim(),
  );
}

/** A company with a rule to a group that gives an app, an app of one's own, and one that keeps accounts. */
async function company() {
  const [crm, wiki, mail] = [
    await s.app({ label: "CRM" }),
    await s.app({ label: "Wiki" }),
    await s.app({ label: "Mail", provisioning: { on_unassign: "keep" } }),
  ];
  const [sales, staff] = [await s.group("Sales"), await s.group("Staff")];
  await s.grant(crm, sales, { profile: { role: "seller" } });
  await s.grant(mail, staff);
  await s.rule("Sales people", 'user.department == "Sales"', [sales]);
  const ada = await s.hire("Ada", "Byron", { department: "Mills" });
  await s.join(staff, [ada]);
  await s.assign(wiki, ada);
  await s.settle();
  return { crm, wiki, mail, sales, ada };
}

test("a preview writes nothing and calls no app", async () => {
  const { ada, crm } = await company();
  const events = await s.events("application.user_membership.add");
  await foreseen(ada, { profile: { department: "Sales" }, status: "DEPROVISIONED" });
  expect(await s.settle()).toBe(0);
  expect(await s.events("application.user_membership.add")).toBe(events);
  expect(s.calls(crm)).toBe(0);
});

const moves: readonly [string, Profile, readonly string[]][] = [
  [
    "into Sales",
    { department: "Sales" },
    ["+ CRM department,email,familyName,givenName,role,userName", "~ Wiki department", "~ Mail department"],
  ],
  ["a new name", { lastName: "King" }, ["~ Wiki familyName", "~ Mail familyName"]],
  ["nothing new", { lastName: "Byron" }, ["= Wiki", "= Mail"]],
];

test.each(moves)(
  "what is foreseen of a move (%s) is what then happens, and nothing is left to do",
  async (_what, profile, lines) => {
    const { ada } = await company();
    const sorted = (await foreseen(ada, { profile })).map((line) => {
      const [rune, app, names = ""] = line.split(" ");
      return `${rune} ${app} ${names.split(",").sort().join()}`.trim();
    });
    expect(sorted).toEqual(lines);
    await s.move(ada, profile);
    expect(await s.settle()).toBe(lines.filter((line) => !line.startsWith("=")).length);
    expect(await foreseen(ada)).toEqual((await foreseen(ada)).filter((line) => line.startsWith("=")));
  },
);

test("what is foreseen of a departure is what then happens: disabled, or kept as the app says", async () => {
  const { ada, wiki, mail } = await company();
  expect(await foreseen(ada, { status: "DEPROVISIONED" })).toEqual(["↓ Wiki", "○ Mail"]);
  await s.turn(ada, "deactivate");
  await s.settle();
  expect(await s.there(wiki, ada)).toMatchObject({ enabled: false });
  expect(await s.there(mail, ada)).toMatchObject({ enabled: true });
});

test("a preview gives the reason of each step: which rule puts the person in which group, and which expression gives the value", async () => {
  const { ada } = await company();
  const preview = await must(previewUser(s.world(), "ada.byron@example.com", { profile: { department: "Sales" } }));
  expect(preview.user_id).toBe(ada);
  expect(preview.groups).toEqual({ join: [{ group: "Sales", rule: "Sales people" }], leave: [] });
  const crm = preview.steps.find((step) => step.app === "CRM");
  expect(crm?.why).toMatchObject([
    {
      scope: "GROUP",
      name: "Sales",
      membership: [{ kind: "rule", name: "Sales people", expression: 'user.department == "Sales"' }],
    },
  ]);
  expect(crm?.changes).toContainEqual({
    attribute: "department",
    before: null,
    after: "Sales",
    expression: "user.department",
  });
});

test("a preview of a stranger is refused by name", async () => {
  expect(await previewUser(s.world(), "nobody@example.com")).toMatchObject({
    code: "not_found",
    refused: expect.stringContaining("nobody@example.com"),
  });
});

test("an explanation leads from the account's value to the mapping, the rule, and the change that began it", async () => {
  const { ada, crm } = await company();
  await s.move(ada, { department: "Sales" });
  await s.settle();
  const told = await must(explainAccount(s.world(), "ada.byron@example.com", "CRM"));
  expect(told.account).toMatchObject({ external_id: "a1", assigned: true, enabled: true, error: null });
  expect(told.why).toMatchObject([{ name: "Sales", membership: [{ name: "Sales people" }] }]);
  const by = new Map(told.attributes.map((one) => [one.attribute, one]));
  expect(by.get("department")).toMatchObject({
    want: "Sales",
    have: "Sales",
    in_step: true,
    from: "mapping",
    expression: "user.department",
    reads: [{ attribute: "department", value: "Sales", source: "entered by hand or over the API" }],
  });
  expect(by.get("role")).toMatchObject({ want: "seller", from: "assignment" });
  expect(told.operations).toMatchObject([{ step: "create", outcome: "done" }]);
  expect(told.chain.map((event) => event.type)).toEqual([
    "application.provision.user.push",
    "application.user_membership.add",
    "user.account.update_profile",
  ]);
  expect(told.chain.at(-1)).toMatchObject({ actor: "admin@example.com" });
  expect(crm).toBe(told.app.id);
});

test("an explanation of one attribute shows only that one; an unknown one, person or app is refused by name", async () => {
  const { ada } = await company();
  expect(
    (await must(explainAccount(s.world(), ada, "Wiki", "department"))).attributes.map((one) => one.attribute),
  ).toEqual(["department"]);
  for (const [user, app, attribute, word] of [
    [ada, "Wiki", "shoe_size", "shoe_size"],
    [ada, "Nowhere", undefined, "Nowhere"],
    ["nobody", "Wiki", undefined, "nobody"],
  ] as const) {
    expect(await explainAccount(s.world(), user, app, attribute)).toMatchObject({
      refused: expect.stringContaining(word),
    });
  }
});

test("an explanation shows a failed operation with the app's words, and an account that waits for a person", async () => {
  const { app, trouble } = await s.sickApp({ label: "Sick" });
  const door = await s.manualApp("Doors");
  trouble.script = ({ op }) => (op === "create" ? { kind: "refuse_before" } : undefined);
  const ada = await s.hire("Ada", "Byron");
  for (const one of [app, door]) await s.assign(one, ada);
  await s.settle();
  const told = await must(explainAccount(s.world(), ada, "Sick"));
  expect(told.account).toMatchObject({ external_id: null, error: "The app answered 503" });
  expect(told.operations[0]).toMatchObject({ step: "create", outcome: "fault", fault: "retry" });
  expect((await must(explainAccount(s.world(), ada, "Doors"))).operations[0]).toMatchObject({ outcome: "pending" });
  await must(completeTask(s.command(), (await s.tasks())[0]!.id));
  expect((await must(explainAccount(s.world(), ada, "Doors"))).account).toMatchObject({ enabled: true });
});
