/** The fake app's groups, as a connector's GroupOperations. Called by fake/connector.ts. */
import type { GroupOperations, MemberResult, RemoteGroup } from "../connector.ts";
import { ConnectorFault } from "../connector.ts";
import type { FakeAccount, FakeGroup, Shelf } from "./app.ts";
import type { Desk } from "./faults.ts";
import { fakePage } from "./paging.ts";

function shown(id: string, group: FakeGroup): RemoteGroup {
  return { id, name: group.name, ...(group.description === undefined ? {} : { description: group.description }) };
}

function checkName(groups: Shelf<FakeGroup>, id: string | null, name: string): void {
  for (const [other, group] of groups.rows) {
    if (other === id || group.name.toLowerCase() !== name.toLowerCase()) continue;
    throw new ConnectorFault("conflict", `Another group is called ${name}`, { attribute: "name" });
  }
}

type Delta = Readonly<{ add: readonly string[]; remove: readonly string[] }>;

/** The members after a change, and what became of each. A torn write does half of the additions and nothing else. */
function changedMembers(group: FakeGroup, delta: Delta, accounts: Shelf<FakeAccount>, partial: boolean) {
  const members = new Set(group.members);
  const add = partial ? delta.add.slice(0, Math.ceil(delta.add.length / 2)) : delta.add;
  const remove = partial ? [] : delta.remove;
  const added = add.map((id): MemberResult => {
    if (!accounts.rows.has(id)) return { id, fault: "not_found", detail: "the app has no such account" };
    members.add(id);
    return { id };
  });
  for (const id of remove) members.delete(id);
  return { members, results: [...added, ...remove.map((id): MemberResult => ({ id }))] };
}

/** @param options.members_max changes per request; one more is refused whole, as real apps do */
export function fakeGroups(
  groups: Shelf<FakeGroup>,
  accounts: Shelf<FakeAccount>,
  desk: Desk,
  options: Readonly<{ members_max: number; members_readable: boolean; nextId: () => string }>,
): GroupOperations {
  const known = (id: string): FakeGroup => {
    const group = groups.rows.get(id);
    if (group === undefined) throw new ConnectorFault("not_found", `The app has no group ${id}`, { status: "404" });
    return group;
  };
  const put = (id: string, group: FakeGroup | null) => {
    groups.step();
    groups.put(id, group);
  };
  return {
    members_max: options.members_max,
    bytes_max: 1_000_000,
    member_bytes: (id) => id.length + 12,
    list: (ctx, page) => desk.look(ctx, "group_list", null, (mode) => fakePage(groups, page, mode, shown, false)),
    read: (ctx, id) =>
      desk.look(ctx, "group_read", id, ({ stale }) => {
        const group = (stale ? groups.lagging() : groups.rows).get(id);
        return group === undefined ? null : shown(id, group);
      }),
    find: (ctx, name) =>
      desk.look(ctx, "group_find", null, ({ stale }) =>
        [...(stale ? groups.lagging() : groups.rows)]
          .filter(([, group]) => group.name.toLowerCase() === name.toLowerCase())
          .map(([id, group]) => shown(id, group)),
      ),
    members: (ctx, id) =>
      desk.look(ctx, "group_members", id, ({ stale }) => {
        if (!options.members_readable) return null;
        const group = (stale ? groups.lagging() : groups.rows).get(id);
        return group === undefined ? [...known(id).members] : [...group.members];
      }),
    create: (ctx, group) =>
      desk.write(ctx, "group_create", null, () => {
        checkName(groups, null, group.name);
        const id = options.nextId();
        const description = group.description === undefined ? {} : { description: group.description };
        put(id, { name: group.name, ...description, members: new Set() });
        return shown(id, known(id));
      }),
    rename: (ctx, id, to) =>
      desk.write(ctx, "group_rename", id, () => {
        const group = known(id);
        checkName(groups, id, to.name);
        put(id, { ...group, name: to.name, ...(to.description === undefined ? {} : { description: to.description }) });
      }),
    change: (ctx, id, delta) =>
      desk.write(ctx, "group_change", id, ({ partial }) => {
        const group = known(id);
        if (delta.add.length + delta.remove.length > options.members_max) {
          throw new ConnectorFault("invalid", `More than ${options.members_max} members in one request`);
        }
        const { members, results } = changedMembers(group, delta, accounts, partial);
        put(id, { ...group, members });
        return results;
      }),
    delete: (ctx, id) => desk.write(ctx, "group_delete", id, () => put(id, null)),
  };
}
