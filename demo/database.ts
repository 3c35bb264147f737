/**
 * A database of the demo's own, empty at every start: the apps begin empty too, so what an earlier demo knew of them is
 * of no use. It lies beside others on the server of DATABASE_URL, or on the embedded server in the demo's data folder;
 * where databases may not be made, it is a schema in the database of DATABASE_URL.
 *
 * Law: nothing but the database, or the schema, `tenure_demo` is ever touched.
 */
import pg from "pg";

const own = "tenure_demo";
const not_allowed = "42501";
const connect_ms = 10_000;

/** Makes it empty and gives its connection string. Throws, saying what to do, where that cannot be. */
export async function freshDatabase(server_url: string): Promise<string> {
  const client = new pg.Client({ connectionString: server_url, connectionTimeoutMillis: connect_ms });
  try {
    await client.connect();
    const url = new URL(server_url);
    if (await may(client, `drop database if exists ${own} with (force)`, `create database ${own}`)) {
      url.pathname = `/${own}`;
    } else if (await may(client, `drop schema if exists ${own} cascade`, `create schema ${own}`)) {
      url.searchParams.set("options", `-c search_path=${own}`);
    } else {
      throw new Error("its user may make neither a database nor a schema of its own (GRANT CREATE ON DATABASE …)");
    }
    return url.href;
  } catch (error) {
    const reason = (error as Error).message || (error as { code?: string }).code;
    throw new Error(
      `the demo cannot use the database of DATABASE_URL: ${reason}. Mend that, or unset DATABASE_URL to use the built-in one`,
    );
  } finally {
    await client.end().catch(() => {});
  }
}

/** Runs statements; false when the user is not allowed to. */
async function may(client: pg.Client, ...statements: readonly string[]): Promise<boolean> {
  try {
    for (const statement of statements) await client.query(statement);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === not_allowed) return false;
    throw error;
  }
}
