/** What main.ts gives the server about connectors, for tests that call none. */

import { checkConfig, connectorForms } from "../../src/main/appTools.ts";
import { test_key } from "./outside.ts";

export const fakeApp = {
  tools: { key: test_key, check: checkConfig(true) },
  forms: connectorForms(),
};
