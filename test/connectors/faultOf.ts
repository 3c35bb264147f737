/** What a call must end with. */
import { expect } from "vitest";
import { ConnectorFault } from "../../src/connectors/connector.ts";

/** The fault that a call throws; whatever else it does fails the test. */
export async function faultOf(call: Promise<unknown>): Promise<ConnectorFault> {
  const error = await call.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConnectorFault);
  return error as ConnectorFault;
}
