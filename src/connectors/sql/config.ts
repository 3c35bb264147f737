/** What an administrator enters to read people by a query of a PostgreSQL database. The console builds its form from this. */
import { z } from "zod";
import type { Secret } from "../connector.ts";
import { rowFields } from "../rowForm.ts";

export const sql_config = z.strictObject({
  host: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[A-Za-z0-9.:_-]+$/)
    .meta({ title: "Server", description: "Its name or address, such as db.example.com" }),
  port: z.int().min(1).max(65_535).default(5432).meta({ title: "Port" }),
  database: z.string().min(1).max(63).meta({ title: "Database" }),
  username: z.string().min(1).max(63).meta({ title: "User", description: "One who may only read is enough" }),
  tls: z.enum(["verify", "off"]).default("verify").meta({
    title: "TLS",
    description: "verify: the server's certificate must be right; off: only inside a network you trust",
  }),
  query: z
    .string()
    .min(1)
    .max(100_000)
    .meta({ title: "Query", description: "One SELECT that gives a row for each person; it is only ever read from" }),
  ...rowFields(63),
});

export type SqlConfig = z.input<typeof sql_config>;
export type SqlSettings = z.output<typeof sql_config>;

/** `token`: the user's password. */
export type SqlCredentials = Readonly<{ token: Secret }>;
