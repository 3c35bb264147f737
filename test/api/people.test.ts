/** What else is kept of people for clients: links between them, factors, risk, forms; and the apps they have. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Database, sql } from "../../src/store/database.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";

let db: Database;
let api: TestApi;

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db);
});

const call = (method: string, path: string, body?: unknown) => api.call(method, path, body);
const post = async (path: string, body?: unknown) => (await api.call("POST", path, body)).body;
const hire = async (name: string): Promise<string> =>
  (
    await post("/api/v1/users", {
      profile: { login: `${name}@x.co`, email: `${name}@x.co`, firstName: name, lastName: "Lee" },
    })
  ).id;
const refusal = ({ status, body }: Awaited<ReturnType<typeof call>>) => [status, body.errorCode];

describe("links between people", () => {
  const links = "/api/v1/meta/schemas/user/linkedObjects";
  const end = (name: string) => ({ name, title: name, description: `A ${name}`, type: "USER" });
  const define = (primary = "manager", associated = "subordinate") =>
    call("POST", links, { primary: end(primary), associated: end(associated) });
  const linked = async (user: string, name: string) =>
    (await call("GET", `/api/v1/users/${user}/linkedObjects/${name}`)).body.map(
      (one: { _links: { self: { href: string } } }) => one._links.self.href.split("/").at(-1),
    );

  test("a definition is found by either of its names, listed, and deleted", async () => {
    const made = await define();
    expect([made.status, made.body.primary.name, made.body._links.self.href]).toEqual([
      201,
      "manager",
      `http://tenure.test${links}/manager`,
    ]);
    for (const name of ["manager", "subordinate"])
      expect((await call("GET", `${links}/${name}`)).body).toEqual(made.body);
    expect((await call("GET", links)).body).toEqual([made.body]);
    expect((await call("DELETE", `${links}/manager`)).status).toBe(204);
    expect(refusal(await call("GET", `${links}/manager`))).toEqual([404, "E0000007"]);
  });

  test.each([
    ["the same again", "manager", "subordinate", 409, "E0000127"],
    ["one of its names at the other end", "helper", "manager", 409, "E0000127"],
    ["twice the same name", "peer", "peer", 409, "E0000127"],
    ["a name with a space", "my manager", "mine", 400, "E0000001"],
  ])("%s is refused", async (_what, primary, associated, status, code) => {
    await define();
    expect(refusal(await define(primary, associated))).toEqual([status, code]);
  });

  test("a person has one at the primary end, and many at the other", async () => {
    await define();
    const [ann, bob, cy] = [await hire("ann"), await hire("bob"), await hire("cy")];
    const put = (user: string, manager: string) =>
      call("PUT", `/api/v1/users/${user}/linkedObjects/manager/${manager}`);
    expect((await put(bob, ann)).status).toBe(204);
    expect((await put(cy, ann)).status).toBe(204);
    expect([await linked(bob, "manager"), await linked(ann, "subordinate")]).toEqual([[ann], [bob, cy]]);
    await put(cy, bob);
    expect([await linked(cy, "manager"), await linked(ann, "subordinate")]).toEqual([[bob], [bob]]);
    expect((await call("DELETE", `/api/v1/users/${cy}/linkedObjects/manager`)).status).toBe(204);
    expect(await linked(cy, "manager")).toEqual([]);
  });

  test("an unknown link, an unknown person and the wrong end are 404", async () => {
    await define();
    const ann = await hire("ann");
    for (const path of [
      `linkedObjects/nothing/${ann}`,
      "linkedObjects/manager/00u00000000000nobody",
      `linkedObjects/subordinate/${ann}`,
    ]) {
      expect(refusal(await call("PUT", `/api/v1/users/${ann}/${path}`))).toEqual([404, "E0000007"]);
    }
    expect(refusal(await call("GET", `/api/v1/users/${ann}/linkedObjects/nothing`))).toEqual([404, "E0000007"]);
  });

  test("links go with a person who is deleted", async () => {
    await define();
    const [ann, bob] = [await hire("ann"), await hire("bob")];
    await call("PUT", `/api/v1/users/${bob}/linkedObjects/manager/${ann}`);
    await call("DELETE", `/api/v1/users/${ann}`);
    await call("DELETE", `/api/v1/users/${ann}`);
    expect(await linked(bob, "manager")).toEqual([]);
  });
});

describe("factors", () => {
  const question = {
    factorType: "question",
    provider: "OKTA",
    profile: { question: "disliked_food", answer: "Meatball" },
  };
  const sms = { factorType: "sms", provider: "OKTA", profile: { phoneNumber: "+1 555 415 1337" } };

  test("a question is active at once, keeps its answer as a hash, and knows it again", async () => {
    const user = await hire("ann");
    const path = `/api/v1/users/${user}/factors`;
    const factor = await post(path, question);
    expect(factor).toMatchObject({ status: "ACTIVE", profile: { question: "disliked_food" } });
    const { rows } = await sql`select * from factors`.execute(db);
    expect(JSON.stringify([factor, rows]).toLowerCase()).not.toContain("meatball");
    expect(await post(`${path}/${factor.id}/verify`, { answer: " meatball" })).toEqual({ factorResult: "SUCCESS" });
    expect(refusal(await call("POST", `${path}/${factor.id}/verify`, { answer: "tofu" }))).toEqual([403, "E0000068"]);
    const changed = await call("PUT", `${path}/${factor.id}`, {
      profile: { question: "first_award", answer: "chess" },
    });
    expect(changed.body.profile.questionText).toContain("first medal");
  });

  test("a phone waits for its activation; enrolled again it is the newer one, active it stays", async () => {
    const path = `/api/v1/users/${await hire("ann")}/factors`;
    const first = await post(path, sms);
    expect([first.status, Object.keys(first._links).sort()]).toEqual([
      "PENDING_ACTIVATION",
      ["activate", "resend", "self", "user"],
    ]);
    const second = await post(path, sms);
    expect((await call("GET", path)).body.map((one: { id: string }) => one.id)).toEqual([second.id]);
    expect((await post(`${path}/${second.id}/lifecycle/activate`, { passCode: "123456" })).status).toBe("ACTIVE");
    expect(refusal(await call("POST", path, sms))).toEqual([400, "E0000001"]);
  });

  test.each([
    ["a type nobody knows", { factorType: "smell" }],
    ["a phone without its number", { factorType: "sms", profile: {} }],
    ["a number that is none", { factorType: "sms", profile: { phoneNumber: "call me" } }],
    [
      "a question that is none of the list",
      { factorType: "question", profile: { question: "x", answer: "long enough" } },
    ],
    ["a short answer", { factorType: "question", profile: { question: "disliked_food", answer: "a" } }],
  ])("%s is refused", async (_what, body) => {
    expect(refusal(await call("POST", `/api/v1/users/${await hire("ann")}/factors`, body))).toEqual([400, "E0000001"]);
  });

  test("removed alone or by reset_factors, they are gone", async () => {
    const user = await hire("ann");
    const path = `/api/v1/users/${user}/factors`;
    const { id } = await post(path, sms);
    await post(path, question);
    expect((await call("DELETE", `${path}/${id}`)).status).toBe(204);
    expect(refusal(await call("GET", `${path}/${id}`))).toEqual([404, "E0000007"]);
    await post(`/api/v1/users/${user}/lifecycle/reset_factors`);
    expect((await call("GET", path)).body).toEqual([]);
  });

  test("the organisation turns kinds of factor on and off", async () => {
    const path = "/api/v1/org/factors/okta_question";
    expect((await call("GET", path)).body.status).toBe("INACTIVE");
    expect((await post(`${path}/lifecycle/activate`)).status).toBe("ACTIVE");
    expect((await call("GET", path)).body._links.deactivate).toBeDefined();
    expect((await post(`${path}/lifecycle/deactivate`)).status).toBe("INACTIVE");
    expect(refusal(await call("GET", "/api/v1/org/factors/smell"))).toEqual([404, "E0000007"]);
  });
});

describe("risk", () => {
  test("nothing, then what was said: 201 the first time, 200 after", async () => {
    const path = `/api/v1/users/${await hire("ann")}/risk`;
    expect((await call("GET", path)).body).toMatchObject({ riskLevel: "NONE" });
    expect((await call("PUT", path, { riskLevel: "HIGH" })).status).toBe(201);
    expect((await call("PUT", path, { riskLevel: "LOW" })).status).toBe(200);
    expect((await call("GET", path)).body).toMatchObject({ riskLevel: "LOW", reason: "Admin override risk" });
    expect(refusal(await call("PUT", path, { riskLevel: "NONE" }))).toEqual([400, "E0000001"]);
  });
});

describe("forms", () => {
  const forms = "/api/v1/meta/uischemas";
  const form = (scope: string) => ({
    uiSchema: {
      type: "Group",
      label: "Sign in",
      buttonLabel: "Go",
      elements: [{ type: "Control", scope, label: "x", options: { format: "text" } }],
    },
  });

  test("are kept as sent, replaced and deleted; deleting what is not there is fine", async () => {
    const made = await post(forms, form("#/properties/firstName"));
    expect(made.uiSchema).toEqual(form("#/properties/firstName").uiSchema);
    const path = `${forms}/${made.id}`;
    const replaced = await call("PUT", path, form("#/properties/lastName"));
    expect((await call("GET", path)).body).toEqual(replaced.body);
    expect((await call("GET", forms)).body).toHaveLength(1);
    for (const _ of [1, 2]) expect((await call("DELETE", path)).status).toBe(204);
    expect(refusal(await call("GET", path))).toEqual([404, "E0000007"]);
  });

  test.each(["#/properties/nothing", "firstName", "#/properties/__proto__"])("%s is no attribute", async (scope) => {
    expect(refusal(await call("POST", forms, form(scope)))).toEqual([400, "E0000001"]);
  });
});

test("appLinks lists the apps a person has", async () => {
  const user = await hire("ann");
  const app = await post("/api/v1/apps", {
    name: "bookmark",
    label: "Wiki",
    signOnMode: "BOOKMARK",
    settings: { app: { url: "https://wiki.x.co" } },
  });
  await post(`/api/v1/apps/${app.id}/users`, { id: user, scope: "USER" });
  // As the engine writes it at its next turn; there is none here.
  await sql`insert into accounts (app_id, user_id, assigned) values (${app.id}, ${user}, true)`.execute(db);
  const links = (await call("GET", `/api/v1/users/${user}/appLinks`)).body;
  expect(links).toMatchObject([
    { label: "Wiki", linkUrl: "https://wiki.x.co", appInstanceId: app.id, appName: "bookmark" },
  ]);
});
