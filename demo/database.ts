/**
 * A database of the demo's own, empty at every start: the apps begin empty too, so what an earlier demo knew of them is
 * of no use. It lies beside others on the server of DATABASE_URL, or on the embedded server in the demo's data folder.
 *
 * Law: no other database than `tenure_demo` is ever touched.
 */
import pg from "pg";

export const demo_database = "tenure_demo";

/** Makes the database empty and gives its connection string. Throws, saying what to do, where that is not allowed. */
export async function freshDatabase(server_url: string): Promise<string> {
  const client = new pg.Client({ connectionString: server_url, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
    await client.query(`drop database if exists ${demo_database} with (force)`);
    await client.query(`create database ${demo_database}`);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code !== "42501") throw new Error(`The database server of DATABASE_URL cannot be used: ${message}`);
    throw new Error(
      `The demo makes a database ${demo_database} of its own, and the user of DATABASE_URL may not: ` +
        "give it the right (ALTER ROLE … CREATEDB), or unset DATABASE_URL to use the built-in server",
    );
  } finally {
    await client.end().catch(() => {});
  }
  const url = new URL(server_url);
  url.pathname = `/${demo_database}`;
  return url.href;
}
