/**
 * The first administrator: a new installation gets a person who is super administrator, and a token of theirs, told
 * once. So `/users/me` is somebody real, and what the token does is logged with that person.
 *
 * Law: this happens only where there is no valid token at all; several nodes may start at once, one of them does it. An
 * installation whose tokens were all ended gets a new one for whoever has this login, or for nobody if that person may
 * not sign in.
 */
import { grantRole } from "../directory/adminRoles.ts";
import type { Command } from "../directory/command.ts";
import { createToken } from "../directory/tokens.ts";
import { getUser, type StoredUser } from "../directory/userQueries.ts";
import { createUsers } from "../directory/users.ts";
import { isRefusal, sql, transact } from "../store/database.ts";
import { randomPassword } from "./world.ts";

/** Whose token it is when nobody says otherwise. */
export const standard_login = "admin@tenure.example";

/** `login`: the first administrator's; null: the token belongs to nobody. Gives its text, or undefined: there is one. */
export async function firstToken(command: Command, login: string | null): Promise<string | undefined> {
  const made = await transact(command.db, async (trx) => {
    const running = { ...command, db: trx };
    await sql`select from clock for update`.execute(trx);
    const { rows } = await sql`
      select from tokens where revoked_at is null and client_id is null limit 1`.execute(trx);
    if (rows.length > 0) return undefined;
    const person = login === null ? undefined : await administrator(running, login);
    if (isRefusal(person)) return person;
    const user_id = person !== undefined && mayHaveToken(person) ? person.id : null;
    return createToken(running, { name: "first administrator", user_id });
  });
  if (isRefusal(made)) throw new Error(made.refused);
  return made?.text;
}

const mayHaveToken = ({ status }: StoredUser) => !["STAGED", "SUSPENDED", "DEPROVISIONED"].includes(status);

async function administrator(command: Command, login: string) {
  const known = await getUser(command.db, login);
  const person = known ?? (await newPerson(command, login));
  if (isRefusal(person) || !mayHaveToken(person)) return person;
  const grant = await grantRole(command, { user: person }, { role: "SUPER_ADMIN" });
  return isRefusal(grant) ? grant : person;
}

/** Somebody with a password that nobody knows: they sign in after a reset link, which their token can ask for. */
async function newPerson(command: Command, login: string) {
  const profile = { login, email: login, firstName: "First", lastName: "Administrator" };
  const created = await createUsers(command, [{ profile, activate: true, password: randomPassword() }]);
  return isRefusal(created) ? created : (created[0] as StoredUser);
}
