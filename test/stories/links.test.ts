/** Stories of links between people: what an expression reads over one follows the link, and the person at its end. */
import { expect, test } from "vitest";
import {
  createLinkedObject,
  deleteLinkedObject,
  endLink,
  linkedPeople,
  setLink,
} from "../../src/directory/linkedObjects.ts";
import { must, stage } from "./support.ts";

const s = stage();

const definition = {
  primary_name: "mentor",
  primary_title: "Mentor",
  primary_description: null,
  associated_name: "mentee",
  associated_title: "Mentee",
  associated_description: null,
};

/** Ada, who has an app and Grace as her mentor; the app's title is the mentor's name. */
async function mentored() {
  await must(createLinkedObject(s.command(), definition));
  const app = await s.app();
  await s.map(app, { title: { expression: 'user.getLinkedObject("mentor").lastName' } });
  const grace = await s.hire("Grace", "Hopper");
  const mary = await s.hire("Mary", "Shelley");
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada);
  const link = (primary_id: string) => must(setLink(s.command(), { name: "mentor", associated_id: ada, primary_id }));
  await link(grace);
  await s.settle();
  const title = async () => (await s.there(app, ada))?.profile["title"] ?? null;
  return { app, grace, mary, ada, link, title };
}

test("a mapping over a link follows a new link, the linked person's own change, and the link's end", async () => {
  const { grace, mary, ada, link, title } = await mentored();
  expect(await title()).toBe("Hopper");
  await s.move(grace, { lastName: "Murray" });
  await s.settle();
  expect(await title()).toBe("Murray");
  await link(mary);
  await s.settle();
  expect(await title()).toBe("Shelley");
  expect(await linkedPeople(s.command().db, mary, "mentee", 10)).toEqual([ada]);
  await must(endLink(s.command(), ada, "mentor"));
  await s.settle();
  expect(await title()).toBeNull();
});

test("a rule over a link moves whoever it is about", async () => {
  const { mary, ada, link } = await mentored();
  const group = await s.group("Mentored by Shelley");
  const expression = 'user.getLinkedObject("mentor").lastName == "Shelley"';
  await s.rule("mentored", expression, [group]);
  await s.settle();
  expect(await s.membersOf(group)).toEqual([]);
  await link(mary);
  await s.settle();
  expect(await s.membersOf(group)).toEqual([(await s.person(ada)).login]);
});

test("a definition's end takes its links away, and rules that read it say so", async () => {
  const { ada } = await mentored();
  const group = await s.group("Anybody's");
  const expression = 'user.getLinkedObject("mentor").lastName != null';
  const id = await s.rule("mentored", expression, [group]);
  await must(deleteLinkedObject(s.command(), "mentor"));
  expect(await linkedPeople(s.command().db, ada, "mentor", 10)).toMatchObject({ code: "not_found" });
  const row = await s.command().db.selectFrom("rules").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  expect([row.status, row.invalid_reason]).toEqual(["INVALID", expect.stringContaining("mentor")]);
});
