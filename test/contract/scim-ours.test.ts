/** Our connector against our own SCIM service, as one Tenure that provisions another: over HTTP, on a real PostgreSQL. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { secret } from "../../src/connectors/connector.ts";
import { scimConnector } from "../../src/connectors/scim/connector.ts";
import { startTenure } from "../support/tenure.ts";
import { contract, type Running } from "./suite.ts";

async function startOurs(strict: boolean): Promise<Running> {
  const folder = mkdtempSync(path.join(tmpdir(), "tenure-contract-"));
  const tenure = await startTenure(folder, "taker");
  const { id } = await tenure.call("POST", "/api/v1/apps", { name: "scim_in", label: "Another Tenure" });
  await tenure.call("PATCH", `/admin/v1/apps/${id}`, { sourcing: {}, config: { strict } });
  const { text } = await tenure.call("POST", "/admin/v1/tokens", { name: "Another Tenure", role: `SOURCE:${id}` });
  const connect = (token: string) =>
    scimConnector(
      { base_url: `${tenure.url}/scim/v2`, profile: "strict" },
      { token: secret(token) },
      { allow_private: true },
    );
  const stop = async () => {
    await tenure.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { connector: connect(text), stranger: connect("a-wrong-token"), stop };
}

contract({ name: "our own SCIM service, tolerant", quirks: {}, start: () => startOurs(false) });

contract({ name: "our own SCIM service, strict", quirks: {}, start: () => startOurs(true) });
