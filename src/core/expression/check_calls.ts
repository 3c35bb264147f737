/**
 * What a call means: a function of the catalogue by its full name, a method as sugar for one
 * (`user.email.toUpperCase()`), or one of the few that are about the user as a whole (`user.getGroups({…})`). Counts and
 * converts the arguments. Called by `check.ts`.
 */
import { refuseAccounts } from "./check_references.ts";
import { type Checker, complain, constantOf, contextName, converted, didYouMean } from "./checker.ts";
import { functions, namespaces } from "./functions/catalogue.ts";
import type { FunctionDeclaration, Parameter } from "./functions/declaration.ts";
import { methods } from "./functions/methods.ts";
import { nearest } from "./suggest.ts";
import type { Criterion, CriterionKey, Term } from "./term.ts";
import type { CallNode, MapNode, Node, Position } from "./tree.ts";
import { describeType, isList, listOf, type Type } from "./types.ts";

/** The meaning of a call that does not lead to a profile. */
export function checkCall(checker: Checker, node: CallNode): Term {
  const { target, name } = node;
  if (target === null) return callByName(checker, node, name);
  if (target.kind === "name" && namespaces.has(target.name)) return callByName(checker, node, `${target.name}.${name}`);
  if (target.kind === "name" && target.name === "user") return userCall(checker, node);
  const near = target.kind === "name" ? nearest(target.name, namespaces) : null;
  if (target.kind === "name" && near !== null && functions.has(`${near}.${name}`)) {
    return complain(checker, node.at, `Unknown name ${target.name}.`, `Did you mean ${near}.${name}?`);
  }
  return methodCall(checker, node, checker.check(target));
}

function callByName(checker: Checker, node: CallNode, name: string): Term {
  const args = (): Term[] => node.args.map((arg) => checker.check(arg));
  if (name === "Arrays.get") return arrayGet(checker, node, args());
  const declaration = functions.get(name);
  if (declaration) return call(checker, declaration, args(), node.at);
  const hint = didYouMean(name, [...functions.keys(), "Arrays.get"], (near) => `${near}(…)`);
  return complain(
    checker,
    node.at,
    `Unknown function ${name}.`,
    hint ?? "See the list of functions in the documentation.",
  );
}

function arrayGet(checker: Checker, node: CallNode, args: readonly Term[]): Term {
  const [list, index] = args;
  if (!list || !index || args.length > 2)
    return wrongCount(checker, "Arrays.get", "2 arguments (list, position)", node);
  return elementOf(checker, list, index, node.at);
}

/** `list[index]`, of any list; of groups a group. */
export function elementOf(checker: Checker, given: Term, place: Term, at: Position): Term {
  const list = isList(given.type) ? given : converted(given, "list");
  const index = converted(place, "number");
  if (!list) {
    return complain(checker, given.at, `Only a list has positions, and this is ${describeType(given.type)}.`);
  }
  if (!index) return complain(checker, place.at, `A position is a number, not ${describeType(place.type)}.`);
  return { kind: "index", list, index, type: isList(list.type) ? list.type.list : "null", at };
}

/** A call of a declared function with checked, not yet converted, arguments. */
function call(checker: Checker, declaration: FunctionDeclaration, given: readonly Term[], at: Position): Term {
  const refused = refuseInContext(checker, declaration, at);
  if (refused) return refused;
  const formal = formalParameters(declaration, given.length);
  if (!formal) return wrongCount(checker, declaration.name, countWords(declaration), { at, args: given });
  const args: Term[] = [];
  for (const [index, parameter] of formal.entries()) {
    const arg = converted(given[index]!, parameter.type);
    if (!arg) return wrongArgument(checker, declaration, parameter, index, given[index]!);
    args.push(arg);
  }
  const wrong = declaration.refuse?.(args.map((arg) => constantOf(arg)));
  if (wrong) return complain(checker, at, `${declaration.name}: ${wrong}`, `For example ${declaration.example[0]}.`);
  const { result } = declaration;
  const type = typeof result === "function" ? result(args.map((arg) => arg.type)) : result;
  return { kind: "call", declaration, args, type, at };
}

function refuseInContext(checker: Checker, declaration: FunctionDeclaration, at: Position): Term | null {
  if (declaration.accounts) return refuseAccounts(checker, `${declaration.name}()`, at);
  if (declaration.groups && checker.environment.context === "push_rule")
    return notAboutUsers(checker, declaration.name, at);
  return null;
}

function notAboutUsers(checker: Checker, name: string, at: Position): Term {
  const hint = 'Test the group itself, such as String.startsWith(group.name, "Sales").';
  return complain(
    checker,
    at,
    `${name} asks about a user's groups, and ${contextName(checker)} is about a group.`,
    hint,
  );
}

/** One parameter per given argument, or null when their number is wrong. */
function formalParameters(declaration: FunctionDeclaration, count: number): readonly Parameter[] | null {
  const { parameters, optional = 0, rest = [] } = declaration;
  if (count < parameters.length - optional) return null;
  if (count <= parameters.length) return parameters.slice(0, count);
  const more = count - parameters.length;
  if (rest.length === 0 || more % rest.length !== 0) return null;
  return [...parameters, ...Array.from({ length: more }, (_, index) => rest[index % rest.length]!)];
}

function countWords({ parameters, optional = 0, rest = [] }: FunctionDeclaration): string {
  const most = parameters.length;
  const names = [...parameters, ...rest].map((parameter) => parameter.name).join(", ");
  const more =
    rest.length === 0
      ? ""
      : rest.length === 1
        ? " or more"
        : ` and then pairs of ${rest.map((p) => p.name).join(", ")}`;
  const count = optional > 0 ? `${most - optional} to ${most}` : `${most}`;
  return `${count}${more} argument${most === 1 && optional === 0 && more === "" ? "" : "s"}${names === "" ? "" : ` (${names})`}`;
}

