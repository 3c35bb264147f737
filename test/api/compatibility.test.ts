/** docs/okta-compatibility.md names what is served; its statuses are written with `npm run compatibility`. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Endpoint, isOktas, namedOn, nameOf, pageOf } from "../../scripts/compatibilityPage.ts";
import { routesOf } from "../../src/server/server.ts";
import type { Database } from "../../src/store/database.ts";
import { testApi } from "../support/api.ts";
import { memoryDatabase } from "../support/memory.ts";

const answers_folder = process.env["TENURE_ANSWERS"];

let db: Database;
let endpoints: readonly Endpoint[];

beforeAll(async () => {
  db = await memoryDatabase();
  const { server } = await testApi(db);
  endpoints = routesOf(server)
    .filter(({ method }) => method !== "HEAD" && method !== "OPTIONS")
    .map(({ method, url, config }) => ({ method, url, area: config.area ?? null }));
  if (answers_folder) writeFileSync(path.join(answers_folder, "endpoints.json"), JSON.stringify(endpoints));
});
afterAll(() => db.destroy());

const page = () => readFileSync(path.join(import.meta.dirname, "../../docs/okta-compatibility.md"), "utf8");
const served = () => endpoints.filter(isOktas).map(nameOf).sort();

test.skipIf(answers_folder !== undefined)("the page names every endpoint that is served, and no other", () => {
  expect(namedOn(page()).toSorted(), "run `npm run compatibility`").toEqual(served());
});

test("a page tells of each endpoint what it was answered, in order, and what it is not known to answer", () => {
  const some = [
    { method: "GET", url: "/api/v1/users/:user_id", area: "users" },
    { method: "DELETE", url: "/api/v1/users/:user_id", area: "users" },
    { method: "GET", url: "/admin/v1/status", area: "org" },
  ];
  const text = pageOf(some, new Set(["GET /api/v1/users/:user_id 404", "GET /api/v1/users/:user_id 200"]));
  expect(namedOn(text)).toEqual(["DELETE /api/v1/users/{user_id}", "GET /api/v1/users/{user_id}"]);
  expect(text).toContain("| GET | `/api/v1/users/{user_id}` | 200, 404 |");
  expect(text).toContain("| DELETE | `/api/v1/users/{user_id}` | – |");
  expect(text).toContain("2 endpoints are served; 1 of them were seen at work");
});
