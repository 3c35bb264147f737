/**
 * An app that no machine can reach: every write is a task for a person. The connector does nothing but say `pending`, and
 * the account becomes a fact when the administrator completes the task.
 *
 * Law: nobody can look into such an app, so `read` gives null and `find` and `list` nothing, without that proving
 * anything. Whoever calls must take what the last completed task said instead: `kind` is "manual" and `Written` is
 * pending. Made by registry.ts.
 */
import { z } from "zod";
import type { Connector } from "../connector.ts";

export const manual_config = z.strictObject({
  instructions: z
    .string()
    .max(10_000)
    .optional()
    .meta({ title: "Instructions", description: "What the administrator has to do, shown in every task" }),
});

export type ManualConfig = z.input<typeof manual_config>;

/** The connector of every app that is run by hand. */
export function manualConnector(): Connector {
  return Object.freeze({
    kind: "manual",
    can: {
      create: true,
      update: true,
      disable: true,
      delete: true,
      password: false,
      groups: false,
      changes: false,
      writes_max: 0,
    },
    test: () => Promise.resolve(),
    schema: () => Promise.resolve({ attributes: [] }),
    list: () => Promise.resolve({ items: [], complete: false }),
    read: () => Promise.resolve(null),
    find: () => Promise.resolve([]),
    // The id is ours for as long as nobody has told the app's own.
    create: (_ctx, account) => Promise.resolve({ id: account.key, pending: true }),
    update: (_ctx, id) => Promise.resolve({ id, pending: true }),
    delete: () => Promise.resolve({ pending: true }),
  } satisfies Connector);
}
