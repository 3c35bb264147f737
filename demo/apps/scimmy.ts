/**
 * An app whose SCIM interface is the scimmy package on Express: SCIM by the letter, with accounts and groups in memory.
 * What scimmy leaves to its host is done here: uniqueness, 404 and filtering. It needs nothing but memory.
 *
 * Known ways of its own: 20 per page; a startIndex beyond the end gives the whole list again; a PATCH that changes
 * nothing answers 204; `emails[type eq "work"].value` cannot be replaced where there is none (400 noTarget).
 */
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";
import { hostOptions, listening, ready } from "./host.ts";

type Row = Record<string, unknown> & { id: string };
type Named = Readonly<{ id?: string; filter?: { expression: string; match(rows: Row[]): Row[] } }>;

const users = new Map<string, Row>();
const groups = new Map<string, Row>();

/** The three things a scimmy resource needs, over a Map. `unique`: the attribute that no two rows share. */
function handlers(rows: Map<string, Row>, unique: string) {
  /** Lower-cased unique value → id, so that a company of thousands is not read through for each of them. */
  const index = new Map<string, string>();
  const keyOf = (row: Record<string, unknown> | null) => `${row?.[unique]}`.toLowerCase();
  const equality = `${unique} eq "([^"\\\\]*)"`;
  const indexed = new RegExp(`^${equality}(?: or ${equality})*$`, "i");
  /** The rows that a filter may find: those of its values, where it asks for nothing but them. */
  const candidates = (expression: string): Row[] => {
    if (!indexed.test(expression)) return [...rows.values()];
    const values = [...expression.matchAll(new RegExp(equality, "gi"))].map((found) => found[1]!.toLowerCase());
    return [...new Set(values)].flatMap((value) => rows.get(index.get(value) ?? "") ?? []);
  };
  const known = (id: string): Row => {
    const row = rows.get(id);
    if (row === undefined) throw new SCIMMY.Types.Error(404, "", `Resource ${id} not found`);
    return row;
  };
  return {
    ingress(resource: Named, data: Record<string, unknown>): Row {
      const plain = JSON.parse(JSON.stringify(data)) as Record<string, unknown>;
      const was = resource.id === undefined ? null : known(resource.id);
      const holder = index.get(keyOf(plain));
      if (holder !== undefined && holder !== resource.id) {
        throw new SCIMMY.Types.Error(409, "uniqueness", `The ${unique} ${plain[unique]} is taken`);
      }
      const now = new Date().toISOString();
      const created = (was?.["meta"] as { created?: string } | undefined)?.created ?? now;
      const row: Row = { ...plain, id: was?.id ?? randomUUID(), meta: { created, lastModified: now } };
      if (was !== null) index.delete(keyOf(was));
      index.set(keyOf(row), row.id);
      rows.set(row.id, row);
      return row;
    },
    egress(resource: Named): Row | Row[] {
      if (resource.id !== undefined) return known(resource.id);
      const { filter } = resource;
      return filter === undefined ? [...rows.values()] : filter.match(candidates(filter.expression));
    },
    degress(resource: Named): void {
      const row = known(resource.id ?? "");
      index.delete(keyOf(row));
      rows.delete(row.id);
    },
  };
}

SCIMMY.Schemas.User.extend(SCIMMY.Schemas.EnterpriseUser as never);
SCIMMY.Config.set({
  ...{ patch: true, filter: { supported: true, maxResults: 10_000 }, sort: true },
  bulk: { supported: true, maxOperations: 1_000, maxPayloadSize: 1_048_576 },
});
// The declared types of the handlers are generic over every schema; what matters here is the plain row.
SCIMMY.Resources.declare(SCIMMY.Resources.User, handlers(users, "userName") as never);
SCIMMY.Resources.declare(SCIMMY.Resources.Group, handlers(groups, "displayName") as never);

const options = hostOptions();
const app = express();
const router = new SCIMMYRouters({
  type: "bearer",
  handler(request) {
    if (request.header("authorization") !== `Bearer ${options.token}`) throw new Error("The token is wrong");
    return "client";
  },
});
app.use("/scim/v2", router as unknown as express.RequestHandler);
const port = await listening(createServer(app), options.port);
ready(`http://127.0.0.1:${port}/scim/v2`, options.token);
