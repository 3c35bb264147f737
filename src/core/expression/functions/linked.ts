/**
 * Functions about the accounts a person has in directories. `findDirectoryUser().x`, `getManagerUser("…").x` and
 * `user.getLinkedObject("…").x` lead to a profile, so the checker makes reads of them (check_references.ts); only the
 * questions with an answer of their own are functions.
 */
import type { DirectoryKind } from "../facts.ts";
import { declare, type FunctionDeclaration } from "./declaration.ts";

function hasAccount(name: string, directory: DirectoryKind, title: string, example: boolean): FunctionDeclaration {
  return declare<[]>({
    name,
    parameters: [],
    result: "boolean",
    nulls: "handled",
    accounts: directory,
    evaluate: (scope) => (scope.facts.accounts_of?.(directory) ?? []).length === 1,
    summary: `Has the user exactly one ${title} account? False for none and for several, as in Okta.`,
    example: [`${name}()`, example],
  });
}

export const linked_functions: readonly FunctionDeclaration[] = [
  hasAccount("hasDirectoryUser", "active_directory", "Active Directory", true),
  hasAccount("hasWorkdayUser", "workday", "Workday", false),
];
