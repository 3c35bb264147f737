import { describe, expect, it } from "vitest";
import { interopServer, startScim } from "./scimServers.ts";
import { context, contract, fault, person, type Running } from "./suite.ts";

const file = interopServer("jackson");
const loses = ["department", "manager"];

/** Who is in a group, from what the server told its webhooks: it shows members in no other way. */
async function told(running: Running & { url: string }, group: string): Promise<readonly string[]> {
  const answer = await fetch(new URL("/__events", running.url));
  const events = (await answer.json()) as { event: string; data: { id: string; group?: { id: string } } }[];
  const members = new Set<string>();
  for (const { event, data } of events) {
    if (data.group?.id !== group) continue;
    if (event === "group.user_added") members.add(data.id);
    if (event === "group.user_removed") members.delete(data.id);
  }
  return [...members];
}

contract({
  name: "SCIM that answers 200 to what it does not do (saml-jackson), unknown to us",
  quirks: { loses, keeps: ["phoneNumber"], members: "lost", any_member: true, finds_by_mail: true },
  start: () => startScim("jackson", { file }),
});

contract({
  name: "SCIM that answers 200 to what it does not do (saml-jackson), with its members known to be hidden",
  quirks: { loses, keeps: ["phoneNumber"], members: "hidden", any_member: true, finds_by_mail: true },
  async start() {
    const overrides = { group: { members: { readable: false } } };
    const running = await startScim("jackson", { file, config: { overrides } });
    return { ...running, memberships: (group) => told(running, group) };
  },
});

describe("a server that answers 200 and does nothing", () => {
  it("is not believed: the fault names the attribute, what was sent and what was found", async () => {
    const running = await startScim("jackson", { file });
    try {
      const made = await running.connector.create(context(), { profile: person("liar"), enabled: true, key: "k" });
      const lost = await fault(
        running.connector.update(context(), made.id, { set: { department: "Küche" }, was: made.account! }),
      );
      expect(lost.kind).toBe("invalid");
      expect(lost.message).toMatch(/did not keep department: sent "Küche", found nothing/);
    } finally {
      await running.connector.close?.();
      await running.stranger.close?.();
      await running.stop();
    }
  });
});
