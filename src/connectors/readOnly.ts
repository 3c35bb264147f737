/** What sources that are only read have in common: what they can do, and what a write is answered. */
import type { Capabilities } from "../core/types.ts";
import { type Connector, ConnectorFault } from "./connector.ts";

/** Nothing can be written. */
export const only_read: Capabilities = {
  create: false,
  update: false,
  disable: false,
  delete: false,
  password: false,
  groups: false,
  changes: false,
  writes_max: 0,
};

/** The part of a source's connector that writes: every write is refused. `name`: the source in a sentence, "A CSV file". */
export function readOnly(name: string): Pick<Connector, "can" | "create" | "update" | "delete"> {
  const refuse = () =>
    Promise.reject(new ConnectorFault("unsupported", `${name} is only read; nothing is written back to it`));
  return { can: only_read, create: refuse, update: refuse, delete: refuse };
}
