/** What main.ts gives the server about connectors, for tests that call none. */
import { checkConfig, connectorForms } from "../../src/main/appTools.ts";

export const fakeApp = {
  tools: { key: { id: "test", bytes: Buffer.alloc(32, 7) }, check: checkConfig(true) },
  forms: connectorForms(),
};
