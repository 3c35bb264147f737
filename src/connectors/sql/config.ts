/** What an administrator enters to read people by a query of a database. The console builds its form from this. */
import { z } from "zod";
import type { Secret } from "../connector.ts";
import { rowFields } from "../rowForm.ts";

/** The port where nobody names one. */
const usual_port = { postgresql: 5432, mariadb: 3306 } as const;

export const sql_config = z.strictObject({
  dialect: z
    .enum(["postgresql", "mariadb"])
    .default("postgresql")
    .meta({ title: "Kind of database", description: "postgresql or mariadb" }),
  host: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[A-Za-z0-9.:_-]+$/)
    .meta({ title: "Server", description: "Its name or address, such as db.example.com" }),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .meta({ title: "Port", description: "Left out: 5432 of PostgreSQL, 3306 of MariaDB" }),
  database: z.string().min(1).max(64).meta({ title: "Database" }),
  username: z.string().min(1).max(128).meta({ title: "User", description: "One who may only read is enough" }),
  tls: z.enum(["verify", "off"]).default("verify").meta({
    title: "TLS",
    description: "verify: the server's certificate must be right; off: only inside a network you trust",
  }),
  query: z
    .string()
    .min(1)
    .max(100_000)
    .meta({ title: "Query", description: "One SELECT that gives a row for each person; it is only ever read from" }),
  ...rowFields(64),
  changed_column: z.string().min(1).max(64).optional().meta({
    title: "Column of the last change",
    description: "Grows with every change of a row, such as updated_at: incremental imports ask only for what changed",
  }),
  changed_overlap_minutes: z.int().min(0).max(525_600).default(60).meta({
    title: "Overlap in minutes",
    description: "Where that column is a time: no transaction of the database takes longer than this",
  }),
  changed_overlap_numbers: z.int().min(0).max(1_000_000_000_000).default(1_000).meta({
    title: "Overlap of numbers",
    description: "Where that column is a number: so many numbers before the highest are asked for again",
  }),
});

export type SqlConfig = z.input<typeof sql_config>;
export type SqlSettings = z.output<typeof sql_config>;

/** The port of a database. */
export const portOf = ({ dialect, port }: SqlSettings): number => port ?? usual_port[dialect];

/** `token`: the user's password. */
export type SqlCredentials = Readonly<{ token: Secret }>;
