import { expect, test } from "vitest";
import { baseAttributes, placeAttribute } from "../../src/core/scim/attributes.ts";
import { toResource } from "../../src/core/scim/resource.ts";

const schema = new Map(
  baseAttributes.flatMap((one) => (placeAttribute(one) ? [[one.name, placeAttribute(one)!]] : [])),
);

test.each(["schemas", "Schemas"])(
  "a new resource names its schemas once, though %s come with every account",
  (name) => {
    const made = toResource({ userName: "ada", title: "" }, true, schema, { [name]: ["urn:example:own"] });
    expect(made).toEqual({
      schemas: ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:example:own"],
      userName: "ada",
      active: true,
    });
  },
);
