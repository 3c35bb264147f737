/**
 * A source that nobody reads: it sends its people itself, in sessions or one by one (Okta's Identity Sources API). What
 * it sent is in our database, where an import takes it from (engine/sessionSource.ts); this connector only says what such
 * a source has. Made by registry.ts.
 *
 * Law: `list` is refused. A source that was never asked must not look like one in which nobody works.
 */
import { z } from "zod";
import type { Attribute } from "../../core/types.ts";
import { type Connector, ConnectorFault } from "../connector.ts";
import { only_read } from "../readOnly.ts";

export const push_config = z.strictObject({});

const attribute = (name: string, title: string, more: Partial<Attribute> = {}): Attribute => ({
  ...{ name, title, type: "string", array: false, required: false, writable: "never" },
  ...{ readable: true, unique: false, case_exact: true, ...more },
});

/** What people in such a source have until an administrator adds to it; every value is a text. */
export const push_attributes: readonly Attribute[] = [
  attribute("externalId", "External id", { required: true, unique: true }),
  attribute("userName", "User name", { required: true, case_exact: false }),
  attribute("firstName", "First name"),
  attribute("lastName", "Last name"),
  attribute("email", "E-mail", { case_exact: false }),
  attribute("secondEmail", "Second e-mail", { case_exact: false }),
  attribute("mobilePhone", "Mobile phone"),
  attribute("homeAddress", "Home address"),
];

/** The connector of every source that sends its people by itself; `way`: how it does. */
export function pushConnector(way = "it sends its people to /api/v1/identity-sources by itself"): Connector {
  const neverRead = (): Promise<never> =>
    Promise.reject(new ConnectorFault("unsupported", `This source cannot be read or written to: ${way}`));
  return Object.freeze({
    kind: "push",
    can: only_read,
    test: () => Promise.resolve(),
    schema: () => Promise.resolve({ attributes: push_attributes }),
    list: neverRead,
    read: neverRead,
    find: neverRead,
    create: neverRead,
    update: neverRead,
    delete: neverRead,
  } satisfies Connector);
}
