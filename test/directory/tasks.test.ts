import { afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  closeTasksFor,
  dismissTasks,
  editTask,
  groupTasks,
  listTasks,
  type NewTask,
  raiseTasks,
  readTask,
  reopenTask,
} from "../../src/directory/tasks.ts";
import { type Database, json, sql } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { at, commandAt, eventTypes, granted, refused } from "./support.ts";

let db: Database;
beforeAll(async () => {
  db = await memoryDatabase();
});
afterEach(() => wipe(db));

const fault = (n: number, detail: NewTask["detail"] = { fault: "invalid", attribute: "email" }): NewTask => ({
  kind: "provisioning_fault",
  title: `provisioning person ${n} failed`,
  dedupe: `account:${n}`,
  detail: { message: "email is taken", ...detail },
});

async function app(label: string): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    insert into apps (name, label, kind, provisioning) values (lower(${label}), ${label}, 'scim', ${json({})}) returning id`.execute(
    db,
  );
  return rows[0]?.id ?? "";
}

describe("raising", () => {
  test("one piece of work is one open task, however often and however many at once it is raised", async () => {
    const command = commandAt(db);
    const first = await raiseTasks(command, [fault(1), fault(1), fault(2)]);
    expect(first.map((task) => task.created)).toEqual([true, true]);
    const again = await raiseTasks(command, [{ ...fault(1), title: "newer words" }]);
    expect(again).toEqual([{ ...first[0], created: false }]);
    const tasks = await listTasks(db);
    expect(tasks.map((task) => [task.title, task.detail["count"]])).toEqual([
      ["provisioning person 2 failed", 1],
      ["newer words", 3],
    ]);
    expect((await eventTypes(db)).filter((type) => type === "task.lifecycle.create")).toHaveLength(2);
  });

  test("when the work turns round, the open task becomes the other kind and counts anew", async () => {
    const command = commandAt(db);
    await raiseTasks(command, [{ ...fault(1), kind: "create_account", title: "create" }]);
    const [task] = await raiseTasks(command, [{ ...fault(1), kind: "remove_account", title: "remove" }]);
    expect(task?.created).toBe(true);
    expect(granted(await readTask(db, task?.id ?? ""))).toMatchObject({ kind: "remove_account", detail: { count: 1 } });
    expect(await eventTypes(db)).toEqual([
      "application.user_membership.approve",
      "task.lifecycle.create",
      "application.user_membership.revoke",
      "task.lifecycle.create",
    ]);
  });

  test("a closed task does not swallow the same work when it comes back", async () => {
    const command = commandAt(db);
    await raiseTasks(command, [fault(1)]);
    await closeTasksFor(command, { dedupe: ["account:1"], note: "mended itself" });
    await raiseTasks(command, [fault(1)]);
    expect((await listTasks(db)).map((task) => task.status)).toEqual(["OPEN", "DONE"]);
  });

  test("an assignee and a date that people set survive the next raise", async () => {
    const command = commandAt(db);
    const [task] = await raiseTasks(command, [fault(1)]);
    granted(await editTask(command, task?.id ?? "", { assignee: "00uada", due_at: at(60), note: "asked the vendor" }));
    await raiseTasks(command, [{ ...fault(1), assignee: "00uother", due_at: at(5) }]);
    expect((await listTasks(db))[0]).toMatchObject({
      assignee: "00uada",
      due_at: at(60),
      notes: [{ by: "Ada Admin", text: "asked the vendor" }],
    });
  });
});

describe("closing and opening", () => {
  test("a choice that names nothing closes nothing", async () => {
    const command = commandAt(db);
    await raiseTasks(command, [fault(1)]);
    expect(await closeTasksFor(command, {})).toEqual([]);
    expect(await closeTasksFor(command, { ids: [] })).toEqual([]);
    expect(await closeTasksFor(command, { kinds: ["provisioning_fault"] })).toEqual([]);
  });

  test("dismissed work can be opened again, but not beside the same work raised anew", async () => {
    const command = commandAt(db);
    const [task] = await raiseTasks(command, [fault(1)]);
    const id = task?.id ?? "";
    expect(await dismissTasks(command, [id], "not worth it")).toBe(1);
    expect(granted(await readTask(db, id))).toMatchObject({ status: "DISMISSED", closed_by: "00uadmin" });
    expect(granted(await reopenTask(command, id))).toMatchObject({ status: "OPEN", closed_at: null });
    await dismissTasks(command, [id]);
    const [twin] = await raiseTasks(command, [fault(1)]);
    expect(refused(await reopenTask(command, id)).refused).toContain(twin?.id);
  });

  test("a closed task takes notes but no assignee", async () => {
    const command = commandAt(db);
    const [task] = await raiseTasks(command, [fault(1)]);
    const id = task?.id ?? "";
    await dismissTasks(command, [id]);
    expect(granted(await editTask(command, id, { note: "for the record" })).notes).toHaveLength(1);
    expect(refused(await editTask(command, id, { assignee: "00uada" })).code).toBe("illegal_transition");
  });
});

describe("lists", () => {
  test("a thousand like failures are one line of the grouped view, the largest first", async () => {
    const command = commandAt(db);
    const app_id = await app("Payroll");
    await raiseTasks(
      command,
      Array.from({ length: 1_000 }, (_, n) => ({ ...fault(n), app_id })),
    );
    await raiseTasks(command, [{ ...fault(5_000, { fault: "conflict" }), app_id }]);
    const groups = await groupTasks(db);
    expect(
      groups.map(({ fault, attribute, count, app_label, message }) => [fault, attribute, count, app_label, message]),
    ).toEqual([
      ["invalid", "email", 1_000, "Payroll", "email is taken"],
      ["conflict", "", 1, "Payroll", "email is taken"],
    ]);
  });

  test("pages of a filtered list neither repeat nor skip", async () => {
    await raiseTasks(
      commandAt(db),
      Array.from({ length: 25 }, (_, n) => fault(n)),
    );
    const seen: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await listTasks(db, {
        kind: "provisioning_fault",
        q: "PERSON",
        limit: 10,
        ...(after ? { after } : {}),
      });
      seen.push(...page.map((task) => task.id));
      if (page.length < 10) break;
      after = page.at(-1)?.id;
    }
    expect(new Set(seen).size).toBe(25);
    expect(seen).toEqual(seen.toSorted().toReversed());
    expect(await listTasks(db, { q: "100%" })).toEqual([]);
  });
});