function wrongCount(
  checker: Checker,
  name: string,
  wanted: string,
  { at, args }: Readonly<{ at: Position; args: readonly unknown[] }>,
): Term {
  const declaration = functions.get(name);
  const hint = declaration ? `For example ${declaration.example[0]}.` : undefined;
  return complain(
    checker,
    at,
    `${name} takes ${wanted}, but ${args.length} ${args.length === 1 ? "is" : "are"} given.`,
    hint,
  );
}

const wanted_words: Readonly<Record<Parameter["type"], string>> = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  date: "a date",
  list: "a list",
  groups: "groups",
  value: "a value",
};

function wrongArgument(
  checker: Checker,
  { name }: FunctionDeclaration,
  parameter: Parameter,
  index: number,
  given: Term,
): Term {
  const message = `${name}: argument ${index + 1} (${parameter.name}) must be ${wanted_words[parameter.type]}, but this is ${describeType(given.type)}.`;
  return complain(checker, given.at, message, argumentHint(parameter, given.type));
}

function argumentHint(parameter: Parameter, given: Type): string {
  if (isList(given) && given.list === "group") return "Take one property of each group: .![name]";
  if (parameter.type === "number" && given === "string") return "Convert it with Convert.toInt(…) or Convert.toNum(…).";
  if (isList(given)) return "Take one element with [0], or join them with Arrays.toCsvString(…).";
  return `Give ${wanted_words[parameter.type]}.`;
}

function methodCall(checker: Checker, node: CallNode, target: Term): Term {
  const kind = isList(target.type) ? "list" : "value";
  const method = methods.get(node.name);
  const declared = method && functions.get(method[kind] ?? method.value ?? "");
  if (!declared) {
    const hint = didYouMean(node.name, [...methods.keys(), ...namespaces], (near) => near);
    return complain(
      checker,
      node.at,
      `Unknown function ${node.name}.`,
      hint ?? "See the list of functions in the documentation.",
    );
  }
  if (target.kind === "constant" && target.type === "any") return target;
  return call(checker, declared, [target, ...node.args.map((arg) => checker.check(arg))], node.at);
}

function userCall(checker: Checker, node: CallNode): Term {
  const { name, at } = node;
  if (checker.environment.context === "push_rule") return notAboutUsers(checker, `user.${name}`, at);
  if (name === "getInternalProperty") return internalProperty(checker, node);
  if (name === "getGroups" || name === "isMemberOf") {
    const groups: Term = { kind: "groups", criteria: criteriaOf(checker, node), type: listOf("group"), at };
    if (name === "getGroups") return groups;
    const empty: Term = {
      kind: "call",
      declaration: functions.get("Arrays.isEmpty")!,
      args: [groups],
      type: "boolean",
      at,
    };
    return { kind: "not", operand: empty, type: "boolean", at };
  }
  const known = ["getInternalProperty", "getGroups", "isMemberOf", "getLinkedObject"];
  const hint = didYouMean(name, known, (near) => `user.${near}(…)`) ?? `The user has ${known.join(", ")}.`;
  return complain(checker, at, `Unknown function user.${name}.`, hint);
}

function internalProperty(checker: Checker, node: CallNode): Term {
  const [arg] = node.args;
  const name = arg?.kind === "literal" ? arg.value : undefined;
  if (node.args.length === 1 && (name === "id" || name === "status")) {
    return { kind: "internal", of: "user", name, type: "string", at: node.at };
  }
  return complain(
    checker,
    node.at,
    'user.getInternalProperty takes "id" or "status".',
    'Write user.getInternalProperty("status").',
  );
}

const criterion_keys: readonly CriterionKey[] = ["group.id", "group.source.id", "group.type", "group.profile.name"];
const criterion_example = "Write user.getGroups({'group.type': {'OKTA_GROUP'}}).";

function criteriaOf(checker: Checker, node: CallNode): readonly Criterion[] {
  return node.args.flatMap((arg) => {
    if (arg.kind === "map") return criteriaOfMap(checker, arg);
    complain(checker, arg.at, `user.${node.name} takes filters in braces.`, criterion_example);
    return [];
  });
}

function criteriaOfMap(checker: Checker, map: MapNode): Criterion[] {
  const operator = map.entries.find((entry) => entry.key === "operator");
  const exact = operatorIsExact(checker, operator?.value);
  return map.entries.flatMap(({ key, value }) => {
    if (key === "operator") return [];
    const known = criterion_keys.find((candidate) => candidate === key);
    if (!known) {
      const hint =
        didYouMean(key, criterion_keys, (near) => `'${near}'`) ?? `The keys are ${criterion_keys.join(", ")}.`;
      complain(checker, value.at, `Groups cannot be filtered by '${key}'.`, hint);
      return [];
    }
    const values = checker.check(value);
    const texts = isList(values.type) ? values : converted(values, "string");
    if (texts) return [{ key: known, exact, values: texts }];
    complain(
      checker,
      value.at,
      `'${key}' takes text or a list of text, not ${describeType(values.type)}.`,
      criterion_example,
    );
    return [];
  });
}

function operatorIsExact(checker: Checker, operator: Node | undefined): boolean {
  if (operator === undefined) return false;
  if (operator.kind === "literal" && operator.value === "EXACT") return true;
  if (operator.kind === "literal" && operator.value === "STARTS_WITH") return false;
  complain(checker, operator.at, "The operator of a group filter is 'EXACT' or 'STARTS_WITH'.");
  return false;
}
