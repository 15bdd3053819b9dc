// Fields and sentences of the API in the words of commands.
import { expect, test } from "vitest";
import { plainDetail, typedDetail, typedFault, typedField } from "../../cli/typed-fields.ts";

test.each([
  ["/vni", "--vni"],
  ["/subnets/0", "--subnet"],
  ["/labels/a~1b", "--label a/b="],
  ["/interfaces/1/ips/0", "--interface 2 ip="],
  ["/interfaces/eth0/mac", "--interface eth0 mac="],
  ["/interfaces", "--interface"],
  ["/quota/vmsPerHost", "--max-vms-per-host"],
  ["/quarantineSeconds", "--quarantine"],
  ["", "the request"],
  ["/unheard", "unheard"],
])("the pointer %s is %s", (pointer, typed) => {
  expect(typedField(pointer)).toBe(typed);
});

test("a fault in a line of an import keeps the names of the file", () => {
  expect(typedFault({ line: 3, pointer: "/interfaces/0/mac", detail: "is wrong" })).toBe(
    "line 3: interfaces.0.mac is wrong",
  );
  expect(typedFault({ line: 3, pointer: "", detail: "is wrong" })).toBe("line 3: is wrong");
});

test.each([
  ['a VM named "x" exists, at revision 8: change it with PUT or PATCH', 'a VM named "x" exists, at revision 8'],
  [
    'VM "x" is at revision 6, but If-Match wants revision 4: read it',
    'VM "x" is at revision 6, but --if-revision wants 4: read it',
  ],
  ['mark it down first (PATCH /v1/hosts/b {"down": true})', "mark it down first: `nearmiss host down b`"],
  ['remove the mark (PATCH /v1/hosts/b {"down": false})', "remove the mark: `nearmiss host up b`"],
  ["must match pattern ^[a-z]$", "has characters or a form that are not allowed"],
])("%s", (detail, plain) => {
  expect(plainDetail(detail)).toBe(plain);
});

test.each([
  ['to: "a" is the host that is being evacuated', '--to: "a" is the host that is being evacuated'],
  ["expires: 2026-01-01T00:00:00.000Z has passed", "--expires: 2026-01-01T00:00:00.000Z has passed"],
  ['VM "to: b" is new', 'VM "to: b" is new'],
  ["constructor: is no field of a command", "constructor: is no field of a command"],
])("the reason of a refusal, %s", (detail, typed) => {
  expect(typedDetail(detail)).toBe(typed);
});
