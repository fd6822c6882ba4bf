const assert = require("node:assert");
const test = require("node:test");
const { count } = require("../lib/words.js");

test("it counts", () => assert.equal(count("a b"), 2));
