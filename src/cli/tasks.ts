/** tenure tasks: what a person must do or decide. */
import { findApp } from "./find.ts";
import { printFacts, printRows } from "./output.ts";
import { commandOf, listed, momentOf, type Part } from "./parts.ts";

type Task = Readonly<{
  id: string;
  kind: string;
  status: string;
  title: string;
  app_label: string | null;
  login: string | null;
  assignee: string | null;
  due_at: string | null;
  created_at: string;
  detail: Readonly<Record<string, unknown>>;
  notes: readonly Readonly<{ at: string; by: string; text: string }>[];
}>;
type Group = Readonly<{
  kind: string;
  app_label: string | null;
  fault: string;
  attribute: string;
  count: number;
  oldest_at: string;
  title: string;
  message: string | null;
}>;

const facts = (task: Task) =>
  [
    ["id", task.id],
    ["status", task.status],
    ["kind", task.kind],
    ["title", task.title],
    ["app", task.app_label],
    ["person", task.login],
    ["assignee", task.assignee],
    ["due", task.due_at],
    ["since", task.created_at],
    ...Object.entries(task.detail),
    ...task.notes.map((note) => [`note by ${note.by}`, note.text] as const),
  ] as const;

const filters = {
  app: { value: "APP", help: "Of this app" },
  kind: { value: "KIND", help: "Of this kind" },
  fault: { value: "FAULT", help: "With this fault" },
};

const list: Part = {
  usage: {
    name: "tasks list",
    words: "",
    summary: "Lists open tasks, the newest first.",
    options: {
      ...filters,
      closed: { help: "Those that are done instead" },
      limit: { value: "N", help: "At most this many (100)" },
    },
  },
  least: 0,
  run: async (client, given) => {
    const status = given.flag("closed") ? "DONE" : "OPEN";
    const query = { status, app: given.text("app"), kind: given.text("kind"), fault: given.text("fault") };
    const tasks = await listed<Task>(client, given, "/admin/v1/tasks", { query, standard: 100 });
    printRows(
      given,
      tasks,
      [
        ["ID", (t) => t.id],
        ["KIND", (t) => t.kind],
        ["APP", (t) => t.app_label],
        ["PERSON", (t) => t.login],
        ["TITLE", (t) => t.title],
        ["SINCE", (t) => t.created_at],
      ],
      "no tasks",
    );
  },
};

const groups: Part = {
  usage: {
    name: "tasks groups",
    words: "",
    summary: "Lists open tasks by cause: a thousand alike are one line.",
    options: filters,
  },
  least: 0,
  run: async (client, given) => {
    const found = await client.get<Group[]>("/admin/v1/tasks/groups", {
      app: given.text("app"),
      kind: given.text("kind"),
      fault: given.text("fault"),
    });
    printRows(
      given,
      found,
      [
        ["COUNT", (g) => g.count],
        ["KIND", (g) => g.kind],
        ["APP", (g) => g.app_label],
        ["FAULT", (g) => g.fault],
        ["ATTRIBUTE", (g) => g.attribute],
        ["FOR EXAMPLE", (g) => g.message ?? g.title],
      ],
      "no tasks",
    );
  },
};

const show: Part = {
  usage: { name: "tasks show", words: "TASK", summary: "Shows a task.", options: {} },
  least: 1,
  run: async (client, given, [id = ""]) => {
    const task = await client.get<Task>(`/admin/v1/tasks/${encodeURIComponent(id)}`);
    printFacts(given, task, facts(task));
  },
};

const done: Part = {
  usage: {
    name: "tasks done",
    words: "TASK",
    summary: "Says that a task is done; an account made by hand becomes a fact.",
    options: {
      note: { value: "TEXT", help: "What was done" },
      "external-id": { value: "ID", help: "The account's id in the app, if it has one" },
    },
  },
  least: 1,
  run: async (client, given, [id = ""]) => {
    const body = {
      ...(given.text("note") ? { note: given.text("note") } : {}),
      ...(given.text("external-id") ? { external_id: given.text("external-id") } : {}),
    };
    const task = await client.send<Task>("POST", `/admin/v1/tasks/${encodeURIComponent(id)}/complete`, body);
    printFacts(given, task, [
      ["id", task.id],
      ["status", task.status],
      ["title", task.title],
    ]);
  },
};

const dismiss: Part = {
  usage: {
    name: "tasks dismiss",
    words: "TASK",
    summary: "Says that a task need not be done.",
    options: { note: { value: "TEXT", help: "Why not" } },
  },
  least: 1,
  run: async (client, given, [id = ""]) => {
    const task = await client.send<Task>(
      "POST",
      `/admin/v1/tasks/${encodeURIComponent(id)}/dismiss`,
      given.text("note") ? { note: given.text("note") } : {},
    );
    printFacts(given, task, [
      ["id", task.id],
      ["status", task.status],
      ["title", task.title],
    ]);
  },
};

const assign: Part = {
  usage: {
    name: "tasks assign",
    words: "TASK WHO",
    summary: "Gives a task to somebody.",
    options: { due: { value: "WHEN", help: "Until when" }, note: { value: "TEXT", help: "A note" } },
  },
  least: 2,
  run: async (client, given, [id = "", assignee = ""]) => {
    const due_at = momentOf(given, "due");
    const body = {
      assignee,
      ...(due_at ? { due_at } : {}),
      ...(given.text("note") ? { note: given.text("note") } : {}),
    };
    const task = await client.send<Task>("PATCH", `/admin/v1/tasks/${encodeURIComponent(id)}`, body);
    printFacts(given, task, facts(task));
  },
};

const retry: Part = {
  usage: {
    name: "tasks retry",
    words: "APP",
    summary: "Tries again now what failed in an app; tasks close by themselves when it works.",
    options: { fault: { value: "FAULT", many: true, help: "Only what failed so; may be given again" } },
  },
  least: 1,
  run: async (client, given, [app = ""]) => {
    const { id, label } = await findApp(client, app);
    const faults = given.texts("fault");
    const outcome = await client.send<{ accounts: number; groups: number }>("POST", "/admin/v1/tasks/retry", {
      app: id,
      ...(faults.length > 0 ? { faults } : {}),
    });
    printFacts(given, outcome, [
      ["app", label],
      ["accounts tried again", outcome.accounts],
      ["groups tried again", outcome.groups],
    ]);
  },
};

export const { run } = commandOf("tasks", { list, groups, show, done, dismiss, assign, retry }, "list");
