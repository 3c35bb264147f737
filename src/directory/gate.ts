/**
 * The gate between those who decide by what the company is (rules, what groups give, mappings) and those who change it.
 *
 * The engine reads the company once and then judges hundreds of people by it. A rule that is activated meanwhile is
 * unknown to that batch; so whoever it judged would stay as the old company wanted them, and nobody would look again.
 * So the engine passes the gate at the beginning of such a transaction and stays in it until its commit, and a command
 * that changes the company closes the gate before its commit: it waits for those inside, and nobody enters until the
 * change can be seen. Whatever was judged by the old company is then there to be found and judged again.
 *
 * A lock on an empty table's name: passing costs no row, closing waits its turn. Law: the gate is closed after marks and
 * people are locked and before groups are (the order of locks: locks.ts), and late, because the engine stands still
 * meanwhile.
 */
import { sql } from "../store/database.ts";
import type { Running } from "./command.ts";

/** Passes the gate until the end of the transaction. What is read of the company after this stays true until then. */
export async function passGate({ db }: Pick<Running, "db">): Promise<void> {
  await sql`lock table company_gate in row share mode`.execute(db);
}

/** Passes the gate; gives the company's revision, which counts how often the gate was closed. */
export async function passGateAt(running: Pick<Running, "db">): Promise<number> {
  await passGate(running);
  const { rows } = await sql<{ revision: number }>`select revision from company_gate`.execute(running.db);
  return rows[0]?.revision ?? 0;
}

/** Closes the gate until the end of the transaction: waits for those inside and lets nobody enter. */
export async function closeGate({ db }: Pick<Running, "db">): Promise<void> {
  await sql`lock table company_gate in exclusive mode`.execute(db);
  await sql`
    insert into company_gate (revision) values (1)
    on conflict (one) do update set revision = company_gate.revision + 1`.execute(db);
}
